"""Validation and calibration on annotated faces, cropped by their own landmarks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from hrlm.models.build import ModelConfig
from hrlm.models.nets import Estimates, LandmarkModel
from hrlm.training.batches import Batch, collate, plain_item
from hrlm.training.data import Sample

BATCH = 8
# what `validate` reports
FIGURES = ("global nme", "global inner", "full nme", "full inner")
WEIGHTS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True)
class Look:
    """What the levels, without the shape model, make of B faces.

    Args:
        labels, visible: as of `Batch`.
        levels: points `(B, N, 2)` in the photos' pixels and covariance `(B, N, 2, 2)`, on the CPU, of the global
            network alone and of the full system (levels 0 and 1).
    """

    labels: torch.Tensor
    visible: torch.Tensor
    levels: tuple[tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


@torch.no_grad()
def estimate(net: LandmarkModel, batch: Batch, device: torch.device) -> list[Estimates]:
    """The levels' estimates of a batch: global, regional."""
    scores = net.global_net(batch.pixels.to(device))
    face = batch.face.to(device, torch.float32)
    return [net.global_estimates(scores, face), net.look_at_regions(batch.photos, face, scores)]


def _batches(net: LandmarkModel, model: ModelConfig, samples: Sequence[Sample]) -> Iterator[Batch]:
    for i in range(0, len(samples), BATCH):
        yield collate([plain_item(s, net.scheme, model) for s in samples[i : i + BATCH]])


def predict(
    net: LandmarkModel, model: ModelConfig, samples: Sequence[Sample], device: torch.device
) -> list[np.ndarray]:
    """The full system's landmarks `(N, 2)` of every sample, in its pixels; levels 0 and 1, without the shape model."""
    return [points for look in looks(net, model, samples, device) for points in look.levels[1][0].numpy()]


def looks(net: LandmarkModel, model: ModelConfig, samples: Sequence[Sample], device: torch.device) -> Iterator[Look]:
    """The samples, a few at a time."""
    for batch in _batches(net, model, samples):
        both = estimate(net, batch, device)
        coarse, full = (net.fuse(both[:1], fine, len(batch.points)) for fine in ([], both[1:]))
        levels = (coarse[0].cpu(), coarse[1].cpu()), (full[0].cpu(), full[1].cpu())
        yield Look(batch.points, batch.visible, levels)


def errors(
    net: LandmarkModel, model: ModelConfig, samples: Sequence[Sample], device: torch.device
) -> dict[str, np.ndarray]:
    """Errors `(faces, N)` in % of the normaliser of the `global` network alone and the `full` system; NaN if unseen."""
    found: dict[str, list[np.ndarray]] = {"global": [], "full": []}
    for look in looks(net, model, samples, device):
        truth = look.labels.numpy()
        size = net.scheme.inter_ocular(truth)[:, None]
        for name, full in (("global", False), ("full", True)):
            points = net.shaped(*look.levels[full], full)[0].numpy()
            error = 100 * np.linalg.norm(points - truth, axis=-1) / size
            found[name].append(np.where(look.visible.numpy() > 0, error, np.nan))
    return {name: np.concatenate(each) for name, each in found.items()}


def validate(
    net: LandmarkModel, model: ModelConfig, samples: Sequence[Sample], device: torch.device
) -> dict[str, float]:
    """NME in % of the normaliser for the global network alone and the full system, over all and inner landmarks."""
    inner = list(net.scheme.subsets.get("inner", range(len(net.scheme))))
    figures = {}
    for name, found in errors(net, model, samples, device).items():
        figures[f"{name} nme"] = _mean(found)
        figures[f"{name} inner"] = _mean(found[:, inner])
    return figures


def _mean(found: np.ndarray) -> float:
    """Mean of the errors that are known; NaN where no face shows any of the landmarks."""
    known = found[np.isfinite(found)]
    return float(known.mean()) if known.size else float("nan")


def region_errors(
    net: LandmarkModel, model: ModelConfig, samples: Sequence[Sample], device: torch.device
) -> dict[str, float]:
    """NME in % of the normaliser of the full system over all landmarks and those of each region."""
    found = errors(net, model, samples, device)["full"]
    regions = {r.name: _mean(found[:, list(r.landmarks)]) for r in net.scheme.regions}
    return {"all": _mean(found), **regions}


def change_table(before: dict[str, float] | None, after: dict[str, float]) -> list[str]:
    """Lines of a table of `region_errors`, beside those of the weights that the training started from, if any.

    Regions of which no face shows a landmark are left out.
    """
    after = {name: value for name, value in after.items() if np.isfinite(value)}
    wide = max(map(len, after))
    if before is None:
        return [f"{name:<{wide}}  {value:6.2f}" for name, value in after.items()]
    lines = [f"{'':<{wide}}   start     now  change"]
    for name, now in after.items():
        then = before[name]
        lines.append(f"{name:<{wide}}  {then:6.2f}  {now:6.2f}  {100 * (now / then - 1):+5.1f} %")
    return lines


@torch.no_grad()
def calibrate(net: LandmarkModel, model: ModelConfig, samples: Sequence[Sample], device: torch.device) -> None:
    """Fit `variance_scale` and `global_weight` to validation faces.

    Variances are scaled so that squared errors are, in the median, what the covariances say: for a Gaussian of two
    dimensions the squared Mahalanobis distance has the median 2 ln 2. The median, since a few gross errors of labels
    must not widen every stated deviation. The weight is the one of `WEIGHTS` with the least mean error.
    """
    net.variance_scale.fill_(1)
    net.global_weight.fill_(1)
    truths, sizes, levels = [], [], []
    a, b = net.scheme.normaliser
    for batch in _batches(net, model, samples):
        points = batch.points.to(device, torch.float32)
        sizes.append((points[:, a] - points[:, b]).norm(dim=-1, keepdim=True))
        # what nobody labelled or saw is NaN, and counts nowhere below
        truths.append(points.masked_fill(batch.visible.to(device)[..., None] == 0, torch.nan))
        levels.append(estimate(net, batch, device))
    expected = 2 * np.log(2)
    for level in range(2):
        distances = [
            mahalanobis(parts[level].points, parts[level].covariance, truth.flatten(0, 1)[parts[level].index])
            for parts, truth in zip(levels, truths, strict=True)
        ]
        net.variance_scale[level] = torch.cat(distances).nanmedian() / expected
        scale = net.variance_scale[level]
        for parts in levels:
            parts[level] = replace(parts[level], covariance=parts[level].covariance * scale)

    def fused() -> list[tuple[torch.Tensor, torch.Tensor]]:
        return [net.fuse(parts[:1], parts[1:], len(truth)) for parts, truth in zip(levels, truths, strict=True)]

    def error(weight: float) -> float:
        net.global_weight.fill_(weight)
        off = [(points - truth).norm(dim=-1) for (points, _), truth in zip(fused(), truths, strict=True)]
        return float((torch.cat(off) / torch.cat(sizes)).nanmean())

    net.global_weight.fill_(min(WEIGHTS, key=error))
    distances = [
        mahalanobis(points.flatten(0, 1), covariance.flatten(0, 1), truth.flatten(0, 1))
        for (points, covariance), truth in zip(fused(), truths, strict=True)
    ]
    net.variance_scale[2] = torch.cat(distances).nanmedian() / expected


def mahalanobis(points: torch.Tensor, covariance: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Squared Mahalanobis distance `(P,)` of points `(P, 2)` with covariance `(P, 2, 2)` from the truth `(P, 2)`."""
    off = (points - truth.to(points.dtype))[..., None]
    return (off.transpose(-1, -2) @ torch.linalg.solve(covariance, off))[..., 0, 0]
