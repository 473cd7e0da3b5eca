"""The landmark model: global network, attention and regional network, joined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor, nn

from hrlm.geometry import CropTransform
from hrlm.models.attention import RegionAttention
from hrlm.models.cropping import crop_maps, crop_photos
from hrlm.models.fusion import fuse
from hrlm.models.heatmaps import cells_to_pixels, decode, probabilities
from hrlm.models.native import NativeLevel
from hrlm.models.pyramid import Pyramid
from hrlm.models.shape import ShapeModel
from hrlm.schemes import Scheme


@dataclass(frozen=True)
class Estimates:
    """P landmark estimates in photo pixels.

    Args:
        points: `(P, 2)`.
        covariance: `(P, 2, 2)` in photo pixels².
        index: `(P,)`, face times N plus landmark.
    """

    points: Tensor
    covariance: Tensor
    index: Tensor

    @staticmethod
    def cat(parts: Sequence[Estimates]) -> Estimates:
        """The estimates of all parts, in order."""
        return Estimates(*(torch.cat([getattr(p, f.name) for p in parts]) for f in fields(Estimates)))


class LandmarkModel(nn.Module):
    """Levels 0 and 1: where to look, and where exactly; a model may have `native`, level 2, and a `shape_model`.

    Args:
        scheme: the landmarks and regions.
        face_size: pixels a side of the global network's face crop, a multiple of 32.
        region_size: pixels a side of a region's tile, a multiple of 32.
        global_width, regional_width: decoder channels.
        regional_coarsest: stride of the regional network's coarsest features.
    """

    mirror: Tensor
    pair_region: Tensor
    pair_landmark: Tensor
    pair_channel: Tensor
    variance_scale: Tensor
    global_weight: Tensor

    def __init__(
        self,
        scheme: Scheme,
        face_size: int,
        region_size: int,
        global_width: int,
        regional_width: int,
        regional_coarsest: int = 32,
    ) -> None:
        super().__init__()
        self.scheme, self.face_size, self.region_size = scheme, face_size, region_size
        # of each region's crops in use; training has them all of one size
        self.region_sizes = (region_size,) * len(scheme.regions)
        self.global_net = Pyramid(len(scheme), global_width)
        self.attention = RegionAttention(scheme)
        self.regional_net = Pyramid(len(scheme), regional_width, len(scheme), regional_coarsest)
        self.native: NativeLevel | None = None
        self.shape_model: ShapeModel | None = None
        pairs = [
            (r, landmark, scheme.mirror[landmark] if region.mirrored else landmark)
            for r, region in enumerate(scheme.regions)
            for landmark in region.landmarks
        ]
        region, landmark, channel = torch.tensor(pairs).unbind(1)
        self.register_buffer("pair_region", region, persistent=False)
        self.register_buffer("pair_landmark", landmark, persistent=False)
        self.register_buffer("pair_channel", channel, persistent=False)
        self.register_buffer("mirror", torch.tensor(scheme.mirror), persistent=False)
        # what the maps' own variances are multiplied by to mean what they say: global, regional, fused
        self.register_buffer("variance_scale", torch.ones(3))
        # how much of the global level's information counts beside the regional one, which was made from it: fitted
        self.register_buffer("global_weight", torch.ones(()))

    def region_crops(self, scores: Tensor, face: CropTransform) -> CropTransform:
        """Where to look: B * R region crops for the global scores `(B, N, H, W)` of B face crops."""
        return self.attention(scores, face, self.region_size)

    def look_at_regions(
        self,
        photos: Sequence[np.ndarray],
        face: CropTransform,
        scores: Tensor,
        regional_net: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> Estimates:
        """What the regional network makes of every region of B faces.

        Args:
            photos: each face's, `(H, W, 3)` uint8 sRGB.
            face, scores: the B face crops and the global scores `(B, N, H, W)` of them.
            regional_net: this model's, as it is to be run, on pixels and context; `self.regional_net` where not said.
        """
        every = self.region_crops(scores, face)
        seen = []
        for size in sorted(set(self.region_sizes)):
            regions = [r for r, own in enumerate(self.region_sizes) if own == size]
            # (B, R): each face's crops of these regions
            rows = torch.arange(len(every)).unflatten(0, (len(face), -1))[:, regions]
            crops = every.resized(size)[rows.flatten()]
            pixels = crop_photos(photos, [every.resized(size)[own] for own in rows], scores.device)
            found = (regional_net or self.regional_net)(pixels, self.context(scores, face, crops, regions))
            seen.append(self.regional_estimates(found, crops, regions))
        return Estimates.cat(seen)

    def context(
        self, scores: Tensor, face: CropTransform, crops: CropTransform, regions: Sequence[int] | None = None
    ) -> Tensor:
        """The global heat maps as each region crop sees them.

        Each map is divided by its peak, so that a cell says how likely it is against the best one. In a mirrored
        region the channels change places with their twins, as the landmarks do.

        Args:
            scores: `(B, N, H, W)` of the B face crops.
            crops: B * R region crops of S pixels, faces outermost.
            regions: which R regions, by number; all where not said.

        Returns:
            `(B * R, N, S / 4, S / 4)`.
        """
        maps = probabilities(scores)
        maps = maps / maps.amax((-1, -2), keepdim=True)
        twins = maps[:, self.mirror]
        regions = self._regions(regions)
        local = crops.to(maps.device, torch.float32)
        faces = face.to(maps.device, torch.float32)
        stride = self.regional_net.stride
        seen = [
            crop_maps(twins if self.scheme.regions[region].mirrored else maps, faces, local[r :: len(regions)], stride)
            for r, region in enumerate(regions)
        ]
        return torch.stack(seen, 1).flatten(0, 1)

    def global_estimates(self, scores: Tensor, face: CropTransform) -> Estimates:
        """Every landmark as the global network sees it, from its scores `(B, N, H, W)`."""
        cells, covariance = decode(scores)
        points, covariance = _to_photo(cells, covariance, self.global_net.stride, face)
        every = torch.arange(len(self.scheme), device=points.device).expand(len(face), -1)
        index = self._index(every, face.mirrored)
        return Estimates(points.flatten(0, 1), covariance.flatten(0, 1) * self._scale(0, covariance), index)

    def regional_estimates(
        self, scores: Tensor, crops: CropTransform, regions: Sequence[int] | None = None
    ) -> Estimates:
        """The regions' own landmarks, from their scores `(B * R, N, H, W)`; one estimate per region that has it.

        Args:
            crops, regions: as of `context`.
        """
        regions = self._regions(regions)
        batch = len(crops) // len(regions)
        # (pairs,): which of these regions, landmark and channel
        places = self.pair_region.new_full((len(self.scheme.regions),), -1)
        places[list(regions)] = torch.arange(len(regions), device=places.device)
        place = places[self.pair_region]
        here = place >= 0
        place, landmark, channel = place[here], self.pair_landmark[here], self.pair_channel[here]
        own = scores.unflatten(0, (batch, len(regions)))[:, place, channel]
        cells, covariance = decode(own)
        pairs = (torch.arange(batch)[:, None] * len(regions) + place.cpu()).flatten().to(crops.side.device)
        points, covariance = _to_photo(
            cells.reshape(-1, 1, 2), covariance.reshape(-1, 1, 2, 2), self.regional_net.stride, crops[pairs]
        )
        flipped = crops.mirrored[:: len(regions)] ^ self.scheme.regions[regions[0]].mirrored
        index = self._index(landmark.to(points.device).expand(batch, -1), flipped)
        return Estimates(points[:, 0], covariance[:, 0] * self._scale(1, covariance), index)

    def _regions(self, chosen: Sequence[int] | None) -> Sequence[int]:
        return range(len(self.scheme.regions)) if chosen is None else chosen

    def _index(self, landmarks: Tensor, mirrored: Tensor) -> Tensor:
        """Estimates' index for landmarks `(B, K)` of the viewed faces: in a mirrored face twins change places."""
        real = torch.where(mirrored[:, None], self.mirror.to(landmarks.device)[landmarks], landmarks)
        return (torch.arange(len(real), device=real.device)[:, None] * len(self.scheme) + real).flatten()

    def fuse(self, coarse: Sequence[Estimates], fine: Sequence[Estimates], faces: int) -> tuple[Tensor, Tensor]:
        """Points `(faces, N, 2)` and covariance `(faces, N, 2, 2)` in photo pixels from the levels' estimates.

        Inverse-covariance weighting holds for independent errors. Several views of one level (the face as it is and
        mirrored) make much the same errors: they share one view's information. So does the global level, whose maps
        the regional network had as context: it enters with `global_weight` of its information.

        Args:
            coarse: the global level's views.
            fine: the regional level's views; empty for the global network alone.
        """
        weight = float(self.global_weight.clamp_min(1e-6)) if fine else 1.0
        parts = [(e, weight / len(coarse)) for e in coarse] + [(e, 1 / len(fine)) for e in fine]
        points, covariance = fuse(
            torch.cat([e.points for e, _ in parts]),
            torch.cat([e.covariance / w for e, w in parts]),
            torch.cat([e.index for e, _ in parts]),
            faces * len(self.scheme),
        )
        if fine:
            covariance = covariance * self._scale(2, covariance)
        return points.unflatten(0, (faces, -1)), covariance.unflatten(0, (faces, -1))

    def shaped(self, points: Tensor, covariance: Tensor, full: bool, habits: bool = True) -> tuple[Tensor, Tensor]:
        """Points and covariance as of `fuse`, after the shape model's word where there is one; see `ShapeModel`."""
        if self.shape_model is None:
            return points, covariance
        return self.shape_model(points, covariance, full, habits)

    def _scale(self, level: int, like: Tensor) -> Tensor:
        return self.variance_scale[level].to(like.device, like.dtype)


def _to_photo(cells: Tensor, covariance: Tensor, stride: int, crops: CropTransform) -> tuple[Tensor, Tensor]:
    """Cells of crops `(B, K, 2)` with covariance to photo pixels, in the crops' own precision and place."""
    pixels = cells_to_pixels(cells, stride).to(crops.centre)
    return crops.to_photo(pixels), crops.covariance_to_photo(covariance.to(crops.centre) * stride**2)
