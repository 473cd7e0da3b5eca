"""A result as it stands, with its correction; and whether a correction belongs to the photo beside it.

Coordinates are photo pixels (0-based, centres at integers).
"""

from __future__ import annotations

import filecmp
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path, PurePosixPath

import numpy as np

from hrlm.errors import FormatError
from hrlm.formats import json as result_json
from hrlm.formats.atomic import exists
from hrlm.formats.corrections import CorrectedFace, Correction, path_of, read
from hrlm.results import Box, Face, PhotoInfo, PhotoResult

# of the landmarks' extent: how far a face moves from one model to another, and less than from one picture to the next
SAME_PICTURE = 0.04
_CURE = "move the correction away, or detect the photo again that was corrected"


def current(result: Path) -> tuple[PhotoResult, PhotoResult]:
    """A result file as it was predicted, and as it stands: with the person's correction where there is one.

    A face that the person added or moved in part has no deviation where the person placed it; its box is the one that
    was found, or for an added face the landmarks' bounding box.

    Raises:
        FormatError: either file cannot be read, or the correction is of another photo than the result.
    """
    predicted = result_json.read(result)
    path = path_of(result)
    if not exists(path) or result_json.looks_like_result(path):
        return predicted, predicted
    correction = read(path)
    check_photo(path, correction, predicted.photo)
    faces = tuple(_as_face(face, predicted.faces) for face in paired(correction.faces, predicted.faces))
    return predicted, replace(predicted, faces=faces)


def changed_at(result: Path) -> int:
    """When a result or its correction was last written, in nanoseconds."""
    path = path_of(result)
    return max(file.stat().st_mtime_ns for file in (result, path) if file == result or exists(path))


def paired(faces: Sequence[CorrectedFace], predicted: Sequence[Face]) -> tuple[CorrectedFace, ...]:
    """Corrected faces whose `predicted` is true of a result that was made anew, whose faces may be others."""
    found = [None if face.predicted is None else nearest(face.landmarks, predicted) for face in faces]
    return tuple(
        # one that was moved far away is near none: it stays what it was, unless that is another's now
        face
        if own is None and (face.predicted is None or (face.predicted < len(predicted) and face.predicted not in found))
        else replace(face, predicted=own)
        for face, own in zip(faces, found, strict=True)
    )


def nearest(points: np.ndarray, faces: Sequence[Face] | Sequence[CorrectedFace]) -> int | None:
    """The face that the landmarks `(N, 2)` are a version of: the nearest, if it is no farther than half a face."""
    away = [
        float(np.linalg.norm(points - f.landmarks, axis=-1).mean()) if len(f.landmarks) == len(points) else np.inf
        for f in faces
    ]
    if not away:
        return None
    best = int(np.argmin(away))
    return best if away[best] < np.ptp(faces[best].landmarks, axis=0).max() / 2 else None


def _as_face(face: CorrectedFace, predicted: tuple[Face, ...]) -> Face:
    own = None if face.predicted is None else predicted[face.predicted]
    visibility = dict.fromkeys(face.invisible, False)
    if own is None or len(own.landmarks) != len(face.landmarks):
        low, high = face.landmarks.min(0), face.landmarks.max(0)
        box: Box = (float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))
        return Face(face.landmarks, np.full(len(face.landmarks), np.nan), box, 1.0, visibility=visibility)
    deviation = np.where((face.landmarks == own.landmarks).all(-1), own.deviation, np.nan)
    return Face(face.landmarks, deviation, own.box, own.score, own.flags, visibility=visibility)


def check_photo(path: Path, correction: Correction, photo: PhotoInfo) -> None:
    """See that the correction at `path` is of the photo that the result beside it states.

    Stated paths may begin elsewhere: `a.jpg` of a folder that was given is `photos/a.jpg` where the file was.

    Raises:
        FormatError: it is of another.
    """
    check_size(path, correction, photo.width, photo.height)
    own = correction.photo.path
    one, other = sorted(
        ([p for p in PurePosixPath(s).parts if p not in ("/", "..")] for s in (own, photo.path)), key=len
    )
    if other[len(other) - len(one) :] != one:
        raise FormatError(f"{path}: is of the photo {own}, the result beside it of {photo.path}: {_CURE}")


def check_size(path: Path, correction: Correction, width: int, height: int) -> None:
    """See that the correction at `path` is of a photo of this size, as a person sees it.

    Raises:
        FormatError: it is not.
    """
    own = correction.photo
    if (own.width, own.height) != (width, height):
        raise FormatError(
            f"{path}: is of a photo of {own.width} x {own.height}, not of this one of {width} x {height}: {_CURE}"
        )


def check_file(path: Path, correction: Correction, result: Path, photo: Path) -> None:
    """See that the correction at `path` is of the file `photo`, of which `result` is.

    It is not where the result was made after it was saved, and the photo that was corrected is still there and differs:
    cameras use names again, and all their photos have one size.

    Raises:
        FormatError: it is of another file.
    """
    own = path.parent / correction.file
    try:
        # saved is in whole seconds
        since = result.stat().st_mtime - datetime.fromisoformat(correction.saved).timestamp()
        alike = since < 1 or own.samefile(photo) or filecmp.cmp(own, photo, shallow=False)
    except (OSError, ValueError):  # gone, or no time is known: nothing speaks against it
        return
    if not alike:
        raise FormatError(f"{path}: is of {own}, the result beside it is newer and of {photo}: {_CURE}")


def photo_digest(photo: Path) -> str:
    """A photo file's SHA-256 as 16 hexadecimal digits; empty where it cannot be read."""
    try:
        with photo.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError:
        return ""


def check_replaced(path: Path, correction: Correction, result: Path, after: PhotoResult, photo: Path) -> None:
    """See that the file `photo` still shows what was corrected, now that it gives `after` and not what `result` holds.

    A file of other bytes may be the same picture, with other keywords or of better quality: then some face that was
    corrected is found again, where it was found before or where it was corrected to.

    Raises:
        FormatError: it shows something else.
    """
    if not correction.digest or photo_digest(photo) == correction.digest:
        return
    try:
        before = result_json.read(result).faces
    except FormatError:  # damaged: there is nothing to compare with
        return
    places = [
        place
        for face in paired(correction.faces, before)
        if face.predicted is not None
        for place in (face.landmarks, before[face.predicted].landmarks)
    ]
    if places and not any(_same_place(f.landmarks, place) for f in after.faces for place in places):
        raise FormatError(
            f"{path}: is of the photo that {photo} was before it was replaced: move the correction away, or bring that "
            "photo back"
        )


def _same_place(points: np.ndarray, place: np.ndarray) -> bool:
    """Whether landmarks are those of one picture; of another scheme they may be."""
    if points.shape != place.shape:
        return True
    return float(np.linalg.norm(points - place, axis=1).mean()) <= SAME_PICTURE * float(np.ptp(place, axis=0).max())
