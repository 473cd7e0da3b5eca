"""Ways of looking: where the crops lie, and what of them is shown."""

import cv2
import numpy as np
import pytest
import torch

from hrlm.geometry import CropTransform
from hrlm.models.views import View, softened


@pytest.mark.parametrize("aside", [False, True])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_mirrored_photo_is_looked_at_in_the_mirrored_views(aside: bool, mirrored: bool) -> None:
    width, angle = 900, torch.tensor([0.3, -1.2, 0.0], dtype=torch.float64)
    centre = torch.tensor([[310.0, 402.0], [120.5, 77.25], [600.0, 200.0]], dtype=torch.float64)
    side = torch.tensor([512.0, 90.0, 300.0], dtype=torch.float64)

    def other(centre: torch.Tensor) -> torch.Tensor:
        return torch.stack([width - 1 - centre[:, 0], centre[:, 1]], 1)

    seen = View(aside, mirrored).of(CropTransform.make(centre, side, 256, angle))
    twin = View(aside, not mirrored).of(CropTransform.make(other(centre), side, 256, -angle))
    assert torch.allclose(twin.centre, other(seen.centre))
    assert torch.allclose(twin.angle, -seen.angle)
    assert torch.equal(twin.side, seen.side)
    assert torch.equal(twin.mirrored, ~seen.mirrored)
    # and a view aside is another one, by as much whichever way the face is turned
    away = (seen.centre - centre).norm(dim=-1) / side
    assert torch.allclose(away, torch.full_like(away, 0.02 * 2**0.5 if aside else 0.0))


def test_soft_pixels_are_means_of_their_neighbourhood() -> None:
    pixels = torch.randn(2, 3, 20, 24, generator=torch.Generator().manual_seed(0))
    soft = softened(pixels).numpy()
    for picture, own in zip(pixels.numpy(), soft, strict=True):
        for channel, found in zip(picture, own, strict=True):
            assert np.allclose(found, cv2.blur(channel, (3, 3), borderType=cv2.BORDER_REPLICATE), atol=1e-6)


def test_only_a_soft_view_shows_soft_pixels() -> None:
    pixels = torch.randn(1, 3, 16, 16)
    assert torch.equal(View(aside=True, mirrored=True).shown(pixels), pixels)
    assert torch.equal(View(soft=True).shown(pixels), softened(pixels))
