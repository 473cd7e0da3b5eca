"""The .pts files of the iBUG tools: one face, 1-based. Converted to photo pixels (0-based) here and nowhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hrlm.errors import FormatError
from hrlm.formats.atomic import write_whole

# the first pixel's centre is 1, 1 in the file
ORIGIN = 1.0


def write(path: Path, landmarks: np.ndarray) -> None:
    """Write one face's landmarks, `(N, 2)` in photo pixels, with three decimals.

    Raises:
        WriteError: the folder or the file cannot be written.
    """
    points = np.asarray(landmarks, dtype=np.float64) + ORIGIN
    rows = "".join(f"{x:.3f} {y:.3f}\n" for x, y in points)
    write_whole(path, f"version: 1\nn_points: {len(points)}\n{{\n{rows}}}\n".encode("ascii"))


def read(path: Path) -> np.ndarray:
    """Read one face's landmarks: `(N, 2)` float64 in photo pixels.

    Any number of points, blank lines, comments (`#` or `//`), commas between numbers and unknown header lines are
    taken; braces and header may be missing.

    Raises:
        FormatError: unreadable, without points, with a line that is not a point, or with fewer or more points than
            the header says.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as e:
        raise FormatError(f"{path}: cannot be read ({e.strerror or e}): check the file and its rights") from e
    expected: int | None = None
    points: list[tuple[float, float]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split("#")[0].split("//")[0].replace(",", " ").replace("{", " ").replace("}", " ").strip()
        key, colon, value = words.partition(":")
        if colon:
            if key.strip().lower() == "n_points":
                expected = _count(path, value)
        elif words:
            points.append(_point(path, number, words))
    if not points:
        raise FormatError(f"{path}: holds no points: give a .pts file with a line 'x y' per landmark")
    if expected is not None and expected != len(points):
        raise FormatError(f"{path}: says {expected} points and holds {len(points)}: mend n_points or the missing lines")
    return np.array(points) - ORIGIN


def _count(path: Path, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise FormatError(f"{path}: n_points must be a whole number, not {value.strip()!r}") from None


def _point(path: Path, number: int, words: str) -> tuple[float, float]:
    try:
        x, y = map(float, words.split())
        if not np.isfinite([x, y]).all():
            raise ValueError
    except ValueError:
        raise FormatError(f"{path}: line {number} must be 'x y', not {words[:40]!r}") from None
    return x, y
