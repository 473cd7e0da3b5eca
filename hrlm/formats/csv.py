"""One table for a whole run: a row per face, in photo pixels (0-based, centres at integers), ready for pandas.

Columns: `photo`, `width`, `height`, `orientation`, `face` (0 is the photo's largest), `score`, `box_x`, `box_y`,
`box_width`, `box_height`, `flags` (separated by spaces), then `x0`, `y0`, `deviation0`, `x1`, … What is not known, a
deviation or a photo's size, is an empty cell. A photo without a face has no row. Spreadsheets run what begins like a
formula: such a photo's name stands with `./` before it, which names the same file.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from hrlm.errors import FormatError
from hrlm.formats.atomic import replacing
from hrlm.formats.values import Told, imported, unreadable, writable
from hrlm.results import Face, PhotoInfo, PhotoResult
from hrlm.schemes import Scheme

HEAD = (
    *("photo", "width", "height", "orientation", "face", "score"),
    *("box_x", "box_y", "box_width", "box_height", "flags"),
)
PER_LANDMARK = ("x", "y", "deviation")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_HERE = "./"


@dataclass(frozen=True)
class Row:
    """A face of the table, its photo, and its place among that photo's faces, largest first."""

    info: PhotoInfo
    index: int
    face: Face

    @property
    def photo(self) -> str:
        """The photo's path."""
        return self.info.path


def write_run(path: Path, results: Iterable[PhotoResult], scheme: Scheme) -> None:
    """Write the table of a run.

    Raises:
        WriteError: the folder or the file cannot be written.
    """
    with replacing(path) as file:
        file.write(line([*HEAD, *(f"{name}{i}" for i in range(len(scheme)) for name in PER_LANDMARK)]))
        for result in results:
            file.write(_rows(result.photo, result.faces))


def read_results(path: Path, scheme: Scheme, told: Told) -> Iterator[PhotoResult]:
    """The photos of a table that have faces; a row that cannot be read is told and left out.

    Raises:
        FormatError: no such table; another number of landmarks than the scheme's, or a photo's rows that are not
            together.
    """
    seen: set[str] = set()
    # by name alone: a photo's bad rows are told before it is given, and after the photo before it
    for name, lines in groupby(_lines(path, len(scheme)), key=lambda line: _photo(line[1])):
        if name and name in seen:
            raise FormatError(f"{path}: the rows of {name} are not together: sort the table by photo")
        seen.add(name)
        rows: list[Row] = []
        for number, cells, columns in lines:
            try:
                row = _row(path, number, cells, columns)
                if rows and row.info != rows[0].info:
                    raise FormatError(f"{path}: row {number} states another size of {name} than others: mend it")
                rows.append(row)
            except FormatError as e:
                told(str(e))
        info = rows[0].info if rows else PhotoInfo(name, 0, 0)
        yield imported("csv", scheme, info, [row.face for row in rows])


def read(path: Path) -> list[Row]:
    """Read a table.

    Raises:
        FormatError: unreadable, with other columns or with a cell that is not what its column says.
    """
    return [_row(path, *line) for line in _lines(path)]


def _rows(info: PhotoInfo, faces: Sequence[Face]) -> bytes:
    return b"".join(line(_cells(info, i, face)) for i, face in enumerate(faces))


def _cells(info: PhotoInfo, index: int, face: Face) -> list[str]:
    points = np.column_stack([face.landmarks, face.deviation]).ravel()
    numbers = [f"{v + 0.0:.3f}" if math.isfinite(v) else "" for v in (*face.box, *points.tolist())]
    size = [str(info.width), str(info.height), str(info.orientation)] if info.width else [""] * 3
    return [
        name_cell(info.path),
        *size,
        str(index),
        f"{face.score:.4f}",
        *numbers[:4],
        " ".join(face.flags),
        *numbers[4:],
    ]


def name_cell(path: str) -> str:
    """A photo's name as a cell: valid text, and none that a spreadsheet would run."""
    return (_HERE if path.startswith(_FORMULA) else "") + writable(path)


def line(cells: Sequence[object]) -> bytes:
    """A row in UTF-8 that every reader takes for one."""
    text = io.StringIO(newline="")
    # left alone, a carriage return would be taken for the row's end
    whole = any("\r" in str(cell) for cell in cells)
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL if whole else csv.QUOTE_MINIMAL).writerow(cells)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _lines(path: Path, landmarks: int | None = None) -> Iterator[tuple[int, list[str], int]]:
    """Of each row its number in the file, where the head is 1, its cells, and how many it should have."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file)
            head = next(lines, [])
            count, left = divmod(len(head) - len(HEAD), len(PER_LANDMARK))
            names = [f"{name}{i}" for i in range(max(count, 0)) for name in PER_LANDMARK]
            if left or count < 1 or head != [*HEAD, *names]:
                raise FormatError(
                    f"{path}: its first line is not that of hrlm's landmark table: keep the columns as written"
                )
            if landmarks not in (None, count):
                raise FormatError(f"{path}: has {count} landmarks, not {landmarks}: give the scheme it was made with")
            for number, cells in enumerate(lines, start=2):
                yield number, cells, len(head)
    except OSError as e:
        raise unreadable(path, e) from e
    except (UnicodeDecodeError, csv.Error) as e:
        raise FormatError(f"{path}: is not a CSV file in UTF-8 ({e}): save it as UTF-8 text") from e


def _photo(cells: Sequence[str]) -> str:
    """The photo's name in a row, as before `name_cell`; empty where there is none."""
    photo = cells[0] if cells else ""
    defused = photo.startswith(_HERE) and photo[len(_HERE) :].startswith(_FORMULA)
    return photo[len(_HERE) :] if defused else photo


def _row(path: Path, number: int, cells: list[str], columns: int) -> Row:
    try:
        if len(cells) != columns:
            raise ValueError(f"{len(cells)} cells instead of {columns}")
        _, *size, index, score = cells[:6]
        width, height, orientation = (int(c or default) for c, default in zip(size, (0, 0, 1), strict=True))
        photo = _photo(cells)
        if not photo:
            raise ValueError("its photo has no name")
        x, y, box_width, box_height = map(float, cells[6:10])
        points = np.array([float(c) if c else math.nan for c in cells[11:]]).reshape(-1, len(PER_LANDMARK))
        face = Face(points[:, :2], points[:, 2], (x, y, box_width, box_height), float(score), tuple(cells[10].split()))
        return Row(PhotoInfo(photo, width, height, orientation), int(index), face)
    except (ValueError, IndexError) as e:
        raise FormatError(f"{path}: row {number} cannot be read ({e}): mend or remove it") from e
