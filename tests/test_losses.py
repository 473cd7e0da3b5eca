"""The landmark consistency loss on a real photo: values, gradients, and what it lets an optimiser do."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from hrlm.errors import DataError
from hrlm.geometry import face_crop
from hrlm.losses import LandmarkConsistency, _crops
from hrlm.models.cropping import crop_photo

PHOTO = Path(__file__).parents[1] / "examples" / "photos" / "astronaut.png"


@pytest.fixture(scope="module")
def picture() -> Tensor:
    """`(1, 3, H, W)` the part of the photo around the face."""
    pixels = np.asarray(Image.open(PHOTO).convert("RGB"))[:300, 80:380]
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


@pytest.fixture(scope="module")
def loss() -> LandmarkConsistency:
    return LandmarkConsistency()


@pytest.fixture(scope="module")
def placed(loss: LandmarkConsistency, picture: Tensor) -> Tensor:
    return loss.find(picture)


def test_an_unchanged_picture_costs_nothing(loss: LandmarkConsistency, picture: Tensor) -> None:
    changed = picture.clone().requires_grad_()
    value = loss(changed, picture)
    assert value.item() == pytest.approx(0, abs=1e-4)
    value.backward()
    assert changed.grad is not None
    assert torch.isfinite(changed.grad).all()


def test_a_moved_face_costs_what_it_moved(picture: Tensor, placed: Tensor) -> None:
    moved = torch.roll(picture, (0, 3), (2, 3))
    pixels = LandmarkConsistency(unit="pixels", levels=0)
    assert pixels(moved, picture).item() == pytest.approx(3, rel=0.25)
    percent = LandmarkConsistency(levels=0)
    size = (placed[0, 36] - placed[0, 45]).norm().item()
    assert percent(moved, picture).item() == pytest.approx(100 * pixels(moved, picture).item() / size, rel=0.05)


@pytest.mark.parametrize("levels", [0, 1])
def test_the_gradient_is_the_slope(picture: Tensor, placed: Tensor, levels: int) -> None:
    """Against finite differences along the gradient's own direction.

    Both levels only run in single precision: steps must be large against its rounding, small against the bend.
    """
    dtype, rise = (torch.float32, 0.008) if levels else (torch.float64, 1e-3)
    loss = LandmarkConsistency(levels=levels, unit="pixels").to(dtype)
    image, wanted = picture.to(dtype), placed.to(dtype) + 1.5
    changed = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(changed, wanted), changed)
    size = gradient.norm()
    step = gradient / size * (rise / float(size))
    with torch.no_grad():
        slope = (loss(image + step, wanted) - loss(image - step, wanted)) / (2 * step.norm())
    assert slope.item() == pytest.approx(size.item(), rel=0.05)
    # only the face and its surroundings matter
    assert gradient[..., 40:250, 40:250].norm() > 0.9 * size


def test_the_weights_stay_and_the_statistics_too(loss: LandmarkConsistency, picture: Tensor, placed: Tensor) -> None:
    before = {n: t.clone() for n, t in loss.state_dict().items()}
    changed = picture.clone().requires_grad_()
    loss.train()(changed, placed + 1).backward()
    assert all(p.grad is None for p in loss.parameters())
    assert all(torch.equal(t, before[n]) for n, t in loss.state_dict().items())


def test_several_pictures_are_averaged(loss: LandmarkConsistency, picture: Tensor, placed: Tensor) -> None:
    both = torch.cat([picture, torch.roll(picture, (0, 4), (2, 3))])
    with torch.no_grad():
        each = [loss(one[None], placed).item() for one in both]
        together = loss(both, placed.expand(2, -1, -1)).item()
    assert together == pytest.approx(np.mean(each), rel=1e-3)


def test_crops_are_those_of_the_detector(loss: LandmarkConsistency, picture: Tensor, placed: Tensor) -> None:
    pixels = (picture[0] * 255).round().byte().permute(1, 2, 0).numpy()
    for size in (256, 64, 32):
        crop = face_crop(placed, loss.scheme.normaliser, size, 1.5)
        ours, theirs = _crops((picture * 255 - 127) / 128, crop), crop_photo(pixels, crop)
        # whole numbers there, and blocks that start elsewhere where it reduces
        assert (ours - theirs).abs().mean() < (0.001 if size > 64 else 0.05)


def test_a_reference_without_a_face_is_named(loss: LandmarkConsistency, picture: Tensor) -> None:
    with pytest.raises(DataError, match="picture 1 of the reference shows no face"):
        loss(picture, torch.cat([picture, torch.zeros_like(picture)]))


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ValueError, match="unit"):
        LandmarkConsistency(unit="metres")
