"""What is measured: detectors at work, and the landmark files that other detectors left."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from hrlm.errors import DataError, FormatError
from hrlm.evaluation.data import (
    READERS,
    TABLE_SUFFIXES,
    KnownFace,
    Maps,
    Sample,
    by_name,
    check_size,
    inside,
    known_box,
    read_landmarks,
    read_table,
)
from hrlm.evaluation.metrics import nme
from hrlm.formats import json as result_json
from hrlm.geometry import CropTransform, box_crop, box_overlap
from hrlm.photos import Photo
from hrlm.photos.folders import is_photo
from hrlm.results import Box, Face, PhotoResult
from hrlm.schemes import Scheme

if TYPE_CHECKING:
    from hrlm.detector import Located

# a detected face may be the annotated one from this intersection over union of their boxes on
SAME_PLACE = 0.3


@dataclass(frozen=True, eq=False)
class Known:
    """Landmarks `(N, 2)` out of a file, NaN for those it lacks; deviation `(N,)` and box as in `Face`."""

    landmarks: np.ndarray
    deviation: np.ndarray
    box: Box


Prediction = Face | Known
# a landmark file, or what a table says of a photo
_Entry = Path | PhotoResult


class LandmarkDetector(Protocol):
    """What a measurement needs of a detector."""

    @property
    def scheme(self) -> Scheme: ...

    @property
    def face_margin(self) -> float: ...

    def detect_batch(self, photos: Sequence[Photo]) -> list[list[Face]]: ...

    def locate(self, photos: Sequence[Photo], crops: Sequence[CropTransform]) -> list[Located]: ...


class System(Protocol):
    """Something that finds landmarks, or found them before."""

    def has(self, width: int | None) -> bool:
        """Whether it can be measured on photos reduced to that face width (None: as they are)."""

    def faces(
        self, sample: Sample, photo: Photo, truths: Sequence[KnownFace], width: int | None
    ) -> list[Prediction | None]:
        """What it makes of each annotated face, None for a missed one.

        Args:
            photo, truths: in the same pixels.

        Raises:
            HrlmError: a file of it cannot be read.
        """


class FindingSystem:
    """A detector with its own face finder."""

    def __init__(self, detector: LandmarkDetector) -> None:
        self._detector = detector

    def has(self, width: int | None) -> bool:
        return True

    def faces(
        self, sample: Sample, photo: Photo, truths: Sequence[KnownFace], width: int | None
    ) -> list[Prediction | None]:
        return match(self._detector.detect_batch([photo])[0], truths, self._detector.scheme)


class GivenBoxSystem:
    """A detector that is told where the faces are: the box of the true landmarks, upright."""

    def __init__(self, detector: LandmarkDetector) -> None:
        self._detector = detector

    def has(self, width: int | None) -> bool:
        return True

    def faces(
        self, sample: Sample, photo: Photo, truths: Sequence[KnownFace], width: int | None
    ) -> list[Prediction | None]:
        boxes = torch.tensor([known_box(t.points) for t in truths], dtype=torch.float64)
        # the detector makes the crop as large as its network wants it
        crops = box_crop(boxes, 256, self._detector.face_margin)
        located = self._detector.locate([photo], [crops])[0]
        deviation = np.sqrt(np.trace(located.covariance, axis1=-2, axis2=-1) / 2)
        return [Face(p, d, t.box, 1.0) for p, d, t in zip(located.points, deviation, truths, strict=True)]


class FileSystem:
    """Landmark files: per photo (`.json` of hrlm, `.pts`, `.tem`) in a folder that mirrors the data, or one table.

    A photo's file is looked up by the photo's path below the data folder, with and without its suffix, then by its
    name alone where only one file has it. What is not there counts as missed.

    Args:
        places: by face width the folder or table, None for the photos as they are.
        samples: the photos that will be looked up.
        told: takes a message for each face of a table that has to be left out.

    Raises:
        DataError: a place that is not there or holds no landmark files, or two photos of one name.
        FormatError: a table that cannot be read.
    """

    def __init__(
        self,
        places: Mapping[int | None, Path],
        samples: Sequence[Sample],
        scheme: Scheme,
        maps: Maps,
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._scheme, self._maps = scheme, maps
        by_name(samples, "their predictions cannot be told apart")
        photos = _with_neighbours(samples)
        self._places = dict(places)
        self._indices = {width: _Index(path, scheme, photos, told) for width, path in places.items()}

    def has(self, width: int | None) -> bool:
        return width in self._indices

    def faces(
        self, sample: Sample, photo: Photo, truths: Sequence[KnownFace], width: int | None
    ) -> list[Prediction | None]:
        found: list[Prediction] = []
        for entry in self._entries(sample.name, width):
            if isinstance(entry, Path) and entry.suffix.lower() in READERS:
                points, box = read_landmarks(entry, self._scheme, self._maps)
                found.append(Known(points, np.full(len(points), np.nan), box))
            else:
                result = result_json.read(entry) if isinstance(entry, Path) else entry
                where = entry if isinstance(entry, Path) else f"{self._places[width]}: {result.photo.path}"
                check_size(str(where), result.photo, photo)
                found.extend(result.faces)
        if found and len(found[0].landmarks) != len(self._scheme):
            raise FormatError(
                f"{sample.name}: predictions have {len(found[0].landmarks)} landmarks where {self._scheme.name} has "
                f"{len(self._scheme)}: give them in that scheme"
            )
        return match(found, truths, self._scheme)

    def _entries(self, name: PurePath, width: int | None) -> list[_Entry]:
        # a table names the reduced photos as they were kept
        kept = () if width is None else (name.with_name(f"{name.name}.png"), name.with_suffix(".png"))
        index = self._indices[width]
        return next((entries for form in (name, *kept) if (entries := index.of(form))), [])


def _with_neighbours(samples: Sequence[Sample]) -> set[PurePath]:
    """The names of the photos, and of those without truth that lie beside them, whose files are not theirs."""
    names = {s.name for s in samples}
    for folder, name in {(s.photo.parent, s.name.parent) for s in samples}:
        # one that is not there or may not be read has its say when its photos are opened
        with contextlib.suppress(OSError):
            names.update(name / p.name for p in folder.iterdir() if is_photo(p))
    return names


class _Index:
    """What is there for each photo, by its path with or without suffix.

    Args:
        photos: the names of all that may have files here.
    """

    def __init__(self, path: Path, scheme: Scheme, photos: Iterable[PurePath], told: Callable[[str], None]) -> None:
        self._entries: defaultdict[str, list[_Entry]] = defaultdict(list)
        self._photos = {form for name in photos for form in _forms(name)}
        tables = [path]
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.is_file())
            results = [p for p in files if p.suffix.lower() == ".json" and result_json.looks_like_result(p)]
            for file in results or [p for p in files if p.suffix.lower() in READERS]:
                self._entries[file.relative_to(path).with_suffix("").as_posix()].append(file)
            tables = [] if self._entries else [p for p in files if p.suffix.lower() in TABLE_SUFFIXES]
        elif not path.is_file():
            raise DataError(f"{path}: no such file or folder: check --predictions")
        for table in tables:
            problems: list[str] = []
            for result in read_table(table, scheme, problems):
                self._entries[inside(result.photo.path).as_posix()].append(result)
            for problem in problems:
                told(problem)
        if not self._entries:
            raise DataError(f"{path}: holds no landmark files: give a folder of .json or .pts files, or a table")
        self._by_name: defaultdict[str, set[str]] = defaultdict(set)
        self._further: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        for key, entries in self._entries.items():
            self._by_name[PurePath(key).name].add(key)
            head, _, tail = key.rpartition("_")
            # files of other kinds hold all faces of their photo
            single = all(isinstance(e, Path) and e.suffix.lower() in READERS for e in entries)
            if single and tail.isdecimal() and key not in self._photos:
                self._further[head].append((int(tail), key))
                self._by_name[PurePath(head).name].add(head)

    def of(self, name: PurePath) -> list[_Entry]:
        """The entries of a photo."""
        return self._joined(*_forms(name)) or self._joined(self._free(name.name), self._free(name.stem))

    def _free(self, short: str) -> str | None:
        """The only path that ends in a name and is no other photo's own, whatever that is called."""
        free = [key for key in self._by_name.get(short, ()) if key not in self._photos]
        return free[0] if len(free) == 1 else None

    def _joined(self, whole: str | None, bare: str | None) -> list[_Entry]:
        """The entries of a path with its suffix, or without it.

        Where `NAME_2` is another photo, `hrlm detect` writes `NAME.pts` and for further faces `NAME.jpg_2.pts`.
        """
        keys = dict.fromkeys([whole] if whole in self._entries else [bare, whole])
        return [entry for key in keys if key is not None for entry in self._numbered(key)]

    def _numbered(self, key: str) -> Iterator[_Entry]:
        """The entries of `NAME`, `NAME_1`, `NAME_2` …, without those of a photo that has such a name."""
        yield from self._entries.get(key, [])
        for _, further in sorted(self._further.get(key, [])):
            yield from self._entries[further]


def _forms(name: PurePath) -> tuple[str, str]:
    """A photo's path with and without its suffix."""
    return name.as_posix(), name.with_suffix("").as_posix()


def match(found: Sequence[Prediction], truths: Sequence[KnownFace], scheme: Scheme) -> list[Prediction | None]:
    """The detected face of each annotated one, None where it was missed.

    A detected face stands for an annotated one if its box, or the bounding box of its landmarks, overlaps that of the
    true landmarks by at least `SAME_PLACE`: however wrong its landmarks are, they then count as errors, not as a miss.
    Pairs are made from the smallest error up, each face in one pair at most.
    """
    pairs = []
    for t, truth in enumerate(truths):
        known = ~np.isnan(truth.points[:, 0])
        true_box = known_box(truth.points)
        for f, face in enumerate(found):
            shown = known_box(face.landmarks[known])
            overlap = max(box_overlap(shown, true_box), box_overlap(face.box, truth.box))
            if overlap >= SAME_PLACE:
                pairs.append((float(nme(face.landmarks, truth.points, scheme)), t, f))
    matched: list[Prediction | None] = [None] * len(truths)
    taken: set[int] = set()
    for _, t, f in sorted(pairs):
        if matched[t] is None and f not in taken:
            matched[t] = found[f]
            taken.add(f)
    return matched
