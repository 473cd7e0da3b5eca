"""Landmark templates (`.tem`) of Psychomorph, WebMorph and the Face Research Lab: one face, in photo pixels (0-based).

The first line holds the number of points, then comes a line `x y` for each; the lines of the drawing that follow are
of no interest here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hrlm.errors import FormatError


def read(path: Path) -> np.ndarray:
    """Read one face's landmarks: `(N, 2)` float64 in photo pixels.

    Raises:
        FormatError: unreadable, without a count, or with fewer points than that.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").split("\n")
    except OSError as e:
        raise FormatError(f"{path}: cannot be read ({e.strerror or e}): check the file and its rights") from e
    lines = [line for line in (line.split("#")[0].strip() for line in lines) if line]
    try:
        count = int(lines[0])
    except (IndexError, ValueError):
        raise FormatError(f"{path}: must begin with the number of points: give a .tem template") from None
    if not 1 <= count < len(lines):
        raise FormatError(f"{path}: says {count} points and holds {len(lines) - 1} lines: restore the whole template")
    return np.array([_point(path, number, line) for number, line in enumerate(lines[1 : count + 1], start=1)])


def _point(path: Path, number: int, line: str) -> tuple[float, float]:
    try:
        x, y = map(float, line.replace(",", " ").split())
        if not np.isfinite([x, y]).all():
            raise ValueError
    except ValueError:
        raise FormatError(f"{path}: point {number} must be 'x y', not {line[:40]!r}") from None
    return x, y
