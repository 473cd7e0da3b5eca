import pytest
import torch

from hrlm.geometry import CropTransform
from hrlm.models.attention import RegionAttention
from hrlm.models.heatmaps import cells_to_pixels, gaussian_maps
from hrlm.schemes import load_scheme

SCHEME = load_scheme("ibug68")


def face(batch: int = 1) -> CropTransform:
    return CropTransform.make(torch.full((batch, 2), 500.0), torch.full((batch,), 512.0), 256)


def spread_points(batch: int = 1) -> torch.Tensor:
    """Points in cells, each landmark somewhere else."""
    generator = torch.Generator().manual_seed(3)
    return 12 + 40 * torch.rand(batch, len(SCHEME), 2, generator=generator)


def test_crops_are_centred_on_their_landmarks() -> None:
    points = spread_points(2)
    attention = RegionAttention(SCHEME)
    crops = attention(gaussian_maps(points, 64, 64, 1.0).log(), face(2), 192)
    assert len(crops) == 2 * len(SCHEME.regions)
    for b in range(2):
        for r, region in enumerate(SCHEME.regions):
            middle = cells_to_pixels(points[b, list(region.landmarks)].mean(0), 4)
            expected = face().to_photo(middle[None, None])[0, 0]
            assert torch.allclose(crops.centre[b * len(SCHEME.regions) + r], expected, atol=0.05)


def test_mirrored_regions_are_mirrored_and_a_mirrored_face_mirrors_them_back() -> None:
    scores = gaussian_maps(spread_points(), 64, 64, 1.0).log()
    attention = RegionAttention(SCHEME)
    plain = attention(scores, face(), 192).mirrored.tolist()
    assert plain == [r.mirrored for r in SCHEME.regions]
    straight = face()
    flipped = CropTransform(straight.centre, straight.side, straight.angle, torch.tensor([True]), straight.size)
    assert attention(scores, flipped, 192).mirrored.tolist() == [not m for m in plain]


def test_fit_makes_crops_the_margin_wide() -> None:
    points = spread_points(4)
    attention = RegionAttention(SCHEME)
    attention.fit(cells_to_pixels(points, 4), margin=1.5)
    crops = attention(gaussian_maps(points, 64, 64, 0.3).log(), face(4), 192)
    nose = next(i for i, r in enumerate(SCHEME.regions) if r.name == "nose")
    own = cells_to_pixels(points[:, list(SCHEME.regions[nose].landmarks)], 4)
    extents = 2 * (own.amax(1) - own.amin(1)).amax(-1)  # photo pixels are half as large
    ratios = crops.side[nose :: len(SCHEME.regions)] / extents
    assert ratios.median().item() == pytest.approx(1.5, rel=0.1)


def test_a_tiny_region_keeps_the_floor() -> None:
    points = torch.full((1, len(SCHEME), 2), 30.0)
    crops = RegionAttention(SCHEME, floor=0.25)(gaussian_maps(points, 64, 64, 0.5).log(), face(), 192)
    assert torch.allclose(crops.side, torch.full_like(crops.side, 128.0))


def test_gradients_reach_the_scores_and_the_extent() -> None:
    scores = gaussian_maps(spread_points(), 64, 64, 1.0).log().requires_grad_()
    attention = RegionAttention(SCHEME)
    crops = attention(scores, face(), 192)
    (crops.centre.sum() + crops.side.sum()).backward()
    assert scores.grad is not None
    assert scores.grad.abs().max() > 0
    assert attention.log_extent.grad is not None
    assert (attention.log_extent.grad > 0).all()
