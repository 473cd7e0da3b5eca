"""The photos of a run as the review page lists them: those that deserve a look first."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from hrlm.errors import FormatError, HrlmError
from hrlm.formats import json as result_json
from hrlm.results import PhotoResult
from hrlm.runs.annotate_run import ResultFile, find_photo
from hrlm.runs.review import FLAG_WEIGHT, concern
from hrlm.schemes import Scheme, load_scheme


@dataclass(frozen=True)
class Entry:
    """A result and its photo.

    Args:
        id: what URLs call it: says nothing of its path, and stays the same while the result keeps its place.
        item: the result file.
        name: the photo's path as the result states it, for people.
        photo: where the photo lies; None where it is not found.
        concern: how much it deserves a look, as `runs.review.concern` of its worst face.
        faces: how many were found.
        flags: of all its faces.
        problem: why it cannot be reviewed; empty where it can.
    """

    id: str
    item: ResultFile
    name: str
    photo: Path | None = None
    concern: float = 0.0
    faces: int = 0
    flags: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Album:
    """All entries by id, in the order in which they deserve a look.

    Args:
        scheme: a scheme's file; None for the one that each result names.
    """

    scheme: str | None
    entries: dict[str, Entry] = field(default_factory=dict)

    def read(self, entry: Entry) -> tuple[PhotoResult, Scheme]:
        """The entry's result and scheme.

        Raises:
            HrlmError: damaged, or of another scheme than it says.
        """
        return read_result(entry.item.file, self.scheme)

    def shapes(self, scheme: Scheme, at_most: int = 200) -> list[np.ndarray]:
        """Landmarks `(N, 2)` of some faces of the run that have the scheme."""
        found: list[np.ndarray] = []
        for entry in self.entries.values():
            if len(found) >= at_most:
                break
            if not entry.problem:
                result, own = self.read(entry)
                if own.landmarks == scheme.landmarks:
                    found += [f.landmarks for f in result.faces]
        return found[:at_most]


def read_result(file: Path, scheme: str | None) -> tuple[PhotoResult, Scheme]:
    """A result file and its scheme (or the one given).

    Raises:
        HrlmError: damaged, unknown, or they do not fit each other.
    """
    result = result_json.read(file)
    own = _scheme(scheme or result.model.scheme)
    if result.faces and len(result.faces[0].landmarks) != len(own):
        raise FormatError(
            f"{file}: has {len(result.faces[0].landmarks)} landmarks where {own.name} has {len(own)}: give --scheme"
        )
    return result, own


@cache
def _scheme(name: str) -> Scheme:
    return load_scheme(name)


def make_album(items: Sequence[ResultFile], photos: Path | None, scheme: str | None) -> Album:
    """The album of result files; one that cannot be reviewed is listed with the reason, at the end.

    Args:
        photos: the folder that the results mirror; None to find photos as the results name them.
    """
    entries = sorted(
        (_entry(item, photos, scheme) for item in items), key=lambda e: (bool(e.problem), -e.concern, e.name)
    )
    return Album(scheme, {e.id: e for e in entries})


def _entry(item: ResultFile, photos: Path | None, scheme: str | None) -> Entry:
    key = hashlib.blake2b(str(item.result).encode("utf-8", "surrogateescape"), digest_size=9).hexdigest()
    name = str(item.result)
    try:
        result, own = read_result(item.file, scheme)
        name = result.photo.path
        photo = find_photo(item, result.photo, photos)
    except HrlmError as e:
        return Entry(key, item, _readable(name), problem=_readable(str(e)))
    flags = tuple(dict.fromkeys(flag for f in result.faces for flag in f.flags))
    # a photo without a face deserves a look as much as one with a flag
    worst = max((concern(f, own) for f in result.faces), default=FLAG_WEIGHT)
    return Entry(key, item, _readable(name), photo, worst, len(result.faces), flags)


def _readable(text: str) -> str:
    """File names need not be valid text; what is sent to a browser must be."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
