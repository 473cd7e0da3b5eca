"""`star`: a distance that forgives error along the direction in which the map itself is unsure."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from hrlm.models.heatmaps import CELL_VARIANCE, moments
from hrlm.training.objectives.labels import Label
from hrlm.training.objectives.soft_argmax import SMOOTH, cross_entropy


def star_distance(scores: Tensor, label: Label) -> Tensor:
    """Distance `(B, N)` of the map's mean from the label along the map's principal axes, each in units of its spread.

    The spread counts as given: through it the loss could be made small by maps that are unsure of everything.
    """
    mean, covariance = moments(scores.flatten(2).softmax(-1).view_as(scores))
    cell = CELL_VARIANCE * torch.eye(2, device=scores.device, dtype=scores.dtype)
    variance, axes = torch.linalg.eigh(covariance.detach() + cell)
    off = ((label.points - mean)[..., None, :] @ axes)[..., 0, :]
    distance = F.smooth_l1_loss(off, torch.zeros_like(off), beta=SMOOTH, reduction="none")
    return (distance / variance.sqrt()).sum(-1)


def star(scores: Tensor, label: Label, coordinate_weight: float) -> Tensor:
    """Cross-entropy to the label's map plus the distance of `star_distance`.

    Zhou et al., STAR Loss: Reducing Semantic Ambiguity in Facial Landmark Detection (CVPR 2023), with the first of
    their two ways to restrict the eigenvalues: no gradient passes through them.

    Args:
        scores: raw maps `(B, N, H, W)`.
        coordinate_weight: of the distance in standard deviations against the cross-entropy in nats.

    Returns:
        `(B, N)` losses.
    """
    h, w = scores.shape[-2:]
    heat_map = cross_entropy(scores.flatten(2).log_softmax(-1), label, h, w)
    return heat_map + coordinate_weight * star_distance(scores, label)
