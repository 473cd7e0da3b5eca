"""One step of training: the losses of a batch, from pixels to score maps and back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hrlm.geometry import CropTransform
from hrlm.models.cropping import crop_photos
from hrlm.models.heatmaps import pixels_to_cells
from hrlm.models.nets import LandmarkModel
from hrlm.training.augment import jitter_regions
from hrlm.training.batches import Batch
from hrlm.training.config import Stage
from hrlm.training.native_step import native_loss
from hrlm.training.objectives import Label, objective
from hrlm.training.objectives.labels import contour_directions, contour_triples, edge_directions, stretch
from hrlm.training.optimisation import autocast

# landmarks that a crop happens to show besides its own teach too, but less
OTHERS_WEIGHT = 0.15


@dataclass(frozen=True)
class Losses:
    """Mean loss per landmark of each level; None for a level that does not learn. Level 2's is the fine one."""

    coarse: Tensor | None
    fine: Tensor | None

    @property
    def total(self) -> Tensor:
        """What is minimised."""
        return sum(part for part in (self.coarse, self.fine) if part is not None)  # type: ignore[return-value]


def level_loss(
    scores: Tensor,
    points: Tensor,
    crops: CropTransform,
    weight: Tensor,
    stage: Stage,
    directions: Tensor | None = None,
) -> Tensor:
    """Weighted mean objective of score maps.

    Args:
        scores: `(B, N, H, W)`.
        points: `(B, N, 2)` the truth in the crops' pixels.
        weight: `(B, N)`; landmarks outside of the crop count nothing whatever it says.
        directions: `(B, N, 2, 2)` along which labels are `stage.elongation` times as wide; None for round labels.
    """
    size = scores.shape[-1]
    cells = pixels_to_cells(points, crops.size // size).to(scores.dtype)
    inside = ((cells > -0.5) & (cells < size - 0.5)).all(-1)
    chosen = (inside & (weight > 0)).nonzero(as_tuple=True)
    wide = None if directions is None else stretch(directions.to(scores.dtype)[chosen], stage.elongation)[None]
    losses = objective(scores[chosen][None], Label(cells[chosen][None], stage.sigma, wide), stage)[0]
    # when the attention learns, an error is worth what it is in the photo, or crops would grow to make cells coarse
    worth = (crops.scale / crops.scale.detach()).to(losses.dtype)[chosen[0]] * weight[chosen]
    return (losses * worth).sum() / weight[chosen].sum().clamp_min(1)


def label_directions(
    points: Tensor, visible: Tensor, pixels: Tensor, stage: Stage, net: LandmarkModel
) -> Tensor | None:
    """Directions `(B, N, 2, 2)` in which labels are elongated, None where they are round.

    Args:
        points: `(B, N, 2)` the truth in the crops' pixels.
        visible: `(B, N)` 0 for landmarks that are not known.
        pixels: `(B, 3, S, S)` the crops.
    """
    if stage.elongation == 1:
        return None
    if stage.elongate_along == "contour":
        known = points.detach().masked_fill(visible[..., None] == 0, torch.nan)
        return contour_directions(known, contour_triples(net.scheme.contours))
    return edge_directions(pixels.detach(), points.detach(), net.global_net.stride)


def batch_losses(
    net: LandmarkModel,
    batch: Batch,
    stage: Stage,
    device: torch.device,
    generator: torch.Generator,
    part: int = 0,
    parts: int = 1,
) -> Losses:
    """Losses of a batch. Levels that do not learn run without gradient; see `Stage.train`.

    Args:
        generator: of what is drawn for the whole step's batch. Every part draws the same and takes its own, so that
            a step does not depend on how many parts it is done in.
        part, parts: which of the equal parts of the step's batch this one is.
    """
    if net.native is not None and "native" in stage.train:
        return Losses(None, native_loss(net.native, batch, stage, device, generator, part, parts))
    face = batch.face.to(device, torch.float32)
    points = batch.points.to(device, torch.float32)
    visible = batch.visible.to(device)
    faces = batch.pixels.to(device)
    lower = autocast(device, stage)
    with torch.set_grad_enabled("global" in stage.train), lower:
        scores = net.global_net(faces)
    scores = scores.float()
    coarse = None
    if "global" in stage.train:
        truth = face.to_crop(points)
        coarse = level_loss(scores, truth, face, visible, stage, label_directions(truth, visible, faces, stage, net))
    if "regional" not in stage.train:
        return Losses(coarse, None)
    end_to_end = "attention" in stage.train
    with torch.set_grad_enabled(end_to_end):
        crops = net.region_crops(scores, face)
        if stage.draw_sizes:
            drawn = torch.randint(len(stage.draw_sizes), (), generator=generator)
            crops = crops.resized(stage.draw_sizes[int(drawn)])
        own = slice(part * len(crops), (part + 1) * len(crops))
        crops = jitter_regions(CropTransform.cat([crops] * parts), generator)[own]
    seen = scores if end_to_end else scores.detach()
    context = net.context(seen, face, crops if end_to_end else crops.detach())
    # the global network knows its training photos better than it will know others: the context must not be trusted
    keep = torch.rand(len(context) * parts, 1, 1, 1, generator=generator)[own] > 0.25
    context = context * keep.to(context)
    regions = len(net.scheme.regions)
    pixels = crop_photos(batch.photos, [crops[i : i + regions] for i in range(0, len(crops), regions)], device)
    truth = points.repeat_interleave(regions, 0)
    flipped = net.attention.mirrored.repeat(len(batch.photos))
    truth = crops.to_crop(torch.where(flipped[:, None, None], truth[:, net.mirror], truth))
    seen_truth = visible.repeat_interleave(regions, 0)
    seen_truth = torch.where(flipped[:, None], seen_truth[:, net.mirror], seen_truth)
    members = torch.zeros(regions, len(net.scheme), device=device)
    members[net.pair_region, net.pair_channel] = 1
    weight = members.clamp_min(OTHERS_WEIGHT).repeat(len(batch.photos), 1) * seen_truth
    with lower:
        fine = net.regional_net(pixels, context)
    directions = label_directions(truth, seen_truth, pixels, stage, net)
    return Losses(coarse, level_loss(fine.float(), truth, crops, weight, stage, directions))
