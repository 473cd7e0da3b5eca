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
from hrlm.training.objectives import soft_argmax

# landmarks that a crop happens to show besides its own teach too, but less
OTHERS_WEIGHT = 0.15


@dataclass(frozen=True)
class Losses:
    """Mean loss per landmark of each level; None for a level that does not learn."""

    coarse: Tensor | None
    fine: Tensor | None

    @property
    def total(self) -> Tensor:
        """What is minimised."""
        return sum(part for part in (self.coarse, self.fine) if part is not None)  # type: ignore[return-value]


def level_loss(scores: Tensor, points: Tensor, crops: CropTransform, weight: Tensor, stage: Stage) -> Tensor:
    """Weighted mean objective of score maps.

    Args:
        scores: `(B, N, H, W)`.
        points: `(B, N, 2)` the truth in the crops' pixels.
        weight: `(B, N)`; landmarks outside of the crop count nothing whatever it says.
    """
    size = scores.shape[-1]
    cells = pixels_to_cells(points, crops.size // size).to(scores.dtype)
    inside = ((cells > -0.5) & (cells < size - 0.5)).all(-1)
    chosen = (inside & (weight > 0)).nonzero(as_tuple=True)
    losses = soft_argmax(scores[chosen][None], cells[chosen][None], stage.sigma, stage.coordinate_weight)[0]
    # when the attention learns, an error is worth what it is in the photo, or crops would grow to make cells coarse
    worth = (crops.scale / crops.scale.detach()).to(losses.dtype)[chosen[0]] * weight[chosen]
    return (losses * worth).sum() / weight[chosen].sum().clamp_min(1)


def batch_losses(
    net: LandmarkModel, batch: Batch, stage: Stage, device: torch.device, generator: torch.Generator
) -> Losses:
    """Losses of a batch. Levels that do not learn run without gradient; see `Stage.train`."""
    face = batch.face.to(device, torch.float32)
    points = batch.points.to(device, torch.float32)
    with torch.set_grad_enabled("global" in stage.train):
        scores = net.global_net(batch.pixels.to(device))
    coarse = None
    if "global" in stage.train:
        weight = torch.ones(points.shape[:2], device=device)
        coarse = level_loss(scores, face.to_crop(points), face, weight, stage)
    if "regional" not in stage.train:
        return Losses(coarse, None)
    end_to_end = "attention" in stage.train
    with torch.set_grad_enabled(end_to_end):
        crops = jitter_regions(net.region_crops(scores, face), generator)
    seen = scores if end_to_end else scores.detach()
    context = net.context(seen, face, crops if end_to_end else crops.detach())
    # the global network knows its training photos better than it will know others: the context must not be trusted
    keep = (torch.rand(len(context), 1, 1, 1, generator=generator) > 0.25).to(context)
    context = context * keep
    regions = len(net.scheme.regions)
    pixels = crop_photos(batch.photos, [crops[i : i + regions] for i in range(0, len(crops), regions)], device)
    truth = points.repeat_interleave(regions, 0)
    flipped = net.attention.mirrored.repeat(len(batch.photos))
    truth = torch.where(flipped[:, None, None], truth[:, net.mirror], truth)
    own = torch.zeros(regions, len(net.scheme), device=device)
    own[net.pair_region, net.pair_channel] = 1
    weight = own.clamp_min(OTHERS_WEIGHT).repeat(len(batch.photos), 1)
    fine = level_loss(net.regional_net(pixels, context), crops.to_crop(truth), crops, weight, stage)
    return Losses(coarse, fine)
