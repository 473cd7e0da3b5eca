from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from untrained import untrained

from hrlm import detector as detector_module
from hrlm.detector import Detector, first_crops
from hrlm.errors import ModelError
from hrlm.models import inference
from hrlm.models.build import load_model
from hrlm.models.inference import lane_count, lanes, prepare, run
from hrlm.photos import open_photo

HEADS = Path(__file__).parents[2] / "examples" / "heads"


def test_folding_leaves_no_normalisation_and_the_same_maps() -> None:
    net = untrained()
    ready = prepare(deepcopy(net))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in ready.modules())
    pixels, context = torch.randn(2, 3, 64, 64), torch.rand(2, 68, 16, 16)
    for folded, plain in (
        (ready.global_net(pixels), net.global_net(pixels)),
        (ready.regional_net(pixels, context), net.regional_net(pixels, context)),
    ):
        assert plain.std() > 0.01
        assert torch.allclose(folded, plain, rtol=1e-4, atol=1e-4 * float(plain.abs().max()))


@pytest.mark.parametrize("at_once", [1, 64 * 64, 3 * 64 * 64, 1 << 20])
def test_a_batch_run_in_parts_gives_the_same(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(inference, "PIXELS_AT_ONCE", at_once)
    net = prepare(untrained()).regional_net
    pixels, context = torch.randn(5, 3, 64, 64), torch.rand(5, 68, 16, 16)
    assert torch.allclose(run(net, pixels, context), net(pixels, context), atol=1e-4)


class SmallMemory(nn.Module):
    """Runs out of memory when given more than so many of a batch."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.given: list[int] = []

    def forward(self, pixels: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        self.given.append(len(pixels))
        if len(pixels) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return pixels.mean(1, keepdim=True) + other


@pytest.mark.parametrize("batch", [1, 7, 8])
@pytest.mark.parametrize("most", [1, 3])
def test_a_batch_too_large_for_the_memory_is_halved_until_it_fits(batch: int, most: int) -> None:
    net = SmallMemory(most)
    pixels, other = torch.randn(batch, 3, 4, 4), torch.randn(batch, 1, 4, 4)
    assert torch.equal(run(net, pixels, other), pixels.mean(1, keepdim=True) + other)
    assert max(net.given) == batch
    assert net.given[-1] <= most


def test_memory_too_small_for_one_is_told_with_its_cure() -> None:
    with pytest.raises(ModelError, match="use the CPU"):
        run(SmallMemory(0), torch.randn(2, 3, 4, 4), torch.randn(2, 1, 4, 4))


@pytest.mark.parametrize(("wanted", "threads"), [(2, 1), (8, 1), (1, 3)])
def test_lanes_share_the_cores_and_leave_other_threads_alone(wanted: int, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with lanes(lane_count(wanted)) as pool:
            assert list(pool.map(lambda _: torch.get_num_threads(), range(12))) == [threads] * 12
            assert torch.get_num_threads() == 3
            with ThreadPoolExecutor(1) as later:
                assert later.submit(torch.get_num_threads).result() == 3
    finally:
        torch.set_num_threads(before)


def assert_as_eager(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The landmarks are those of the networks as they were trained, in float32 and as one batch."""
    plain, eager = (Detector(device="cpu", quality="fast") for _ in range(2))
    graphs = plain._of_graphs(threads=1)
    eager._net = load_model("ibug68").net
    for file in files:
        photo = open_photo(file)
        crops = [first_crops(plain.find(photo)[:1], 256, 1.5)]
        with monkeypatch.context() as patched:
            patched.setattr(detector_module, "run", lambda net, *inputs: net(*inputs))
            expected = eager.locate([photo], crops)[0].points[0]
        for ready in (plain, graphs):
            off = np.linalg.norm(ready.locate([photo], crops)[0].points[0] - expected, axis=-1)
            assert off.max() < min(0.1, 2e-4 * ready.scheme.inter_ocular(expected))


def test_the_networks_made_ready_give_the_landmarks_of_those_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    assert_as_eager([HEADS / "head-2026-0000.jpg", HEADS / "head-2026-0007.jpg"], monkeypatch)


def test_so_they_do_on_real_photos(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_as_eager(sorted((shared / "helen_dev").glob("*.jpg"))[::14], monkeypatch)
