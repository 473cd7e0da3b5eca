"""`structured`: structured prediction with a distance for a margin, without the expectation."""

from __future__ import annotations

import torch
from torch import Tensor

from hrlm.training.objectives.labels import Label


def distance_cost(points: Tensor, height: int, width: int) -> Tensor:
    """The smooth L1 cost `(B, N, H, W)` of answering with a cell instead of the point `(B, N, 2)`; in cells.

    d² / 2 for distances d below 1, d - 1/2 beyond.
    """
    xs = torch.arange(width, device=points.device, dtype=points.dtype) - points[..., :1]
    ys = torch.arange(height, device=points.device, dtype=points.dtype) - points[..., 1:]
    square = xs[..., None, :] ** 2 + ys[..., :, None] ** 2
    return torch.where(square < 1, square / 2, square.clamp_min(1).sqrt() - 0.5)


def structured(scores: Tensor, label: Label, margin: float = 0.1, epsilon: float = 1.0) -> Tensor:
    """Margin-augmented cross-entropy: `epsilon log sum exp((F + margin cost) / epsilon) - sum q F`.

    Yang and Yeh, Heatmap Regression without Soft-Argmax for Facial Landmark Detection (ICCV 2025, arXiv 2508.14929).
    Its gradient is `softmax((F + margin cost) / epsilon) - q`, so that at the optimum `F = epsilon log q - margin
    cost` up to a constant: a map that is highest at the label and falls with the distance by more than the label does.

    Args:
        scores: raw maps F `(B, N, H, W)`.
        label: q.

    Returns:
        `(B, N)` losses; bounded below, but not by 0.
    """
    h, w = scores.shape[-2:]
    cost = distance_cost(label.points.detach(), h, w)
    augmented = (scores + margin * cost).flatten(2)
    return epsilon * (augmented / epsilon).logsumexp(-1) - (label.maps(h, w) * scores).flatten(2).sum(-1)
