import math
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hrlm.geometry import CropTransform
from hrlm.models.cropping import _block_means, crop_maps, crop_photo


def ramp(width: int, height: int) -> np.ndarray:
    """Red is x, green is y, blue is constant."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, np.full_like(x, 100)], -1).astype(np.uint8)


def one(x: float, y: float, side: float, size: int, angle: float = 0.0, mirrored: bool = False) -> CropTransform:
    double = torch.float64
    return CropTransform.make(
        torch.tensor([[x, y]], dtype=double),
        torch.tensor([side], dtype=double),
        size,
        torch.tensor([angle], dtype=double),
        torch.tensor([mirrored]),
    )


def all_cells(size: int) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return torch.stack([x, y], -1).reshape(1, -1, 2).double()


@settings(max_examples=60, deadline=None)
@given(st.floats(110, 140), st.floats(110, 140), st.floats(16, 120), st.floats(-math.pi, math.pi), st.booleans())
def test_a_crop_shows_the_photo_where_the_transform_says(
    x: float, y: float, side: float, angle: float, mirrored: bool
) -> None:
    crop = one(x, y, side, 32, angle, mirrored)
    values = crop_photo(ramp(250, 250), crop)[0, :2] * 128 + 127
    expected = crop.to_photo(all_cells(32))[0].T.reshape(2, 32, 32)
    # block means of a ramp are exact up to uint8 rounding
    assert (values - expected).abs().max() < 0.51


def test_reducing_averages_instead_of_aliasing() -> None:
    fine = np.indices((400, 400)).sum(0) % 2 * 255
    photo = np.repeat(fine[..., None], 3, -1).astype(np.uint8)
    for side in (200, 230, 320):
        made = crop_photo(photo, one(200, 200, side, 32))
        assert (made * 128 + 127 - 127.5).abs().max() < 20


def test_outside_of_the_photo_is_mid_grey() -> None:
    photo = np.full((50, 50, 3), 255, np.uint8)
    assert crop_photo(photo, one(500, 500, 40, 32)).abs().max() == 0
    half = crop_photo(photo, one(0, 25, 32, 32))
    assert half[0, 0, 16, 2] == 0
    assert half[0, 0, 16, 30] == 1.0


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_a_crop_does_not_depend_on_how_much_photo_surrounds_it(factor: int) -> None:
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (600, 600, 3), dtype=np.uint8)
    side = 40.0 * factor
    whole = crop_photo(photo, one(300.3, 290.7, side, 32, 0.3))
    part = crop_photo(np.ascontiguousarray(photo[150:450, 144:444]), one(156.3, 140.7, side, 32, 0.3))
    # the blocks of the reduction may start elsewhere, nothing else may differ
    assert (whole - part).abs().max() < (1e-4 if factor == 1 else 0.9)
    assert (whole - part).abs().mean() < (1e-5 if factor == 1 else 0.25)


def test_gradients_say_how_the_crop_changes_as_it_moves() -> None:
    photo = ramp(250, 250)
    centre = torch.tensor([[120.0, 110.0]], requires_grad=True)
    side = torch.tensor([50.0], requires_grad=True)
    made = crop_photo(photo, CropTransform.make(centre, side, 32))
    (made[0, 0].mean() * 128).backward()
    # red is x: moving the centre right by one raises every value by one; growing it changes no mean
    assert centre.grad is not None
    assert side.grad is not None
    assert centre.grad[0].tolist() == pytest.approx([1.0, 0.0], abs=0.02)
    assert side.grad.item() == pytest.approx(0, abs=0.02)


def test_memory_does_not_grow_with_the_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 0
    original = torch.from_numpy

    def watch(array: np.ndarray) -> torch.Tensor:
        nonlocal largest
        largest = max(largest, array.size)
        return original(array)

    monkeypatch.setattr(torch, "from_numpy", watch)
    sizes = []
    for n in (1000, 4000, 8000):
        largest = 0
        crop_photo(np.zeros((n, n, 3), np.uint8), one(n / 2, n / 2, n * 0.6, 192, 0.5))
        sizes.append(largest)
    # at most twice the crop's pixels a side, and root two for its rotation
    assert max(sizes) <= 3 * (192 * 2 * 1.5 + 16) ** 2


def test_a_photo_is_not_copied_to_fill_up_its_edge() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2003, 3001, 3), dtype=np.uint8)
    padded = np.pad(pixels, ((0, 5), (0, 7), (0, 0)), mode="edge")
    expected = padded.reshape(251, 8, 376, 8, 3).mean((1, 3))
    tracemalloc.start()
    means = _block_means(pixels, 8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.abs(means - expected).max() <= 0.51
    assert peak < 0.1 * pixels.nbytes


def test_where_a_crop_reduces_each_pixel_is_the_mean_of_four_samples() -> None:
    photo = np.random.default_rng(1).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    crop = one(150.4, 149.7, 48, 32, 0.3)  # one and a half photo pixels a crop pixel
    finer = crop_photo(photo, one(150.4, 149.7, 48, 64, 0.3))
    assert torch.allclose(crop_photo(photo, crop), torch.nn.functional.avg_pool2d(finer, 2), atol=1e-4)


def test_maps_seen_through_the_same_crop_are_the_same() -> None:
    maps = torch.rand(2, 3, 16, 16)
    face = CropTransform.make(torch.tensor([[50.0, 60.0], [30.0, 20.0]]), torch.tensor([40.0, 90.0]), 64)
    assert torch.allclose(crop_maps(maps, face, face, 4), maps, atol=1e-5)


def test_maps_are_moved_as_points_are() -> None:
    maps = torch.zeros(1, 1, 64, 64)
    maps[0, 0, 40, 20] = 1.0
    face = one(100, 100, 256, 256)
    where = face.resized(64).to_photo(torch.tensor([[[20.0, 40.0]]], dtype=torch.float64))
    crop = one(80, 120, 96, 96, 0.4, True)
    seen = crop_maps(maps.double(), face, crop, 4)
    y, x = divmod(int(seen[0, 0].argmax()), seen.shape[-1])
    expected = crop.resized(24).to_crop(where)[0, 0]
    assert abs(x - expected[0]) <= 0.71
    assert abs(y - expected[1]) <= 0.71
