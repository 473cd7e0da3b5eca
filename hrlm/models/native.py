"""Level 2: the photo's own pixels around landmarks that the levels before have already found.

A small network with a bounded receptive field says where in a window around a landmark its contour runs. The prior,
what the levels before say of the landmark, says where along the contour it lies. Their product is the answer: where
the pixels tell nothing, it is the prior.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
import torch
from torch import Tensor, nn

from hrlm.geometry import CropTransform, rotation_matrix
from hrlm.models.backbone import norm
from hrlm.models.cropping import crop_photo
from hrlm.models.heatmaps import CELL_VARIANCE
from hrlm.models.inference import run
from hrlm.models.streaming import RunningMoments
from hrlm.schemes import Scheme

# pixels a side of a cell of the features, whose values are its first channels; then convolutions so dilated
STRIDE = 4
DILATIONS = (1, 1, 2, 4, 4, 1, 1)
# pixels a side of a score map's cell: each cell of the features scores 2 x 2 of them
CELL_SIDE = 2
# pixels on each side that a tile loses, for no convolution is padded: a cell never sees a tile's edge
HALO = STRIDE * sum(DILATIONS)
# variance within a cell, pixels²
CELL = CELL_SIDE**2 * CELL_VARIANCE
# added to a prior's variance, pixels²: sampled at cells, a Gaussian narrower than half a cell is pulled towards them
SAMPLED = (CELL_SIDE / 2) ** 2
# pixels a side that a cell sees
RECEPTIVE_FIELD = 2 * HALO + STRIDE
# degrees of freedom of the priors: errors of the levels before, over what they state, on ten rendered portraits have a
# Student t's tails (fitted: 3.8 on eyes, 4.0 on lips). A Gaussian would hold a landmark that is far off where it is.
TAIL = 4
# the window reaches so many of the prior's deviations; cut off there, a t of this scale has just the stated variance
REACH = 4.5
SCALE = 2.4
# of the normaliser's distance: a prior less sure than this does not tell which contour is meant, and stays as it is
LOST = 0.04
# of the level's density: the levels before have seen all that a smaller face shows
SMALLEST = 0.4
TILES_AT_ONCE = 16
# pixels a side of a tile, unless told otherwise
LARGEST_TILE = 512


class NativeNet(nn.Module):
    """Score maps for tiles of the photo's pixels, by convolutions without padding: what a cell says depends on its
    `RECEPTIVE_FIELD` of 116 pixels and on nothing else.

    Args:
        channels: score maps.
        width: channels between.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        widths = (3 * STRIDE**2, *(width for _ in DILATIONS))
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, dilation=d, bias=False), norm(b), nn.ReLU(inplace=True))
            for (a, b), d in zip(pairwise(widths), DILATIONS, strict=True)
        )
        self.score = nn.Conv2d(width, channels * (STRIDE // CELL_SIDE) ** 2, 1)
        # nothing learnt says nothing: the product with the prior is the prior
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)  # type: ignore[arg-type]

    def forward(self, pixels: Tensor) -> Tensor:
        """`(B, 3, S, S)` to `(B, K, (S - 2 HALO) / 2, (S - 2 HALO) / 2)`; S a multiple of 4 above 2 HALO."""
        x = nn.functional.pixel_unshuffle(pixels, STRIDE)
        for layer, dilation in zip(self.layers, DILATIONS, strict=True):
            out = layer(x)
            x = out + x[..., dilation:-dilation, dilation:-dilation] if x.shape[1] == out.shape[1] else out
        return nn.functional.pixel_shuffle(self.score(x), STRIDE // CELL_SIDE)


def cell_positions(size: int) -> Tensor:
    """Where a tile's cells lie along an axis, `((size - 2 HALO) / 2,)`, from the tile's middle in pixels."""
    count = (size - 2 * HALO) // CELL_SIDE
    return (torch.arange(count, dtype=torch.float32) - (count - 1) / 2) * CELL_SIDE


def log_prior(x: Tensor, y: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """Log density, but for a constant, of Student t at the positions of a grid; minus infinity beyond their windows.

    `-(TAIL + 2) / 2 log(1 + d² / SCALE)` for Mahalanobis distances d: bivariate t of those covariances.

    Args:
        x, y: `(W,)` and `(H,)` columns and rows.
        mean, covariance: `(P, 2)` and `(P, 2, 2)`.

    Returns:
        `(P, H, W)`.
    """
    inverse = torch.linalg.inv(covariance + SAMPLED * torch.eye(2))
    dx, dy = x - mean[:, :1], y - mean[:, 1:]
    a, b, c = (inverse[:, i, j, None] for i, j in ((0, 0), (0, 1), (1, 1)))
    distance = (a * dx**2)[:, None] + (c * dy**2)[..., None] + (2 * b * dy)[..., None] * dx[:, None]
    density = -(TAIL + 2) / 2 * (distance.clamp_min(0) / SCALE).log1p()
    # a cell counts for as much of it as lies in the window: no landmark moves by where the cells happen to lie
    outer = window_reach(covariance)[:, None] / CELL_SIDE + 0.5
    across, down = ((outer - d.abs() / CELL_SIDE).clamp(0, 1).log() for d in (dx, dy))
    return density + down[..., None] + across[:, None]


def window_reach(covariance: Tensor) -> Tensor:
    """Half the sides `(P,)` of the square windows for priors of covariance `(P, 2, 2)`."""
    # at least three cells each way, or a window might hold none
    return (REACH * torch.linalg.eigvalsh(covariance)[:, 1].sqrt()).clamp_min(3 * CELL_SIDE)


@dataclass(frozen=True)
class Windows:
    """The landmarks of one region of one face, in the pixels of a frame of its own.

    Args:
        frame: `(1,)` crop whose pixels are the frame's; its own size counts nothing.
        channel: `(P,)` of the score maps.
        mean, covariance: `(P, 2)` and `(P, 2, 2)` the priors, from the frame's middle.
    """

    frame: CropTransform
    channel: Tensor
    mean: Tensor
    covariance: Tensor

    def tile_size(self) -> int:
        """Pixels a side of those square tiles, up to `LARGEST_TILE`, that cover every window with the fewest pixels."""
        reach = window_reach(self.covariance)[:, None]
        extent = float(((self.mean + reach).amax(0) - (self.mean - reach).amin(0)).amax()) + STRIDE
        fewest = math.ceil(extent / (LARGEST_TILE - 2 * HALO))
        sizes = [2 * HALO + STRIDE * math.ceil(extent / n / STRIDE) for n in range(fewest, fewest + 4)]
        return min(sizes, key=lambda size: len(self.tiles(size)) * size**2)

    def tiles(self, size: int, offset: tuple[int, int] | None = None) -> Tensor:
        """Middles `(T, 2)` of the tiles of `size` pixels that cover every window, from the frame's middle.

        Args:
            offset: of the grid from the frame's middle, so many times 4 pixels; by default it begins where the windows
                do, which needs the fewest tiles.
        """
        step = size - 2 * HALO
        reach = window_reach(self.covariance)[:, None]
        start = (self.mean - reach).amin(0) / STRIDE
        shift = STRIDE * (start.floor() if offset is None else self.mean.new_tensor(offset))
        low, high = self.mean - reach - shift, self.mean + reach - shift
        first, last = (low / step).floor().long(), (high / step).floor().long()
        ends = zip(first.tolist(), last.tolist(), strict=True)
        places = {at for a, b in ends for at in product(range(a[0], b[0] + 1), range(a[1], b[1] + 1))}
        return (self.mean.new_tensor(sorted(places)) + 0.5) * step + shift


class NativeLevel(nn.Module):
    """Which landmarks level 2 looks at, through which channels, and at what density.

    Args:
        scheme: the landmarks and regions.
        landmarks: of the scheme, those that level 2 looks at; with each its mirror twin.
        width: of the network.
        unit: pixels between the normaliser's landmarks up to which a photo is seen at its own density; larger faces
            are reduced to it.
    """

    offset: Tensor
    prior_scale: Tensor

    def __init__(self, scheme: Scheme, landmarks: Sequence[int], width: int, unit: float) -> None:
        super().__init__()
        self.scheme, self.unit = scheme, unit
        self.landmarks = sorted({*landmarks, *(scheme.mirror[i] for i in landmarks)})
        own = [(r.mirrored, [i for i in r.landmarks if i in self.landmarks]) for r in scheme.regions]
        self.regions = [(mirrored, members) for mirrored, members in own if members]
        seen = [scheme.mirror[i] if mirrored else i for mirrored, own in self.regions for i in own]
        self.channels = {landmark: k for k, landmark in enumerate(sorted(set(seen)))}
        self.net = NativeNet(len(self.channels), width)
        # from what the network finds to the convention of the levels before: (N, 2) of the normaliser, face frame
        self.register_buffer("offset", torch.zeros(len(scheme), 2))
        # the levels before state how far annotators are from them: so much of that variance is their own
        self.register_buffer("prior_scale", torch.ones(()))

    def channel_of(self, landmark: int, mirrored: bool) -> int:
        """The score map for a landmark in a region that is seen mirrored or not."""
        return self.channels[self.scheme.mirror[landmark] if mirrored else landmark]

    def windows(self, points: Tensor, covariance: Tensor) -> list[tuple[list[int], Windows]]:
        """One face's regions, each with those of its landmarks whose prior is sure enough to look for them.

        Args:
            points, covariance: `(N, 2)` and `(N, 2, 2)` in photo pixels, of what the network finds.
        """
        a, b = self.scheme.normaliser
        axis = points[b] - points[a]
        angle, unit = torch.atan2(axis[1], axis[0])[None], axis.norm()
        if unit < SMALLEST * self.unit:
            return []
        scale = (unit / self.unit).clamp_min(1.0)[None]
        turn = rotation_matrix(angle)[0]
        sure = torch.linalg.eigvalsh(covariance)[:, 1].sqrt() < LOST * unit
        parts = []
        for mirrored, members in self.regions:
            own = [i for i in members if sure[i]]
            if not own:
                continue
            middle = (points[own].amin(0) + points[own].amax(0))[None] / 2
            frame = CropTransform.make(middle, scale * 2, 2, angle, torch.tensor([mirrored]))
            flip = points.new_tensor([[-1.0 if mirrored else 1.0, 0], [0, 1]])
            inward = flip @ turn.T / scale
            mean = (points[own] - middle) @ inward.T
            local = inward @ covariance[own] @ inward.T
            channel = torch.tensor([self.channel_of(i, mirrored) for i in own])
            parts.append((own, Windows(frame, channel, mean.float(), local.float())))
        return parts

    @torch.no_grad()
    def refine(
        self,
        pixels: np.ndarray,
        points: Tensor,
        covariance: Tensor,
        size: int | None = None,
        offset: tuple[int, int] | None = None,
        convention: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """One face's landmarks, with those that level 2 looks at found anew.

        The soft-argmax is summed exactly over tiles of `size` pixels: neither their size nor where they lie matters.

        Args:
            pixels: `(H, W, 3)` uint8, the photo.
            points, covariance: `(N, 2)` and `(N, 2, 2)` float64 in photo pixels.
            size: of a tile, a multiple of 4 above 2 x 56; by default what fits each region best.
            offset: of the tiles' grid, as of `Windows.tiles`.
            convention: whether the landmarks follow the convention of the levels before, or the network's own.

        Returns:
            points and covariance alike.
        """
        moved = self._offset(points) if convention else torch.zeros_like(points)
        share = float(self.prior_scale)
        found, spread = points.clone(), covariance.clone()
        for own, windows in self.windows(points - moved, covariance * share):
            mean, local = self._look(pixels, windows, size or windows.tile_size(), offset)
            outward = windows.frame.linear[0]
            found[own] = mean.to(points) @ outward.T + windows.frame.centre + moved[own]
            # what annotators add is added again
            spread[own] = outward @ local.to(points) @ outward.T / share
        return found, spread

    def _look(
        self, pixels: np.ndarray, windows: Windows, size: int, offset: tuple[int, int] | None
    ) -> tuple[Tensor, Tensor]:
        """Means `(P, 2)` and covariances `(P, 2, 2)` of what one region's windows show, in its frame's pixels."""
        middles = windows.tiles(size, offset)
        sums = RunningMoments(windows.mean)
        for some in middles.split(TILES_AT_ONCE):
            tiles = run(self.net, crop_photo(pixels, windows.frame.beside(some, size), self.offset.device)).cpu()
            for scores, middle in zip(tiles, some, strict=True):
                x, y = (cell_positions(size) + m for m in middle)
                sums.add(scores[windows.channel] + log_prior(x, y, windows.mean, windows.covariance), x, y)
        mean, local = sums.result()
        return mean, local + CELL * torch.eye(2)

    def _offset(self, points: Tensor) -> Tensor:
        """What the convention adds to landmarks `(N, 2)`, photo pixels."""
        a, b = self.scheme.normaliser
        axis = points[b] - points[a]
        right = axis[None]
        down = torch.stack([-axis[1], axis[0]])[None]
        by = self.offset.cpu().to(points)
        return by[:, :1] * right + by[:, 1:] * down
