"""One table for a whole run: a row per face, in photo pixels (0-based), ready for pandas.

Columns: `photo`, `face` (0 is the photo's largest), `score`, `box_x`, `box_y`, `box_width`, `box_height`, `flags`
(separated by spaces), then `x0`, `y0`, `deviation0`, `x1`, … An unknown deviation is an empty cell.
"""

from __future__ import annotations

import contextlib
import csv
import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hrlm.errors import FormatError
from hrlm.formats.atomic import WriteError, replacing
from hrlm.results import Face

HEAD = ("photo", "face", "score", "box_x", "box_y", "box_width", "box_height", "flags")
PER_LANDMARK = ("x", "y", "deviation")


@dataclass(frozen=True)
class Row:
    """A face of the table: the photo's path and the face's place among that photo's faces, largest first."""

    photo: str
    index: int
    face: Face


@contextlib.contextmanager
def writer(path: Path, landmarks: int) -> Iterator[Callable[[str, Sequence[Face]], None]]:
    """Open a table of faces of `landmarks` points; yields a function that adds a photo's faces.

    The file takes its name when the block ends, with all rows added so far even where an interrupt ends it.

    Raises:
        WriteError: the folder or the file cannot be written; by the function too.
    """
    interrupt: KeyboardInterrupt | None = None
    with replacing(path) as file:
        file.write(_line([*HEAD, *(f"{name}{i}" for i in range(landmarks) for name in PER_LANDMARK)]))

        def add(photo: str, faces: Sequence[Face]) -> None:
            # in one piece, so that no interrupt comes between
            rows = b"".join(_line(_cells(photo, i, face)) for i, face in enumerate(faces))
            try:
                file.write(rows)
            except OSError as e:
                raise WriteError(path, e) from e

        try:
            yield add
        except KeyboardInterrupt as e:
            interrupt = e
    if interrupt is not None:
        raise interrupt


def write(path: Path, rows: Sequence[tuple[str, Sequence[Face]]], landmarks: int) -> None:
    """Write a whole table of photos with their faces of `landmarks` points.

    Raises:
        WriteError: the folder or the file cannot be written.
    """
    with writer(path, landmarks) as add:
        for photo, faces in rows:
            add(photo, faces)


def read(path: Path) -> list[Row]:
    """Read a table.

    Raises:
        FormatError: unreadable, with other columns or with a cell that is not what its column says.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head, *lines = list(csv.reader(file)) or [[]]
    except OSError as e:
        raise FormatError(f"{path}: cannot be read ({e.strerror or e}): check the file and its rights") from e
    except (UnicodeDecodeError, csv.Error) as e:
        raise FormatError(f"{path}: is not a CSV file in UTF-8 ({e}): save it as UTF-8 text") from e
    count, left = divmod(len(head) - len(HEAD), len(PER_LANDMARK))
    names = [f"{name}{i}" for i in range(max(count, 0)) for name in PER_LANDMARK]
    if left or count < 1 or head != [*HEAD, *names]:
        raise FormatError(f"{path}: its first line is not that of hrlm's landmark table: keep the columns as written")
    return [_row(path, number, line, len(head)) for number, line in enumerate(lines, start=2)]


def _cells(photo: str, index: int, face: Face) -> list[str]:
    points = np.column_stack([face.landmarks, face.deviation]).ravel()
    numbers = [f"{v + 0.0:.3f}" if math.isfinite(v) else "" for v in (*face.box, *points.tolist())]
    return [photo, str(index), f"{face.score:.4f}", *numbers[:4], " ".join(face.flags), *numbers[4:]]


def _line(cells: Sequence[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(cells)
    # a file name that is not valid text must not make the whole table unreadable
    return text.getvalue().encode("utf-8", "backslashreplace")


def _row(path: Path, number: int, cells: list[str], columns: int) -> Row:
    try:
        if len(cells) != columns:
            raise ValueError(f"{len(cells)} cells instead of {columns}")
        photo, index, score, *rest = cells
        box = tuple(map(float, rest[:4]))
        points = np.array([float(c) if c else math.nan for c in rest[5:]]).reshape(-1, len(PER_LANDMARK))
        x, y, width, height = box
        face = Face(points[:, :2], points[:, 2], (x, y, width, height), float(score), tuple(rest[4].split()))
        return Row(photo, int(index), face)
    except (ValueError, IndexError) as e:
        raise FormatError(f"{path}: row {number} cannot be read ({e}): mend or remove it") from e
