import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from hrlm.errors import ModelError
from hrlm.formats.atomic import WriteError
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
    path = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(3)}, path)
    with pytest.raises(ModelError, match="not a weight file of this hrlm"):
        load_model(path)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_model(path, build_model(CONFIG), CONFIG, ABOUT | {"placement": {"below": 0.1, "extent": 0.9}})
    return path


def changed(saved: Path, path: Path, change: Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], None]) -> None:
    """The weights with tensors, hyper-parameters or metadata as `change` leaves them."""
    with safe_open(saved, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        header = file.metadata()
    parts = {name: json.loads(header[name]) for name in ("config", "about")}
    change(tensors, parts["config"], parts["about"])
    save_file(tensors, path, header | {name: json.dumps(part) for name, part in parts.items()})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, saved: Path, value: float) -> None:
    path = tmp_path / "bad.safetensors"

    def spoil(tensors: dict[str, Any], config: dict[str, Any], about: dict[str, Any]) -> None:
        tensors[next(iter(tensors))].view(-1)[0] = value

    changed(saved, path, spoil)
    with pytest.raises(ModelError, match=r"bad\.safetensors: .* is infinite or no number.*get other weights"):
        load_model(path)


@pytest.mark.parametrize(
    ("part", "name", "value", "said"),
    [
        ("config", "future", 1, "unknown hyper-parameter 'future': .*update yours"),
        ("config", "name", None, "no name and scheme"),
        ("config", "name", 5, "name is 5, which should be str"),
        ("config", "scheme", "x", "must be a YAML mapping"),
        ("config", "face_size", "256", "face_size is '256', which should be int"),
        ("config", "face_size", 250, "make it a multiple of 32"),
        ("config", "region_size", True, "region_size is True"),
        ("config", "region_sizes", 5, "region_sizes is 5"),
        ("config", "native", ["a"], "native is"),
        ("config", "face_margin", float("nan"), "face_margin is nan"),
        ("about", "version", None, "no version"),
        ("about", "trained_on", "photos", "trained_on is 'photos', which should be a list"),
        ("about", "terms", [[1]], "terms is"),
        ("about", "placement", [1, 2], "placement is"),
        ("about", "placement", {"turn": 1.0}, "unknown placement 'turn': .*update yours"),
        ("about", "placement", {"below": "1"}, "placement: below is '1'"),
        ("about", "placement", {"extent": 0}, "placement: extent is 0"),
    ],
)
def test_odd_statements_of_a_weight_file_are_named(
    tmp_path: Path, saved: Path, part: str, name: str, value: object, said: str
) -> None:
    path = tmp_path / "odd.safetensors"

    def state(tensors: dict[str, Any], config: dict[str, Any], about: dict[str, Any]) -> None:
        own = config if part == "config" else about
        own[name] = value
        if value is None:
            del own[name]

    changed(saved, path, state)
    with pytest.raises(ModelError, match=rf"odd\.safetensors: .*{said}") as caught:
        load_model(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["config", "about"])
@pytest.mark.parametrize("text", ["[]", "5", "null", "{", '"x"'])
def test_statements_that_are_no_mapping_are_named(tmp_path: Path, saved: Path, part: str, text: str) -> None:
    with safe_open(saved, framework="pt") as file:
        header = file.metadata() | {part: text}
    save_file({"x": torch.zeros(1)}, tmp_path / "odd.safetensors", header)
    with pytest.raises(ModelError, match=r"odd\.safetensors: .*copy it anew"):
        load_model(tmp_path / "odd.safetensors")


def test_unknown_names_say_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model named 'nobody'"):
        find_weights("nobody")
    with pytest.raises(ModelError, match="no such weight file"):
        find_weights(tmp_path / "gone.safetensors")


def test_the_small_variant_is_the_same_model_with_a_smaller_regional_network() -> None:
    whole, small = (load_model(name) for name in ("ibug68", "ibug68-small"))
    assert small.path.stat().st_size < 0.7 * whole.path.stat().st_size
    assert small.net.scheme.landmarks == whole.net.scheme.landmarks
    assert small.config.regional_coarsest == 16
    assert sum(size**2 for size in small.net.region_sizes) < 0.75 * sum(size**2 for size in whole.net.region_sizes)
    ours, theirs = small.net.global_net.state_dict(), whole.net.global_net.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_regions_have_a_size_each_or_one_for_all() -> None:
    scheme = load_scheme("ibug68")
    sizes = (160, 160, 128, 160, 128, 128, 128)
    net = build_model(replace(CONFIG, region_sizes=sizes))
    assert net.region_sizes == sizes
    assert build_model(CONFIG).region_sizes == (192,) * len(scheme.regions)
    with pytest.raises(ModelError, match="one size for each of the 7 regions"):
        build_model(replace(CONFIG, region_sizes=(160, 128)))
    with pytest.raises(ModelError, match="region_sizes is 150"):
        replace(CONFIG, region_sizes=(150,) * 7)
    with pytest.raises(ModelError, match="make it 16 or 32"):
        replace(CONFIG, regional_coarsest=8)


def test_sizes_that_the_pyramid_cannot_take_are_refused() -> None:
    with pytest.raises(ModelError, match="multiple of 32"):
        ModelConfig("x", "", face_size=250)


def test_weights_that_cannot_be_written_are_named_and_leave_nothing(tmp_path: Path) -> None:
    path = tmp_path / "hrlm-tiny.safetensors"
    path.mkdir()
    with pytest.raises(WriteError, match=r"hrlm-tiny\.safetensors: cannot be written .*: check the folder"):
        save_model(path, build_model(CONFIG), CONFIG, ABOUT)
    assert list(tmp_path.iterdir()) == [path]


def test_hyper_parameters_that_make_no_network_are_refused() -> None:
    for field in ("global_width", "regional_width", "face_margin", "native_width", "native_unit"):
        with pytest.raises(ModelError, match=f"{field} is 0: make it more than 0"):
            replace(CONFIG, **{field: 0})
    with pytest.raises(ModelError, match="native lists 68: ibug68 has the landmarks 0 to 67"):
        build_model(replace(CONFIG, native=(0, 68)))
