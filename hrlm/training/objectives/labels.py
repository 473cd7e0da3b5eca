"""What a map should look like: a Gaussian around the labelled point, wider along a contour than across it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from hrlm.models.heatmaps import gaussian_maps
from hrlm.schemes.scheme import Contour


@dataclass(frozen=True)
class Label:
    """Labelled points with how precisely they are known.

    Args:
        points: `(B, N, 2)` in cells, inside the map.
        sigma: cells; the standard deviation in every direction, or across the contour.
        stretch: `(B, N, 2, 2)` the covariance in units of sigma²; None for the same in every direction.
    """

    points: Tensor
    sigma: float
    stretch: Tensor | None = None

    def maps(self, height: int, width: int) -> Tensor:
        """The labels as distributions `(B, N, H, W)`, each of sum 1. No gradient flows through them."""
        points = self.points.detach()
        if self.stretch is None:
            return gaussian_maps(points, height, width, self.sigma)
        xs = torch.arange(width, device=points.device, dtype=points.dtype) - points[..., :1]
        ys = torch.arange(height, device=points.device, dtype=points.dtype) - points[..., 1:]
        inverse = torch.linalg.inv(self.covariance)
        x_part = inverse[..., 0, 0, None] * xs**2
        y_part = inverse[..., 1, 1, None] * ys**2
        cross = 2 * (inverse[..., 0, 1, None] * ys)[..., :, None] * xs[..., None, :]
        distance = x_part[..., None, :] + y_part[..., :, None] + cross
        return (-distance / 2).flatten(2).softmax(-1).view_as(distance)

    @property
    def covariance(self) -> Tensor:
        """`(B, N, 2, 2)` in cells²; no gradient."""
        if self.stretch is None:
            unit = torch.eye(2, device=self.points.device, dtype=self.points.dtype)
            return (self.sigma**2 * unit).expand(*self.points.shape, 2)
        return self.sigma**2 * self.stretch.detach()


def stretch(directions: Tensor, elongation: float) -> Tensor:
    """Covariances `(B, N, 2, 2)` whose standard deviation is `elongation` along a fully certain direction, 1 across.

    Args:
        directions: `(B, N, 2, 2)` s t tᵀ for a direction t known with certainty s of 0 to 1.
        elongation: at least 1.
    """
    unit = torch.eye(2, device=directions.device, dtype=directions.dtype)
    return unit + (elongation**2 - 1) * directions


def contour_triples(contours: Sequence[Contour]) -> list[tuple[int, int, int]]:
    """Every landmark inside of a contour with the one before and the one after it; ends of open ones have none."""
    triples = []
    for contour in contours:
        line = contour.landmarks
        if contour.closed:
            line = (line[-1], *line, line[0])
        triples += list(zip(line, line[1:], line[2:], strict=False))
    return triples


@torch.no_grad()
def contour_directions(points: Tensor, triples: Sequence[tuple[int, int, int]]) -> Tensor:
    """Direction of the contour through each landmark, as certain as the contour is straight there.

    The certainty is the cosine of the angle by which the contour turns at the landmark: 1 on a straight line, 0 from
    a right angle on, so that corners of eyes and mouth, which are points and not places on a line, stay round.

    Args:
        points: `(B, N, 2)` in any pixels; NaN where unknown.
        triples: as of `contour_triples`.

    Returns:
        `(B, N, 2, 2)`; 0 for landmarks in no contour or beside an unknown one, the mean where several pass.
    """
    total = points.new_zeros(*points.shape, 2)
    if not triples:
        return total
    before, own, after = torch.tensor(triples, device=points.device).unbind(1)
    arriving = F.normalize(points[:, own] - points[:, before], dim=-1)
    leaving = F.normalize(points[:, after] - points[:, own], dim=-1)
    tangent = F.normalize(arriving + leaving, dim=-1)
    certainty = (arriving * leaving).sum(-1).clamp_min(0)
    each = torch.nan_to_num(certainty[..., None, None] * tangent[..., :, None] * tangent[..., None, :])
    passing = torch.bincount(own, minlength=points.shape[1]).clamp_min(1).to(points.dtype)
    return total.index_add(1, own, each) / passing[:, None, None]


@torch.no_grad()
def edge_directions(pixels: Tensor, points: Tensor, reach: int) -> Tensor:
    """Direction of the picture's edge at each landmark, as certain as the picture has one direction there.

    From the structure tensor (Bigün and Granlund, ICCV 1987): the certainty is the squared coherence of the gradients
    around the landmark.

    Args:
        pixels: `(B, 3, S, S)`.
        points: `(B, N, 2)` in these pixels.
        reach: pixels to each side that the gradients are averaged over.

    Returns:
        `(B, N, 2, 2)`; 0 where the picture is flat.
    """
    grey = F.pad(pixels.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    gx = (grey[..., 1:-1, 2:] - grey[..., 1:-1, :-2]) / 2
    gy = (grey[..., 2:, 1:-1] - grey[..., :-2, 1:-1]) / 2
    products = torch.cat([gx * gx, gx * gy, gy * gy], 1)
    for _ in range(2):
        # a box twice is near enough to a Gaussian window
        products = F.avg_pool2d(products, reach + 1 - reach % 2, stride=1, padding=reach // 2)
    grid = ((points + 0.5) * (2 / pixels.shape[-1]) - 1)[:, :, None].to(products.dtype)
    found = F.grid_sample(products, grid, mode="bilinear", padding_mode="border", align_corners=False)[..., 0]
    xx, xy, yy = found.unbind(1)
    contrast = ((xx - yy) ** 2 + 4 * xy**2).sqrt()
    tiny = torch.finfo(found.dtype).eps
    certainty = (contrast / (xx + yy).clamp_min(tiny)) ** 2
    cos, sin = (xx - yy) / contrast.clamp_min(tiny), 2 * xy / contrast.clamp_min(tiny)
    # the edge runs across the gradient: the projector on the smaller eigenvalue's direction
    along = torch.stack([torch.stack([1 - cos, -sin], -1), torch.stack([-sin, 1 + cos], -1)], -2) / 2
    return (certainty[..., None, None] * along).to(points.dtype)
