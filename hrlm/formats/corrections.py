"""A person's corrections of a photo's landmarks: `NAME.corrected.json` beside the result `NAME.json`, which stays.

Coordinates are photo pixels (0-based, centres at integers), rounded to 0.001 px. `NAME.corrected.pts`,
`NAME.corrected_2.pts` … hold the same landmarks, a face each, for other tools.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from hrlm.errors import FormatError
from hrlm.formats import json as result_json
from hrlm.formats import pts
from hrlm.formats.atomic import WriteError, write_whole
from hrlm.results import ModelInfo, PhotoInfo

SCHEMA = "hrlm.correction/1"
MARK = ".corrected"
SUFFIX = MARK + ".json"
DECIMALS = 3
_PTS = re.compile(re.escape(MARK) + r"(_\d+)?\.pts$")


@dataclass(frozen=True, eq=False)
class CorrectedFace:
    """A face as a person left it.

    Args:
        landmarks: `(N, 2)` x, y in photo pixels.
        predicted: its place among the result's faces; None for a face that the person added.
        moved: the landmarks that the person placed one by one.
        invisible: the landmarks that cannot be seen; where they stand is a guess.
        came: `(N, 2)` as `landmarks`, where those of an added face stood at first; None where that is not known.
    """

    landmarks: np.ndarray
    predicted: int | None = None
    moved: tuple[int, ...] = ()
    invisible: tuple[int, ...] = ()
    came: np.ndarray | None = None

    def __post_init__(self) -> None:
        count = len(self.landmarks)
        if self.landmarks.shape != (count, 2) or not count or not np.isfinite(self.landmarks).all():
            raise ValueError("landmarks must be finite and (N, 2)")
        if self.came is not None and (self.came.shape != self.landmarks.shape or not np.isfinite(self.came).all()):
            raise ValueError("came must be as many finite landmarks")
        if not all(0 <= i < count for i in (*self.moved, *self.invisible)):
            raise ValueError(f"moved and invisible must be landmarks, 0 to {count - 1}")
        if self.predicted is not None and self.predicted < 0:
            raise ValueError("predicted must be a face's place or null")


@dataclass(frozen=True, eq=False)
class Correction:
    """A photo's faces as a person left them; a face of the result that none of them is was deleted.

    Args:
        photo: as the result states it.
        file: the photo's path from the correction's folder, `/` between parts; absolute where there is no such path.
        model: whose prediction was corrected.
        revision: 1 for the first that was saved, one more for each after it.
        saved: UTC, ISO 8601.
        checked: whether the person is done with the photo; only then is it ground truth.
        digest: of the photo's file as it was then, see `correcting.photo_digest`; empty where it was not at hand.
    """

    photo: PhotoInfo
    file: str
    model: ModelInfo
    revision: int
    saved: str
    checked: bool
    faces: tuple[CorrectedFace, ...]
    digest: str = ""

    def __post_init__(self) -> None:
        if self.revision < 1:
            raise ValueError(f"revision must be at least 1, not {self.revision}")
        if len({len(f.landmarks) for f in self.faces}) > 1:
            raise ValueError("its faces have different numbers of landmarks")


def path_of(result: Path) -> Path:
    """Where the correction of a result file is kept."""
    return result.with_name(result.name.removesuffix(".json") + SUFFIX)


def is_correction(path: Path) -> bool:
    """Whether a file is named as corrections are."""
    return path.name.endswith(SUFFIX)


def is_corrected_pts(path: Path) -> bool:
    """Whether a file is named as the `.pts` files of corrections are and has its correction beside it."""
    match = _PTS.search(path.name)
    return match is not None and path.with_name(path.name[: match.start()] + SUFFIX).is_file()


def relative_photo(correction: Path, photo: Path) -> str:
    """The value of `Correction.file` for a photo."""
    there = photo.absolute()
    try:
        return PurePath(os.path.relpath(there, correction.absolute().parent)).as_posix()
    except ValueError:  # another drive
        return there.as_posix()


def write(path: Path, correction: Correction) -> None:
    """Write the correction, then its `.pts` files, all to the disk itself; those of faces that are gone are removed.

    Raises:
        WriteError: the folder or a file cannot be written.
        FormatError: the name is taken by the result of a photo that is itself called `NAME.corrected`.
    """
    check_name(path)
    write_whole(path, dumps(correction).encode("ascii"), sync=True)
    stem = path.name.removesuffix(".json")
    names = [f"{stem}.pts", *(f"{stem}_{k}.pts" for k in range(2, len(correction.faces) + 1))][: len(correction.faces)]
    for name, face in zip(names, correction.faces, strict=True):
        pts.write(path.with_name(name), face.landmarks, sync=True)
    try:
        for old in path.parent.iterdir():
            if _PTS.search(old.name) and _PTS.sub(MARK, old.name) == stem and old.name not in names:
                old.unlink(missing_ok=True)
    except OSError as e:
        raise WriteError(path, e) from e


def check_name(path: Path) -> None:
    """See that a correction may be written as `path`.

    Raises:
        FormatError: the name is taken by the result of a photo that is itself called `NAME.corrected`.
        WriteError: it is longer than the system's names.
    """
    try:
        path.stat()
    except FileNotFoundError:
        return
    except OSError as e:
        raise WriteError(path, e) from e
    if result_json.looks_like_result(path):
        raise FormatError(f"{path}: is the result of another photo: rename that photo and detect it again")


def dumps(correction: Correction) -> str:
    """The text of a correction's file: ASCII, a line per face."""
    head = {
        "schema": SCHEMA,
        "revision": correction.revision,
        "saved": correction.saved,
        "checked": correction.checked,
        "photo": {**asdict(correction.photo), "file": correction.file, "digest": correction.digest},
        "model": asdict(correction.model),
    }
    return result_json.layout(head, map(face_data, correction.faces))


def face_data(face: CorrectedFace) -> dict[str, Any]:
    """A face as it stands in the file."""
    data = {
        "predicted": face.predicted,
        "landmarks": _rounded(face.landmarks),
        "moved": sorted(set(face.moved)),
        "invisible": sorted(set(face.invisible)),
    }
    return data if face.came is None else {**data, "came": _rounded(face.came)}


def _rounded(points: np.ndarray) -> Any:
    return (np.round(points, DECIMALS) + 0.0).tolist()


def face_from(data: Any) -> CorrectedFace:
    """`face_data` back again.

    Raises:
        ValueError: it is none.
    """
    try:
        predicted, came = data.get("predicted"), data.get("came")
        return CorrectedFace(
            _points(data["landmarks"]),
            None if predicted is None else _whole(predicted),
            tuple(sorted({_whole(i) for i in data.get("moved", [])})),
            tuple(sorted({_whole(i) for i in data.get("invisible", [])})),
            None if came is None else _points(came),
        )
    except (KeyError, TypeError, AttributeError, OverflowError) as e:
        raise ValueError(f"a face needs landmarks, moved and invisible ({e})") from e


def read(path: Path) -> Correction:
    """Read a correction.

    Raises:
        FormatError: unreadable, damaged or of another version of the format.
    """
    try:
        data = json.loads(path.read_bytes())
    except OSError as e:
        raise FormatError(f"{path}: cannot be read ({e.strerror or e}): check the file and its rights") from e
    except (ValueError, RecursionError) as e:
        raise FormatError(f"{path}: is not valid JSON ({e}): take its last line from corrections.jsonl") from e
    try:
        return from_data(data)
    except (FormatError, ValueError, OverflowError) as e:
        raise FormatError(f"{path}: {e}") from e


def from_data(data: Any) -> Correction:
    """A correction from the file's parsed JSON.

    Raises:
        FormatError, ValueError, OverflowError: it is none.
    """
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != SCHEMA:
        raise ValueError(f"has the schema {schema!r}, corrections have {SCHEMA}")
    try:
        photo, model = result_json.origin(data)
        return Correction(
            photo,
            result_json.entry(data["photo"], "file", str),
            model,
            _whole(data["revision"]),
            result_json.entry(data, "saved", str),
            data["checked"] is True,
            tuple(face_from(f) for f in data["faces"]),
            str(data["photo"].get("digest", "")),
        )
    except (KeyError, TypeError, AttributeError) as e:
        raise ValueError(f"is not a correction as hrlm writes it ({e})") from e


def _points(data: Any) -> np.ndarray:
    return np.array([(_number(x), _number(y)) for x, y in data], np.float64).reshape(-1, 2)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("landmarks must be numbers")
    return float(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{value!r} must be a whole number")
    return value
