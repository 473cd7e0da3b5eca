from dataclasses import replace

import pytest
import torch

from hrlm.geometry import CropTransform
from hrlm.models.heatmaps import gaussian_maps, pixels_to_cells
from hrlm.models.nets import Estimates, LandmarkModel
from hrlm.schemes import load_scheme

SCHEME = load_scheme("ibug68")
DOUBLE = torch.float64


def make() -> LandmarkModel:
    torch.manual_seed(0)
    return LandmarkModel(SCHEME, 256, 192, 16, 16).eval()


def faces() -> CropTransform:
    return CropTransform.make(
        torch.tensor([[900.0, 700.0], [300.0, 200.0]], dtype=DOUBLE),
        torch.tensor([800.0, 260.0], dtype=DOUBLE),
        256,
        torch.tensor([0.3, -0.1], dtype=DOUBLE),
    )


def points_in(face: CropTransform) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    inside = 40 + 170 * torch.rand(len(face), len(SCHEME), 2, generator=generator, dtype=DOUBLE)
    return face.to_photo(inside)


def test_perfect_global_maps_give_the_points_back_in_photo_pixels() -> None:
    net, face = make(), faces()
    truth = points_in(face)
    scores = gaussian_maps(pixels_to_cells(face.to_crop(truth), 4).float(), 64, 64, 1.0).log()
    points, covariance = net.fuse([net.global_estimates(scores, face)], [], 2)
    assert (points - truth).abs().max() < 0.05
    # one cell is 4 crop pixels; a crop pixel of the first face 800 / 256 photo pixels
    expected = (1 + 1 / 12) * (4 * 800 / 256) ** 2
    assert torch.allclose(covariance[0].diagonal(dim1=-2, dim2=-1), torch.tensor(expected, dtype=DOUBLE), rtol=0.02)


@pytest.mark.parametrize("flip", [False, True])
def test_perfect_regional_maps_give_the_points_back_also_through_mirrored_crops(flip: bool) -> None:
    net, face = make(), faces()
    face = replace(face, mirrored=torch.full((2,), flip))
    truth = points_in(face)
    regions = len(SCHEME.regions)
    crops = CropTransform.make(
        face.centre.repeat_interleave(regions, 0),
        face.side.repeat_interleave(regions),
        192,
        face.angle.repeat_interleave(regions),
        torch.tensor([r.mirrored ^ flip for r in SCHEME.regions] * 2),
    )
    seen = truth.repeat_interleave(regions, 0)
    channels = torch.where(crops.mirrored[:, None, None], seen[:, list(SCHEME.mirror)], seen)
    scores = gaussian_maps(pixels_to_cells(crops.to_crop(channels), 4).float(), 48, 48, 1.0).log()
    # a coarse level that is wrong and sure of it must count for nothing at weight 0
    wrong = gaussian_maps(torch.full((2, len(SCHEME), 2), 20.0), 64, 64, 0.5).log()
    net.global_weight.zero_()
    points, _ = net.fuse([net.global_estimates(wrong, face)], [net.regional_estimates(scores, crops)], 2)
    assert (points - truth).abs().max() < 0.1


def test_views_of_a_level_are_averaged_and_do_not_add_certainty() -> None:
    net, face = make(), faces()
    truth = points_in(face)
    scores = gaussian_maps(pixels_to_cells(face.to_crop(truth), 4).float(), 64, 64, 1.0).log()
    flipped = replace(face, mirrored=torch.tensor([True, True]))
    viewed = flipped.to_crop(truth[:, list(SCHEME.mirror)]) + torch.tensor([0.0, 3.0])
    other = gaussian_maps(pixels_to_cells(viewed, 4).float(), 64, 64, 1.0).log()
    straight, turned = net.global_estimates(scores, face), net.global_estimates(other, flipped)
    alone, sure = net.fuse([straight], [], 2)
    both, shared = net.fuse([straight, turned], [], 2)
    moved = face.to_crop(both) - face.to_crop(alone)
    assert torch.allclose(moved, torch.tensor([0.0, 1.5], dtype=DOUBLE).expand_as(moved), atol=0.05)
    assert (shared - sure).abs().max() < 0.02 * sure.max()


def test_context_shows_each_region_the_global_maps_at_its_landmarks() -> None:
    net, face = make(), faces()
    truth = points_in(face)
    scores = gaussian_maps(pixels_to_cells(face.to_crop(truth), 4).float(), 64, 64, 1.5).log()
    crops = net.region_crops(scores, face)
    context = net.context(scores, face, crops)
    assert context.shape == (14, 68, 48, 48)
    assert context.max() <= 1.0001
    for r, region in enumerate(SCHEME.regions):
        for landmark in region.landmarks:
            channel = SCHEME.mirror[landmark] if region.mirrored else landmark
            cells = pixels_to_cells(crops[[r]].to_crop(truth[:1, [landmark]]), 4)[0, 0]
            if ((cells > 2) & (cells < 45)).all():
                y, x = divmod(int(context[r, channel].argmax()), 48)
                assert (torch.tensor([x, y]) - cells).abs().max() < 2.5


def test_a_face_gives_the_same_alone_and_in_a_batch() -> None:
    net, face = make(), faces()
    pixels = torch.randn(2, 3, 256, 256)
    with torch.no_grad():
        together = net.global_net(pixels)
        alone = net.global_net(pixels[1:])
    assert torch.allclose(together[1:], alone, atol=1e-4)
    a = net.global_estimates(together, face).points[68:]
    b = net.global_estimates(alone, face[1:]).points
    assert (a - b).abs().max() < 0.01


@pytest.mark.parametrize("flip", [False, True])
def test_regions_looked_at_apart_tell_the_same_as_together(flip: bool) -> None:
    net, face = make(), replace(faces(), mirrored=torch.tensor([flip, not flip]))
    torch.manual_seed(2)
    scores = 3 * torch.randn(2, len(SCHEME), 64, 64)
    crops = net.region_crops(scores, face)
    context = net.context(scores, face, crops)
    fine = torch.randn(len(crops), len(SCHEME), 48, 48)
    together = net.regional_estimates(fine, crops)
    parts = []
    for regions in ([1, 3, 6], [0], [2, 4, 5]):
        rows = [face * len(SCHEME.regions) + r for face in range(2) for r in regions]
        assert torch.equal(net.context(scores, face, crops[rows], regions), context[rows])
        parts.append(net.regional_estimates(fine[rows], crops[rows], regions))
    apart = Estimates.cat(parts)

    def in_order(e: Estimates) -> torch.Tensor:
        table = torch.cat([e.index[:, None].double(), e.points, e.covariance.flatten(1)], 1)
        return torch.stack(sorted(table.unbind(), key=lambda row: row.tolist()))

    assert torch.allclose(in_order(apart), in_order(together), atol=0.05)
