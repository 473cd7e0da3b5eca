"""hrlm's own result files: everything that is known of a photo's faces, in photo pixels (0-based, centres at integers).

Coordinates and deviations are rounded to 0.001 px. A deviation that is not known is `null` in the file, NaN here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from hrlm.errors import FormatError
from hrlm.formats.atomic import write_whole
from hrlm.results import Face, ModelInfo, PhotoInfo, PhotoResult

SCHEMA = "hrlm.landmarks/1"
SCHEMA_FAMILY = SCHEMA.partition("/")[0] + "/"
DECIMALS = 3
# bytes of a file in which its schema stands, whatever the length of the photo's name
HEAD = 64


def write(path: Path, result: PhotoResult) -> None:
    """Write a photo's result.

    Raises:
        WriteError: the folder or the file cannot be written.
    """
    write_whole(path, dumps(result).encode("ascii"))


def dumps(result: PhotoResult) -> str:
    """The text of a result file: ASCII, a line per face."""
    head = {"schema": SCHEMA, "photo": asdict(result.photo), "model": asdict(result.model)}
    return layout(head, map(_face_data, result.faces))


def layout(head: Mapping[str, Any], faces: Iterable[Mapping[str, Any]]) -> str:
    """The text of a file of `head` and then `faces`: ASCII, a line per entry of the head and per face."""
    # escaped to ASCII because a file name need not be valid text, and a result must be
    lines = [f'"{key}": {json.dumps(value)}' for key, value in head.items()]
    rows = ",\n  ".join(json.dumps(face, allow_nan=False) for face in faces)
    lines.append(f'"faces": [\n  {rows}\n ]' if rows else '"faces": []')
    return "{" + ",\n ".join(lines) + "}\n"


def read(path: Path) -> PhotoResult:
    """Read a result file.

    Raises:
        FormatError: unreadable, damaged or not a result of this version of the format.
    """
    try:
        data = json.loads(path.read_bytes())
    except OSError as e:
        raise FormatError(f"{path}: cannot be read ({e.strerror or e}): check the file and its rights") from e
    except (ValueError, RecursionError) as e:
        raise FormatError(f"{path}: is not valid JSON ({e}): run hrlm detect on the photo again") from e
    try:
        return _result(data)
    except (FormatError, ValueError, OverflowError) as e:
        raise FormatError(f"{path}: {e}") from e


def looks_like_result(path: Path) -> bool:
    """Whether a file begins as result files of any version do; False where it cannot be read."""
    try:
        with path.open("rb") as file:
            return SCHEMA_FAMILY.encode() in file.read(HEAD)
    except OSError:
        return False


def _face_data(face: Face) -> dict[str, Any]:
    deviation = _rounded(face.deviation)
    return {
        "box": _rounded(np.asarray(face.box)),
        "score": round(float(face.score), 4),
        "landmarks": _rounded(face.landmarks),
        "deviation": [d if np.isfinite(d) else None for d in deviation],
        "flags": list(face.flags),
    }


def _rounded(values: np.ndarray) -> list[Any]:
    # + 0.0 turns -0.0 into 0.0
    rounded: list[Any] = (np.round(np.asarray(values, dtype=np.float64), DECIMALS) + 0.0).tolist()
    return rounded


def _result(data: Any) -> PhotoResult:
    schema = data.get("schema") if isinstance(data, dict) else None
    if not isinstance(schema, str) or not schema.startswith(SCHEMA_FAMILY):
        raise FormatError(f"is not a result of hrlm: give a file that hrlm detect wrote (schema {SCHEMA})")
    if schema != SCHEMA:
        raise FormatError(f"has the schema {schema}, this hrlm reads {SCHEMA}: run hrlm detect again or update hrlm")
    faces = tuple(_face(f, i) for i, f in enumerate(entry(data, "faces", list)))
    if len({len(f.landmarks) for f in faces}) > 1:
        raise FormatError("its faces have different numbers of landmarks: run hrlm detect on the photo again")
    return PhotoResult(*origin(data), faces)


def origin(data: Mapping[str, Any]) -> tuple[PhotoInfo, ModelInfo]:
    """The photo and the model that a file's parsed JSON states.

    Raises:
        FormatError: it states them not, or wrongly.
    """
    photo, model = entry(data, "photo", dict), entry(data, "model", dict)
    orientation = entry(photo, "orientation", int) if "orientation" in photo else 1
    if not 1 <= orientation <= 8:
        raise FormatError(f"orientation must be 1 to 8, not {orientation}")
    return (
        PhotoInfo(entry(photo, "path", str), _size(photo, "width"), _size(photo, "height"), orientation),
        ModelInfo(entry(model, "name", str), entry(model, "scheme", str), entry(model, "version", str)),
    )


def _size(photo: Mapping[str, Any], key: str) -> int:
    size: int = entry(photo, key, int)
    if size < 1:
        raise FormatError(f"{key} must be at least 1, not {size}")
    return size


def _face(data: Any, index: int) -> Face:
    where = f"faces[{index}]"
    if not isinstance(data, dict):
        raise FormatError(f"{where} must be an object")
    try:
        landmarks = _numbers(entry(data, "landmarks", list), "landmarks")
        deviations = [np.nan if d is None else d for d in entry(data, "deviation", list)]
        x, y, width, height = _numbers(entry(data, "box", list), "box").tolist()
        score = entry(data, "score", (int, float))
        flags = entry(data, "flags", list) if "flags" in data else []
        return Face(
            landmarks, _numbers(deviations, "deviation"), (x, y, width, height), float(score), tuple(map(str, flags))
        )
    except (FormatError, ValueError, TypeError) as e:
        raise FormatError(f"{where}: {e}") from e


def _numbers(values: list[Any], what: str) -> np.ndarray:
    try:
        # object first: numpy would read the text "1" and the truth value true as numbers
        if any(isinstance(v, (str, bool)) for v in np.array(values, dtype=object).ravel()):
            raise TypeError
        return np.array(values, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        raise FormatError(f"{what} must be numbers, as many for each as for the others") from None


def entry(data: Mapping[str, Any], key: str, kind: type | tuple[type, ...]) -> Any:
    """An entry of a parsed JSON object.

    Raises:
        FormatError: there is none, or it is of another kind.
    """
    value = data.get(key)
    # bool is an int to Python, not to a reader of the file
    if not isinstance(value, kind) or isinstance(value, bool):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        names = {dict: "an object", list: "a list", str: "a text", int: "a whole number", float: "a number"}
        raise FormatError(f"{key!r} must be {names[kinds[-1]]}")
    return value
