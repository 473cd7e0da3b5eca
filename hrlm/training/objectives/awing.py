"""`awing`: the Adaptive Wing loss between heat maps."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from hrlm.models.heatmaps import probabilities
from hrlm.training.objectives.labels import Label

# as published
ALPHA, OMEGA, EPSILON, THETA = 2.1, 14.0, 1.0, 0.5
# cells next to one where the label is this high count as the landmark's, and so many times more than others
FOREGROUND, FOREGROUND_WEIGHT = 0.2, 10.0


def wing(found: Tensor, wanted: Tensor) -> Tensor:
    """The Adaptive Wing loss of values, element by element; `wanted` lies in 0 to 1.

    With `p = alpha - wanted`: `omega log(1 + |d / epsilon|^p)` for differences d below theta, and the straight line
    that continues it smoothly beyond.
    """
    off = (wanted - found).abs()
    power = ALPHA - wanted
    ratio = THETA / EPSILON
    at_theta = ratio**power
    slope = OMEGA / (1 + at_theta) * power * ratio ** (power - 1) / EPSILON
    shift = THETA * slope - OMEGA * torch.log1p(at_theta)
    # a power's derivative at 0 is taken care of by a base that is never 0
    near = OMEGA * torch.log1p((off.clamp(1e-12, THETA) / EPSILON) ** power)
    return torch.where(off < THETA, near, slope * off - shift)


def adaptive_wing(scores: Tensor, label: Label) -> Tensor:
    """Mean Adaptive Wing loss over a map's cells, those of the landmark weighted 11 times.

    Wang, Bo and Li, Adaptive Wing Loss for Robust Face Alignment via Heatmap Regression (ICCV 2019). The heat map is
    the softmax of the scores in units of the label's peak, so that the decoder stays the one of all objectives.

    Args:
        scores: raw maps `(B, N, H, W)`.

    Returns:
        `(B, N)` losses.
    """
    wanted = label.maps(*scores.shape[-2:])
    peak = wanted.amax((-1, -2), keepdim=True)
    wanted = wanted / peak
    foreground = F.max_pool2d(wanted, 3, stride=1, padding=1) > FOREGROUND
    weight = 1 + FOREGROUND_WEIGHT * foreground.to(scores.dtype)
    losses = wing(probabilities(scores) / peak, wanted)
    return (weight * losses).sum((-1, -2)) / weight.sum((-1, -2))
