"""Attention: from the global network's heat maps to where the regional network looks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hrlm.geometry import CropTransform
from hrlm.models.heatmaps import cells_to_pixels, moments, probabilities
from hrlm.schemes import Scheme


class RegionAttention(nn.Module):
    """Per region a soft map over the face, whose expectation and spread place the crop.

    The map A_r of region r is the mean of its landmarks' heat maps. The crop's centre is the expectation of A_r, its
    side `k_r` times the spread (root of the larger diagonal term of A_r's covariance), at least `floor` of the face
    crop. `k_r` is learned. Everything is differentiable.

    Args:
        scheme: names the regions.
        floor: the smallest side, as a share of the face crop's side.
    """

    members: Tensor
    mirrored: Tensor

    def __init__(self, scheme: Scheme, floor: float = 0.2) -> None:
        super().__init__()
        members = torch.zeros(len(scheme.regions), len(scheme))
        for r, region in enumerate(scheme.regions):
            members[r, list(region.landmarks)] = 1 / len(region.landmarks)
        self.register_buffer("members", members, persistent=False)
        self.register_buffer("mirrored", torch.tensor([r.mirrored for r in scheme.regions]), persistent=False)
        self.log_extent = nn.Parameter(torch.full((len(scheme.regions),), 1.5))
        self.floor = floor

    def maps(self, scores: Tensor) -> Tensor:
        """Attention maps `(B, R, H, W)`, each a distribution, of raw scores `(B, N, H, W)`."""
        return torch.einsum("rn,bnhw->brhw", self.members, probabilities(scores))

    def forward(self, scores: Tensor, face: CropTransform, size: int) -> CropTransform:
        """Region crops of `size` pixels for raw scores `(B, N, H, W)` of the B face crops: B * R, faces outermost."""
        stride = face.size // scores.shape[-1]
        centre, covariance = moments(self.maps(scores))
        spread = covariance.diagonal(dim1=-2, dim2=-1).amax(-1).clamp_min(1e-6).sqrt()
        side = torch.clamp(self.log_extent.exp() * spread * stride, min=self.floor * face.size)
        return self.place(cells_to_pixels(centre, stride), side, face, size)

    def place(self, centre: Tensor, side: Tensor, face: CropTransform, size: int) -> CropTransform:
        """Crops from centres `(B, R, 2)` and sides `(B, R)` in face-crop pixels; B * R, faces outermost."""
        batch, regions = side.shape
        # the face's frame stays: upright there is upright here. In float64 photo pixels when the face is.
        photo = face.to_photo(centre.to(face.centre))
        return CropTransform(
            centre=photo.reshape(-1, 2),
            side=(side.to(face.side) * face.scale[:, None]).reshape(-1),
            angle=face.angle.repeat_interleave(regions),
            mirrored=self.mirrored.to(face.mirrored.device).repeat(batch) ^ face.mirrored.repeat_interleave(regions),
            size=size,
        )

    @torch.no_grad()
    def fit(self, points: Tensor, margin: float) -> None:
        """Set `k_r` so that crops are `margin` times as wide as their landmarks' extent, for points `(B, N, 2)`."""
        for r in range(len(self.members)):
            own = points[:, self.members[r] > 0]
            extent = (own.amax(1) - own.amin(1)).amax(-1)
            spread = own.var(1, correction=0).amax(-1).sqrt()
            self.log_extent[r] = (margin * extent / spread.clamp_min(1e-6)).median().log()
