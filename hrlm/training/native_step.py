"""One step of level 2's training, and its validation: windows around landmarks that are known roughly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hrlm.geometry import CropTransform
from hrlm.models.cropping import crop_photos
from hrlm.models.native import CELL_SIDE, HALO, SMALLEST, NativeLevel, cell_positions, log_prior, window_reach
from hrlm.training.batches import Batch
from hrlm.training.config import Stage
from hrlm.training.data import Sample
from hrlm.training.objectives import Label, objective
from hrlm.training.optimisation import autocast

# pixels of the tiles that teach
TILE = 320
# deviations of the priors in units of the normaliser: from what the levels before reach to what they reach on bad days
PRIOR = (0.003, 0.03)
# densities that are taught, of the level's: from below the smallest that it is asked for; enlarging adds nothing
LEAST_DENSITY, MOST_ENLARGED = 0.3, 1.25
# log density of a prior beyond its window, while training
FLOOR = -30.0
# what `validate_native` reports
NATIVE_FIGURES = ("prior nme", "native nme")
# the prior that validation starts from
VALIDATED_PRIOR = 0.008


def native_loss(
    level: NativeLevel,
    batch: Batch,
    stage: Stage,
    device: torch.device,
    generator: torch.Generator,
    part: int = 0,
    parts: int = 1,
) -> Tensor:
    """Mean objective of level 2's maps, each multiplied by a prior that is off as its covariance says.

    Each face gives one tile around one of its landmarks, drawn with its density; all landmarks whose windows the tile
    holds teach.

    Args:
        generator, part, parts: as of `step.batch_losses`.
    """
    count, n = len(batch.photos), len(level.scheme)
    drawn = torch.rand(count * parts, 7 * n + 8, generator=generator)[part * count : (part + 1) * count]
    tiles, seen = [], []
    for b in range(count):
        tile = _tile(level, batch, b, drawn[b])
        if tile is not None:
            tiles.append(tile)
            seen.append(b)
    if not tiles:
        return level.net.score.weight.sum() * 0
    crops = CropTransform.cat([crop for crop, _ in tiles])
    pixels = crop_photos([batch.photos[b] for b in seen], [crops[i : i + 1] for i in range(len(crops))], device)
    with autocast(device, stage):
        maps = level.net(pixels)
    maps = maps.float()
    at = cell_positions(TILE)
    losses = []
    for i, b in enumerate(seen):
        members = tiles[i][1]
        truth = crops[i : i + 1].to_crop(batch.points[b, members][None])[0].float() - (TILE - 1) / 2
        mean, covariance = _prior(truth, members, drawn[b], float(crops.scale[i]), _unit(level, batch.points[b]))
        inside = truth.abs().amax(-1) + window_reach(covariance) < TILE / 2 - HALO
        inside &= ((truth - mean).abs().amax(-1) < window_reach(covariance)) & (batch.visible[b, members] > 0)
        if not inside.any():
            continue
        mirrored = bool(crops.mirrored[i] ^ batch.face.mirrored[b])
        channel = [level.channel_of(m, mirrored) for m, kept in zip(members, inside.tolist(), strict=True) if kept]
        prior = log_prior(at, at, mean[inside], covariance[inside]).to(device)
        # labels are Gaussians without end: beyond the window, too, they must cost no more than a lot
        scores = maps[i, channel] + prior.clamp_min(FLOOR)
        cells = (truth[inside] - at[0]) / CELL_SIDE
        losses.append(objective(scores[None], Label(cells[None].to(device), stage.sigma, None), stage)[0])
    return torch.cat(losses).mean() if losses else level.net.score.weight.sum() * 0


def _tile(level: NativeLevel, batch: Batch, b: int, drawn: Tensor) -> tuple[CropTransform, list[int]] | None:
    """A tile `(1,)` of one face of a batch and the landmarks of its region; None where the face shows too little."""
    height, width = batch.photos[b].shape[:2]
    points = batch.points[b]
    ends = points.new_tensor([width, height]) - 0.5
    there = ((points > -0.5) & (points < ends)).all(-1) & (batch.visible[b] > 0)
    choices = [(mirrored, own) for mirrored, own in level.regions if there[own].any()]
    unit = _unit(level, points)
    if not choices or unit < LEAST_DENSITY * level.unit / MOST_ENLARGED:
        return None
    mirrored, own = choices[int(drawn[0] * len(choices))]
    shown = [i for i in own if there[i]]
    middle = points[shown[int(drawn[1] * len(shown))]]
    most = min(1.0, MOST_ENLARGED * unit / level.unit)
    density = LEAST_DENSITY * (most / LEAST_DENSITY) ** float(drawn[2])
    side = torch.tensor([unit / (density * level.unit) * TILE], dtype=torch.float64)
    # off the landmark, so that it may lie anywhere in the tile
    shift = (drawn[3:5].double() - 0.5) * 0.4 * side
    face = batch.face
    flipped = torch.tensor([mirrored]) ^ face.mirrored[b : b + 1]
    return CropTransform((middle + shift)[None], side, face.angle[b : b + 1], flipped, TILE), shown


def _unit(level: NativeLevel, points: Tensor) -> float:
    a, b = level.scheme.normaliser
    return float((points[a] - points[b]).norm())


def _prior(truth: Tensor, members: list[int], drawn: Tensor, scale: float, unit: float) -> tuple[Tensor, Tensor]:
    """Priors of landmarks `(P, 2)` in a tile's pixels: means that are off by a draw from their covariances."""
    own = drawn[8:].reshape(-1, 7)[members]
    low, high = PRIOR
    deviation = low * (high / low) ** own[:, :2] * unit / scale
    turn = np.pi * own[:, 2]
    c, s = turn.cos(), turn.sin()
    axes = torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)
    # two normal deviates of two even ones (Box and Muller)
    radius, angle = (-2 * own[:, 3].clamp_min(1e-6).log()).sqrt(), 2 * np.pi * own[:, 4]
    # over the root of half a chi-squared variate of four degrees of freedom: a t of TAIL, 4, and unit variance
    wide = (-own[:, 5:7].clamp_min(1e-6).log().sum(-1, keepdim=True)).rsqrt()
    off = deviation * torch.stack([radius * angle.cos(), radius * angle.sin()], -1) * wide
    mean = truth + (axes @ off[..., None])[..., 0]
    return mean, axes * deviation[:, None] ** 2 @ axes.transpose(-1, -2)


@torch.no_grad()
def validate_native(level: NativeLevel, samples: Sequence[Sample], device: torch.device) -> dict[str, float]:
    """Errors in % of the normaliser before and after level 2, on landmarks that the photos show.

    The priors are off by 0.8 % in each direction, the same for a sample each time.
    """
    before, after = [], []
    for number, sample in enumerate(samples):
        points = torch.from_numpy(sample.points)
        unit = _unit(level, points)
        height, width = sample.pixels.shape[:2]
        inside = ((points > -0.5) & (points < points.new_tensor([width, height]) - 0.5)).all(-1)
        if sample.visible is not None:
            inside &= torch.from_numpy(sample.visible)
        own = [i for i in level.landmarks if inside[i]]
        if not own or unit < SMALLEST * level.unit:
            continue
        generator = torch.Generator().manual_seed(number)
        deviation = VALIDATED_PRIOR * unit
        off = deviation * torch.randn(points.shape, generator=generator, dtype=torch.float64)
        covariance = (deviation**2 * torch.eye(2, dtype=torch.float64)).repeat(len(points), 1, 1)
        # the truth is what the network finds: no convention
        found, _ = level.refine(sample.pixels, points + off, covariance, convention=False)
        before.append(100 / unit * off[own].norm(dim=-1))
        after.append(100 / unit * (found - points)[own].norm(dim=-1))
    means = [float(torch.cat(each).mean()) if each else float("nan") for each in (before, after)]
    return dict(zip(NATIVE_FIGURES, means, strict=True))
