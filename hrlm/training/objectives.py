"""Training objectives on raw score maps; the decoder that they train for is `hrlm.models.heatmaps`."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from hrlm.models.heatmaps import expectation, gaussian_maps


def soft_argmax(scores: Tensor, targets: Tensor, sigma: float, coordinate_weight: float) -> Tensor:
    """Cross-entropy to a Gaussian heat map plus the distance of the map's expectation.

    The coordinate loss through the expectation is that of Sun et al. (Integral Human Pose Regression, ECCV 2018); the
    heat-map term gives the map its shape.

    Args:
        scores: raw maps `(B, N, H, W)`.
        targets: `(B, N, 2)` in cells, inside the map.
        sigma: cells.
        coordinate_weight: of the L1 distance in cells against the cross-entropy in nats.

    Returns:
        `(B, N)` losses.
    """
    h, w = scores.shape[-2:]
    log_maps = scores.flatten(2).log_softmax(-1)
    heat_map = -(gaussian_maps(targets.detach(), h, w, sigma).flatten(2) * log_maps).sum(-1)
    found = expectation(log_maps.exp().view_as(scores))
    coordinate = F.smooth_l1_loss(found, targets, beta=0.3, reduction="none").sum(-1)
    return heat_map + coordinate_weight * coordinate
