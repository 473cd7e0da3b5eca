"""The .pts files of the iBUG tools: one face, 1-based. Converted to photo pixels (0-based) here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hrlm.errors import FormatError
from hrlm.formats.atomic import write_whole
from hrlm.formats.values import Told, face_of, imported
from hrlm.results import PhotoInfo, PhotoResult
from hrlm.schemes import Scheme

# the first pixel's centre is 1, 1 in the file
ORIGIN = 1.0


def write(path: Path, landmarks: np.ndarray, sync: bool = False) -> None:
    """Write one face's landmarks, `(N, 2)` in photo pixels, with three decimals; `sync` as `write_whole` takes it.

    Raises:
        WriteError: the folder or the file cannot be written.
    """
    points = np.asarray(landmarks, dtype=np.float64) + ORIGIN
    rows = "".join(f"{x:.3f} {y:.3f}\n" for x, y in points)
    write_whole(path, f"version: 1\nn_points: {len(points)}\n{{\n{rows}}}\n".encode("ascii"), sync)


def write_photo(path: Path, result: PhotoResult, scheme: Scheme, photo_file: Path | None = None) -> None:
    """Write a photo's only face.

    Raises:
        WriteError: the folder or the file cannot be written.
        FormatError: none or several faces, of which one file can hold one.
    """
    if len(result.faces) != 1:
        raise FormatError(f"{path}: a .pts file holds one face, not {len(result.faces)}: write a file for each")
    write(path, result.faces[0].landmarks)


def read_results(path: Path, scheme: Scheme, told: Told) -> Iterator[PhotoResult]:
    """The face of a file, its photo named after the file: no size, path or certainty is known."""
    points = read(path)
    if len(points) != len(scheme):
        told(f"{path}: has {len(points)} points where {scheme.name} has {len(scheme)}: give the scheme it was made for")
        return
    yield imported("pts", scheme, PhotoInfo(path.stem, 0, 0), [face_of(points)])


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
