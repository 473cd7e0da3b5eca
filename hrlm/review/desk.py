"""What the review page asks for, without any web in it: lists, documents, tiles, saves, fits and new faces."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hrlm.errors import FormatError, HrlmError
from hrlm.formats import correcting, corrections
from hrlm.formats.corrections import CorrectedFace, Correction
from hrlm.photos import Photo
from hrlm.results import Face, PhotoResult
from hrlm.review.album import Album, Entry
from hrlm.review.fitting import fit_rest
from hrlm.review.new_face import FaceMaker
from hrlm.review.storage import Store
from hrlm.review.tiles import DRAFT_LEVEL, TILE, PhotoCache, Pyramid, level_count, tile_jpeg, version_of
from hrlm.schemes import Scheme

MAX_FACES = 1000
# pixels from which on a photo is shown by a draft first
LARGE = 8_000_000
# landmarks may lie outside of the photo, where a face is cut, but not further than this many of its sides
OUTSIDE = 2.0


# a side of what is kept of a photo to know it again, and how far the pixels of the same picture may be apart
SMALL = 64
SAME_PIXELS = 2


class NotHereError(HrlmError):
    """An id or a tile that there is not."""


class Desk:
    """A run on a person's desk. It may serve several threads.

    Args:
        open_photo: reads a photo.
        maker: makes the landmarks of new faces.
    """

    def __init__(self, album: Album, store: Store, open_photo: Callable[[Path], Photo], maker: FaceMaker) -> None:
        self._album, self._store, self._maker = album, store, maker
        self._photos = PhotoCache(open_photo)
        # what was on the page, small, by the photo's id and version
        self._shown: dict[tuple[str, str], np.ndarray] = {}
        self._status = {e.id: self._saved_status(e) for e in album.entries.values()}

    def listing(self) -> list[dict[str, Any]]:
        """All photos, those first that deserve a look."""
        return [
            {
                "id": e.id,
                "name": e.name,
                "faces": e.faces,
                "flags": list(e.flags),
                "concern": round(e.concern, 5),
                "problem": e.problem,
                **self._status[e.id],
            }
            for e in self._album.entries.values()
        ]

    def document(self, key: str) -> dict[str, Any]:
        """All that the page needs of a photo, whose coarse tiles at least are there by then.

        Raises:
            HrlmError: the photo, its result or its correction cannot be read.
        """
        entry = self._entry(key)
        result, scheme = self._album.read(entry)
        version = str(version_of(self._place(entry)))
        self._shown[key, version] = self._prepare(entry, result)
        saved = self._load(entry, result)
        return {
            "id": entry.id,
            "name": entry.name,
            "width": result.photo.width,
            "height": result.photo.height,
            "tile": TILE,
            "levels": level_count(result.photo.width, result.photo.height),
            "version": version,
            "scheme": _scheme_data(scheme),
            "predicted": [_predicted_data(f) for f in result.faces],
            **self._saved_data(saved, result, scheme),
        }

    def tile(self, key: str, level: int, x: int, y: int) -> bytes:
        """A tile as JPEG; level k is the photo reduced 2^k times.

        Raises:
            NotHereError: there is none.
            HrlmError: the photo cannot be read.
        """
        entry = self._entry(key)
        tile = self._photos.tile(self._place(entry), level, x, y)
        if tile is None:
            raise NotHereError("no such tile")
        return tile_jpeg(tile)

    def save(self, key: str, data: Any) -> dict[str, Any]:
        """Save what the page sends: `revision` that it is based on, `version` of the photo, `checked` and `faces`.

        Raises:
            StaleError: another revision is there.
            HrlmError: it cannot be written, makes no sense, or is of a file that has been replaced since.
        """
        entry = self._entry(key)
        result, scheme = self._album.read(entry)
        revision, version, checked, sent = _entries(
            data, {"revision": int, "version": str, "checked": bool, "faces": list}
        )
        if len(sent) > MAX_FACES or revision < 0:
            raise FormatError("too many faces, or no such revision")
        faces = tuple(self._face(f, result, scheme) for f in sent)
        self._load(entry, result)
        photo = self._place(entry)
        if photo.exists() and not self._shows(entry, result, version):
            raise FormatError(f"{entry.name}: another picture took its place while it was open: reload the page")
        file = corrections.relative_photo(corrections.path_of(entry.item.file), photo)
        mark = correcting.photo_digest(photo)
        made = Correction(result.photo, file, result.model, 1, "", checked, faces, mark)
        saved = self._store.save(entry.item.file, made, revision)
        self._status[key] = _status(saved)
        return {"revision": saved.revision, "saved": saved.saved, "checked": saved.checked}

    def current(self, key: str) -> dict[str, Any]:
        """What is saved of a photo, as it stands in `document`.

        Raises:
            HrlmError: it cannot be read.
        """
        entry = self._entry(key)
        result, scheme = self._album.read(entry)
        saved = self._load(entry, result)
        self._status[key] = _status(saved)
        return self._saved_data(saved, result, scheme)

    def fit(self, key: str, data: Any) -> dict[str, Any]:
        """The landmarks of `shape` where the `placed` ones stand at `places` and the others go with them.

        Raises:
            HrlmError: the data make no sense.
        """
        _, scheme = self._album.read(self._entry(key))
        shape, placed, places = _entries(data, {"shape": list, "placed": list, "places": list})
        try:
            base = corrections.face_from({"landmarks": shape, "moved": placed})
            target = corrections.face_from({"landmarks": places}).landmarks
            if len(base.landmarks) != len(scheme):
                raise ValueError(f"must be {len(scheme)} landmarks")
            # both in the landmarks' own order
            order = np.argsort(placed, kind="stable")
            points = fit_rest(base.landmarks, base.moved, target[order])
        except (ValueError, IndexError) as e:
            raise FormatError(f"cannot be fitted: {e}") from e
        return {"landmarks": np.round(points, corrections.DECIMALS).tolist()}

    def add_face(self, key: str, data: Any) -> dict[str, Any]:
        """Landmarks for the face in `box` (x, y, width, height in photo pixels) and their `source`.

        Raises:
            HrlmError: the box makes no sense, or nothing is at hand to place landmarks with.
        """
        entry = self._entry(key)
        result, scheme = self._album.read(entry)
        (box,) = _entries(data, {"box": list})
        numbers = [v for v in box if isinstance(v, (int, float)) and not isinstance(v, bool) and np.isfinite(v)]
        if len(numbers) != 4 or min(numbers[2:]) < 4 or not _near(np.array([numbers[:2]]), result):
            raise FormatError("box must be x, y, width and height, at least 4 pixels a side")
        if max(numbers[2:]) > OUTSIDE * max(result.photo.width, result.photo.height):
            raise FormatError("box is larger than the photo")
        x, y, width, height = map(float, numbers)
        photo = Photo.from_array(self._pyramid(entry, result).levels[0])
        points, source = self._maker.make(
            photo, (x, y, width, height), result.model.name, scheme, lambda: self._album.shapes(scheme)
        )
        return {"landmarks": np.round(points, corrections.DECIMALS).tolist(), "source": source}

    def _entry(self, key: str) -> Entry:
        entry = self._album.entries.get(key)
        if entry is None:
            raise NotHereError("no such photo")
        if entry.problem:
            raise HrlmError(entry.problem)
        return entry

    def _load(self, entry: Entry, result: PhotoResult | None = None) -> Correction | None:
        """What is saved of a photo.

        Raises:
            HrlmError: it cannot be read, or is of another photo than the result.
        """
        file = entry.item.file
        saved = self._store.load(file)
        if saved is not None:
            path = corrections.path_of(file)
            correcting.check_photo(path, saved, (result or self._album.read(entry)[0]).photo)
            correcting.check_file(path, saved, file, self._place(entry))
        return saved

    def _place(self, entry: Entry) -> Path:
        if entry.photo is None:
            raise NotHereError("no such photo")
        return entry.photo

    def _shows(self, entry: Entry, result: PhotoResult, version: str) -> bool:
        """Whether a photo's file still holds the picture that it held in that version: it may be tagged or touched."""
        if version == str(version_of(self._place(entry))):
            return True
        before, now = self._shown.get((entry.id, version)), self._prepare(entry, result)
        return before is not None and int(np.abs(before.astype(int) - now).max()) <= SAME_PIXELS

    def _prepare(self, entry: Entry, result: PhotoResult) -> np.ndarray:
        """Have the photo, or for a large one a draft of it, and see that it is the result's; returns it small."""
        width, height = result.photo.width, result.photo.height
        draft = self._photos.draft(self._place(entry)) if width * height >= LARGE else None
        block = 1 << DRAFT_LEVEL
        if draft is None or draft.shape[:2] != (-(-height // block), -(-width // block)):
            draft = self._pyramid(entry, result).levels[0]
        return cv2.resize(draft, (SMALL, SMALL), interpolation=cv2.INTER_AREA)

    def _pyramid(self, entry: Entry, result: PhotoResult) -> Pyramid:
        pyramid = self._photos.get(self._place(entry))
        height, width = pyramid.levels[0].shape[:2]
        if (width, height) != (result.photo.width, result.photo.height):
            raise FormatError(
                f"{entry.name}: the photo is {width} x {height} pixels, its result is of one of {result.photo.width} x "
                f"{result.photo.height}: put back the photo as it was, or run hrlm detect again"
            )
        return pyramid

    def _face(self, data: Any, result: PhotoResult, scheme: Scheme) -> CorrectedFace:
        try:
            face = corrections.face_from(data)
        except ValueError as e:
            raise FormatError(f"cannot be saved: {e}") from e
        if len(face.landmarks) != len(scheme) or not _near(face.landmarks, result):
            raise FormatError(f"cannot be saved: a face must have {len(scheme)} landmarks in or near the photo")
        if face.predicted is not None and face.predicted >= len(result.faces):
            raise FormatError("cannot be saved: a face says that it is one that was not predicted")
        return face

    def _saved_data(self, saved: Correction | None, result: PhotoResult, scheme: Scheme) -> dict[str, Any]:
        if saved is None:
            faces = [CorrectedFace(f.landmarks, i) for i, f in enumerate(result.faces)]
        else:
            # the photo may have been detected anew since
            faces = list(correcting.paired(saved.faces, result.faces))
            if any(len(f.landmarks) != len(scheme) for f in faces):
                raise FormatError("the correction has another number of landmarks than its scheme: give --scheme")
        return {
            "revision": saved.revision if saved else 0,
            "checked": saved.checked if saved else False,
            "faces": [corrections.face_data(f) for f in faces],
        }

    def _saved_status(self, entry: Entry) -> dict[str, Any]:
        try:
            return _status(self._store.load(entry.item.file) if entry.problem else self._load(entry))
        except HrlmError:  # told when the photo is opened
            return _status(None)


def _status(saved: Correction | None) -> dict[str, Any]:
    return {"corrected": saved is not None, "checked": saved is not None and saved.checked}


def _near(points: np.ndarray, result: PhotoResult) -> bool:
    size = np.array([result.photo.width, result.photo.height])
    return bool(((points > -OUTSIDE * size) & (points < (1 + OUTSIDE) * size)).all())


def _scheme_data(scheme: Scheme) -> dict[str, Any]:
    return {
        "name": scheme.name,
        "title": scheme.title,
        "landmarks": list(scheme.landmarks),
        "contours": [{"landmarks": list(c.landmarks), "closed": c.closed} for c in scheme.contours],
    }


def _predicted_data(face: Face) -> dict[str, Any]:
    # JSON knows no NaN, which is how an unknown deviation is told here
    deviation = [round(float(d), corrections.DECIMALS) if np.isfinite(d) else None for d in face.deviation]
    return {
        "landmarks": np.round(face.landmarks, corrections.DECIMALS).tolist(),
        "deviation": deviation,
        "score": round(float(face.score), 4),
        "flags": list(face.flags),
    }


def _entries(data: Any, kinds: Mapping[str, type]) -> list[Any]:
    if not isinstance(data, dict):
        raise FormatError("the request must be a JSON object")
    values = [data.get(name) for name in kinds]
    for (name, kind), value in zip(kinds.items(), values, strict=True):
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise FormatError(f"the request must state {name}")
    return values


def parse_body(body: bytes) -> Any:
    """The JSON of a request.

    Raises:
        FormatError: it is none.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as e:
        raise FormatError("the request must be JSON") from e
