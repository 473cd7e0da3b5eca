from pathlib import Path

import pytest
import torch

from hrlm.errors import ModelError
from hrlm.models.build import ModelConfig, build_model, find_weights, load_model, save_model
from hrlm.schemes import load_scheme

CONFIG = ModelConfig("tiny", load_scheme("ibug68").source, global_width=8, regional_width=8)
ABOUT = {"version": "7", "trained_on": ["nothing"], "terms": []}


def test_a_saved_model_loads_to_the_same_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = build_model(CONFIG).eval()
    net.variance_scale[:] = torch.tensor([1.7, 2.3, 0.9])
    path = tmp_path / "hrlm-tiny.safetensors"
    save_model(path, net, CONFIG, ABOUT)
    loaded = load_model(path)
    assert loaded.config == CONFIG
    assert (loaded.info.name, loaded.info.scheme, loaded.info.version) == ("tiny", "ibug68", "7")
    assert loaded.metadata["trained_on"] == ["nothing"]
    assert loaded.net.variance_scale.tolist() == pytest.approx([1.7, 2.3, 0.9])
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        # half precision keeps about three digits
        assert torch.allclose(loaded.net.global_net(x), net.global_net(x), rtol=0.05, atol=0.05)
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("content", [b"", b"not weights at all", b"\xff" * 4096])
def test_damaged_weights_are_named_with_a_cure(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"broken\.safetensors.*copy it anew"):
        load_model(path)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(3)}, path)
    with pytest.raises(ModelError, match="not a weight file of this hrlm"):
        load_model(path)


def test_unknown_names_say_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model named 'nobody'"):
        find_weights("nobody")
    with pytest.raises(ModelError, match="no such weight file"):
        find_weights(tmp_path / "gone.safetensors")


def test_sizes_that_the_pyramid_cannot_take_are_refused() -> None:
    with pytest.raises(ModelError, match="multiple of 32"):
        ModelConfig("x", "", face_size=250)
