"""One columnar table for a whole run: a row per face, in photo pixels (0-based, centres at integers), unrounded.

Columns: `photo`, `width`, `height`, `orientation`, `face` (0 is the photo's largest), `score`, `box_x`, `box_y`,
`box_width`, `box_height`, `flags` (list of texts), and the lists `x`, `y`, `deviation` with a number per landmark; a
deviation that is not known is null. The file's metadata name the scheme (`hrlm.scheme`) and its landmarks
(`hrlm.landmarks`, one a line). A photo without a face has no row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hrlm.errors import DependencyError, FormatError
from hrlm.formats.atomic import replacing
from hrlm.formats.values import Told, faces_of, imported, unreadable, writable
from hrlm.results import Face, PhotoInfo, PhotoResult
from hrlm.schemes import Scheme

try:
    import pyarrow
    from pyarrow import parquet
except ImportError as e:
    raise DependencyError("parquet needs pyarrow: install hrlm[parquet]") from e

if TYPE_CHECKING:
    from pyarrow import Schema

# rows that go into the file, and come out of it, together
GROUP = 1024


def write_run(path: Path, results: Iterable[PhotoResult], scheme: Scheme) -> None:
    """Write the table of a run.

    Raises:
        WriteError: the folder or the file cannot be written.
    """
    schema = _schema(scheme)
    rows: list[dict[str, Any]] = []
    with replacing(path) as file, parquet.ParquetWriter(file, schema, compression="zstd") as writer:

        def flush() -> None:
            writer.write_table(pyarrow.Table.from_pylist(rows, schema))
            rows.clear()

        for result in results:
            rows.extend(_row(result.photo, i, face) for i, face in enumerate(result.faces))
            if len(rows) >= GROUP:
                flush()
        if rows:
            flush()


def read_results(path: Path, scheme: Scheme, told: Told) -> Iterator[PhotoResult]:
    """The photos of a table that have faces; a row that cannot be read is told and left out.

    Raises:
        FormatError: unreadable, other columns or landmarks, or a photo's rows that are not together.
    """
    seen: set[str] = set()
    for info, rows in groupby(_rows(path, scheme), key=_info):
        if not info.path:
            told(f"{path}: {len(list(rows))} faces of no photo: name it")
            continue
        if info.path in seen:
            raise FormatError(f"{path}: the rows of {info.path} are not together: sort the table by photo")
        seen.add(info.path)
        yield imported("parquet", scheme, info, faces_of(rows, _face, f"{path}: {info.path}", told))


def _schema(scheme: Scheme) -> Schema:
    number, whole = pyarrow.float64(), pyarrow.int32()
    kinds = dict.fromkeys(("width", "height", "orientation", "face"), whole)
    kinds |= dict.fromkeys(("score", "box_x", "box_y", "box_width", "box_height"), number)
    kinds |= {"flags": pyarrow.list_(pyarrow.string())}
    kinds |= dict.fromkeys(("x", "y", "deviation"), pyarrow.list_(number, len(scheme)))
    about = {"hrlm.scheme": scheme.name, "hrlm.landmarks": "\n".join(scheme.landmarks)}
    return pyarrow.schema([("photo", pyarrow.string()), *kinds.items()], metadata=about)


def _row(info: PhotoInfo, index: int, face: Face) -> dict[str, Any]:
    x, y, width, height = face.box
    return {
        "photo": writable(info.path),
        "width": info.width,
        "height": info.height,
        "orientation": info.orientation,
        "face": index,
        "score": float(face.score),
        "box_x": x,
        "box_y": y,
        "box_width": width,
        "box_height": height,
        "flags": list(face.flags),
        "x": face.landmarks[:, 0].tolist(),
        "y": face.landmarks[:, 1].tolist(),
        "deviation": [d if np.isfinite(d) else None for d in face.deviation.tolist()],
    }


def _rows(path: Path, scheme: Scheme) -> Iterator[dict[str, Any]]:
    schema = _schema(scheme)
    try:
        with parquet.ParquetFile(path) as file:
            if not file.schema_arrow.equals(schema):
                raise FormatError(
                    f"{path}: its columns are not those of hrlm's landmark table for {scheme.name}: "
                    "keep them as written, and give the scheme it was made with"
                )
            for batch in file.iter_batches(GROUP):
                yield from batch.to_pylist()
    except pyarrow.ArrowInvalid as e:
        raise FormatError(f"{path}: is not a Parquet file ({e}): write it again") from e
    except OSError as e:
        raise unreadable(path, e) from e


def _info(row: dict[str, Any]) -> PhotoInfo:
    # what is not known is null in tables that others wrote
    return PhotoInfo(row["photo"] or "", row["width"] or 0, row["height"] or 0, row["orientation"] or 1)


def _face(row: dict[str, Any]) -> Face:
    return Face(
        np.column_stack([row["x"], row["y"]]),
        np.array([np.nan if d is None else d for d in row["deviation"]]),
        (row["box_x"], row["box_y"], row["box_width"], row["box_height"]),
        float(row["score"]),
        tuple(row["flags"]),
    )
