"""`soft-argmax`: a coordinate loss through the map's expectation, and a heat-map term."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from hrlm.models.heatmaps import expectation
from hrlm.training.objectives.labels import Label

# cells: closer than that the distance's gradient falls to nothing, so that it does not jump about the optimum
SMOOTH = 0.3


def cross_entropy(log_maps: Tensor, label: Label, height: int, width: int) -> Tensor:
    """Cross-entropy `(B, N)` in nats of flat log-distributions `(B, N, H * W)` to the label's maps."""
    return -(label.maps(height, width).flatten(2) * log_maps).sum(-1)


def soft_argmax(scores: Tensor, label: Label, coordinate_weight: float) -> Tensor:
    """Cross-entropy to the label's map plus the distance of the map's expectation from the label.

    The coordinate loss through the expectation is that of Sun et al. (Integral Human Pose Regression, ECCV 2018); the
    heat-map term gives the map its shape.

    Args:
        scores: raw maps `(B, N, H, W)`.
        coordinate_weight: of the L1 distance in cells against the cross-entropy in nats.

    Returns:
        `(B, N)` losses.
    """
    h, w = scores.shape[-2:]
    log_maps = scores.flatten(2).log_softmax(-1)
    heat_map = cross_entropy(log_maps, label, h, w)
    found = expectation(log_maps.exp().view_as(scores))
    coordinate = F.smooth_l1_loss(found, label.points, beta=SMOOTH, reduction="none").sum(-1)
    return heat_map + coordinate_weight * coordinate
