"""Soft-argmax over maps too large to hold: exact sums, part by part."""

from __future__ import annotations

import torch
from torch import Tensor


class RunningMoments:
    """Mean and covariance of the softmax of P score maps that come in parts, in any order.

    Running log-sum-exp: all sums are kept relative to each map's highest score so far.

    Args:
        origin: `(P, 2)` positions near the means: moments are taken about them, for the sake of precision.
    """

    def __init__(self, origin: Tensor) -> None:
        count = len(origin)
        self._origin = origin
        self._peak = origin.new_full((count,), -torch.inf)
        self._total = origin.new_zeros(count)
        self._first = origin.new_zeros(count, 2)
        self._second = origin.new_zeros(count, 2, 2)

    def add(self, scores: Tensor, x: Tensor, y: Tensor) -> None:
        """Take in a part.

        Args:
            scores: `(P, H, W)`; minus infinity where a map has nothing.
            x, y: `(W,)` and `(H,)` positions of its columns and rows.
        """
        peak = torch.maximum(self._peak, scores.flatten(1).amax(1))
        # maps that had nothing so far, here neither: exp(-inf - 0) is 0
        base = torch.where(peak.isinf(), torch.zeros_like(peak), peak)
        kept = (self._peak - base).exp()
        weight = (scores - base[:, None, None]).exp()
        dx, dy = x - self._origin[:, :1], y - self._origin[:, 1:]
        columns, rows = weight.sum(1), weight.sum(2)
        first = torch.stack([(columns * dx).sum(1), (rows * dy).sum(1)], 1)
        xy = torch.einsum("phw,ph,pw->p", weight, dy, dx)
        xx, yy = (columns * dx**2).sum(1), (rows * dy**2).sum(1)
        second = torch.stack([torch.stack([xx, xy], 1), torch.stack([xy, yy], 1)], 1)
        self._total = self._total * kept + columns.sum(1)
        self._first = self._first * kept[:, None] + first
        self._second = self._second * kept[:, None, None] + second
        self._peak = peak

    def result(self) -> tuple[Tensor, Tensor]:
        """Means `(P, 2)` and covariances `(P, 2, 2)`; the origin with no covariance for a map that had nothing."""
        total = self._total.clamp_min(torch.finfo(self._total.dtype).tiny)
        mean = self._first / total[:, None]
        covariance = self._second / total[:, None, None] - mean[:, :, None] * mean[:, None, :]
        return self._origin + mean, covariance
