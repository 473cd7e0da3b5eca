"""Smooth curves through points: Catmull-Rom splines."""

from __future__ import annotations

import numpy as np


def spline(knots: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The spline of knots `(K, D)` at parameters `(P,)`: 0 at the second knot, K - 3 at the last but one."""
    span = np.clip(where.astype(int), 0, len(knots) - 4)
    t = (where - span)[:, None]
    a, b, c, d = (knots[span + i] for i in range(4))
    curve: np.ndarray = 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )
    return curve


def led_on(points: np.ndarray) -> np.ndarray:
    """Knots for a spline through all of `points` `(K, D)`: one more at each end, straight on."""
    return np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])


def even_in_knots(points: np.ndarray, count: int) -> np.ndarray:
    """`(count, D)` points on the spline through `points` `(K, D)`, evenly spread in its parameter.

    The given points stay members when `count - 1` is a multiple of `K - 1`.
    """
    return spline(led_on(points), np.linspace(0, len(points) - 1, count))


def even_in_length(knots: np.ndarray, spans: int, count: int) -> np.ndarray:
    """`(count, D)` points evenly spread along the first `spans` spans of the spline of `knots` `(K, D)`."""
    fine = np.linspace(0, spans, 40 * spans + 1)
    steps = np.linalg.norm(np.diff(spline(knots, fine), axis=0), axis=1)
    length = np.concatenate([[0], np.cumsum(steps)])
    return spline(knots, np.interp(np.linspace(0, length[-1], count), length, fine))
