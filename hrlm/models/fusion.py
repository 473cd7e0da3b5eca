"""Estimates of several levels and crops fused into one by inverse covariance."""

from __future__ import annotations

import torch
from torch import Tensor


def fuse(points: Tensor, covariance: Tensor, index: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Inverse-covariance weighted mean of independent estimates (the Gauss-Markov theorem).

    Args:
        points: `(P, 2)` estimates in one frame.
        covariance: `(P, 2, 2)` in the frame's units², positive definite.
        index: `(P,)` which of the `count` landmarks each estimate speaks of; every landmark at least once.

    Returns:
        `(count, 2)` points and their `(count, 2, 2)` covariance.
    """
    information = torch.linalg.inv(covariance)
    total = points.new_zeros(count, 2, 2).index_add(0, index, information)
    weighted = points.new_zeros(count, 2).index_add(0, index, (information @ points[..., None])[..., 0])
    fused = torch.linalg.inv(total)
    return (fused @ weighted[..., None])[..., 0], fused
