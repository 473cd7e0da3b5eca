"""The face's lines by name, whatever the scheme: what masks, aligned crops and measures are made from.

Lines are the scheme's contours and what its YAML adds under `lines`. Names that are known here: `jaw`, `brow_right`,
`nose_bridge` (from above), `nose_base`, `lid_upper_right`, `lid_lower_right` (outer to inner corner, both corners in
each), `lip_upper_outer`, `lip_lower_outer`, `lip_upper_inner`, `lip_lower_inner` (the person's right to left, both
corners in each), `limbus_right` (closed), and all of `right` again for `left`. A scheme need not have them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import yaml

from hrlm.errors import SchemeError
from hrlm.schemes import Scheme, load_scheme
from hrlm.schemes.scheme import builtin_schemes

Lines = Mapping[str, tuple[int, ...]]


def face_lines(scheme: Scheme) -> Lines:
    """Landmark indices of each line.

    Raises:
        SchemeError: `lines` in the scheme's YAML is not a mapping of names to lists of landmark numbers.
    """
    return _lines(scheme.name, scheme.source, scheme.landmarks, tuple((c.name, c.landmarks) for c in scheme.contours))


@lru_cache(maxsize=32)
def _lines(
    name: str, source: str, landmarks: tuple[str, ...], contours: tuple[tuple[str, tuple[int, ...]], ...]
) -> Lines:
    added = _added(name, source, len(landmarks))
    if not added and name in builtin_schemes():
        # a weight file may carry the scheme as it was before it had lines
        carried = load_scheme(name)
        if carried.landmarks == landmarks:
            added = _added(name, carried.source, len(landmarks))
    return dict(contours) | added


def _added(name: str, source: str, count: int) -> dict[str, tuple[int, ...]]:
    data: Any = yaml.safe_load(source).get("lines") or {}
    if not isinstance(data, dict):
        raise SchemeError(f"scheme {name}: lines must be a mapping of names to lists of landmark numbers")
    for line, numbers in data.items():
        known = isinstance(numbers, list) and all(type(i) is int and 0 <= i < count for i in numbers)
        if not known or not numbers:
            raise SchemeError(f"scheme {name}: line {line} must be a list of landmark numbers, 0 to {count - 1}")
    return {str(line): tuple(numbers) for line, numbers in data.items()}


def along(line: np.ndarray, share: float) -> np.ndarray:
    """The points `(..., 2)` a share (0 … 1) of the way along lines `(..., K, 2)`, counted in landmarks."""
    place = share * (line.shape[-2] - 1)
    first = min(int(place), line.shape[-2] - 2)
    a, b = line[..., first, :], line[..., first + 1, :]
    point: np.ndarray = a + (place - first) * (b - a)
    return point


def smooth(line: np.ndarray, closed: bool = False, steps: int = 16) -> np.ndarray:
    """A smooth curve `(M, 2)` through a line's points `(K, 2)`: natural cubic spline over the length of its chords.

    Args:
        closed: the curve returns to its first point, which stands at the end once more.
        steps: points of the curve for every two of the line.
    """
    # a landmark may lie on its neighbour; a closed curve is an open one that runs on a little at both ends
    around = min(4, len(line))
    knots = np.concatenate([line[-around:], line, line[: around + 1]]) if closed else line
    length = np.linalg.norm(np.diff(knots, axis=0), axis=1)
    keep = np.append(True, length > 1e-6)
    if not closed and keep.sum() < 3:
        return line
    gap = np.maximum(length, 1e-6)[:, None]
    slope = np.diff(knots, axis=0) / gap
    system = np.eye(len(knots))
    inner = np.arange(1, len(knots) - 1)
    system[inner, inner - 1], system[inner, inner], system[inner, inner + 1] = (
        gap[:-1, 0],
        2 * (gap[:-1, 0] + gap[1:, 0]),
        gap[1:, 0],
    )
    right = np.zeros_like(knots)
    right[inner] = 6 * np.diff(slope, axis=0)
    bend = np.linalg.solve(system, right)
    t = np.arange(steps) / steps
    pieces = []
    for i in range(around, around + len(line)) if closed else range(len(line) - 1):
        u = (t * gap[i])[:, None]
        rise = slope[i] - gap[i] * (2 * bend[i] + bend[i + 1]) / 6
        pieces.append(knots[i] + u * (rise + u * (bend[i] / 2 + u * (bend[i + 1] - bend[i]) / (6 * gap[i]))))
    return np.concatenate([*pieces, line[:1] if closed else line[-1:]])
