"""Annotated photos in any form: landmark files beside the photos, or one table that names its photos."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePath

import numpy as np

from hrlm.errors import DataError, FormatError
from hrlm.evaluation.correspondence import Correspondence
from hrlm.formats import pts, tem
from hrlm.formats.catalogue import FORMATS, read_any
from hrlm.formats.truth import AnnotatedPhoto, TrueFace, by_place, read_truth, search_truth, stray
from hrlm.photos import Photo
from hrlm.photos.folders import files_in, photos_of
from hrlm.results import Box, PhotoInfo, PhotoResult
from hrlm.schemes import Scheme

Maps = Mapping[int, Correspondence]
READERS = {".pts": pts.read, ".tem": tem.read}
TABLE_SUFFIXES = (".csv", ".json", ".parquet", ".xml")


@dataclass(frozen=True, eq=False)
class KnownFace:
    """An annotated face.

    Args:
        source: the file that it comes from, with its number where the file holds several.
        points: `(N, 2)` in photo pixels, NaN for landmarks that are not annotated or not to be seen.
        box: around every point of the file.
    """

    source: str
    points: np.ndarray
    box: Box

    @property
    def width(self) -> float:
        """Width of the box in photo pixels."""
        return self.box[2]


@dataclass(frozen=True, eq=False)
class Sample:
    """An annotated photo.

    Args:
        photo: its file.
        name: its path below the data folder, never out of it; other detectors' files are looked up by it.
        read: its faces, and a message for each that had to be passed over.
        stated: the photo as a table states it, whose size must be the photo's; None where nothing does.
    """

    photo: Path
    name: PurePath
    read: Callable[[], tuple[list[KnownFace], list[str]]]
    stated: PhotoInfo | None = None


@dataclass
class Data:
    """Annotated photos, how many photos have no truth, and a message for everything that was passed over."""

    samples: list[Sample] = field(default_factory=list)
    without: int = 0
    problems: list[str] = field(default_factory=list)


def find_data(paths: Sequence[Path], scheme: Scheme, maps: Maps) -> Data:
    """Annotated photos of folders (with all below them), single photos and tables (CSV, COCO …).

    Args:
        maps: for files of other templates, by number of points.

    Raises:
        DataError: a path that is not there, or no annotated photo at all.
        FormatError: a table that cannot be read.
    """
    found = Data()
    beside: list[Path] = []
    for path in by_place(paths).values():
        if not path.exists():
            raise DataError(f"{path}: no such file or folder: check the path")
        if path.is_file() and path.suffix.lower() in TABLE_SUFFIXES:
            found.samples.extend(_of_table(path, scheme, found.problems))
        else:
            beside.append(path)
    templates, strange = _templates(beside)
    truth = search_truth(beside)
    if truth.lack and not templates and not found.samples:
        raise DataError(strange[0] if strange else truth.lack)
    done = by_place(entry.photo for entry in truth.annotated)
    further = [entry for place, entry in templates.items() if place not in done]
    found.samples += [_annotated(entry, beside, scheme, maps) for entry in (*truth.annotated, *further)]
    found.without = max(0, truth.without - len(further))
    found.problems += truth.problems + strange
    if not found.samples:
        raise DataError(
            f"{', '.join(map(str, paths))}: no photo with ground truth: see docs/benchmark.md for its forms"
        )
    return found


def by_name(samples: Sequence[Sample], trouble: str) -> dict[str, Sample]:
    """The samples by their names.

    Args:
        trouble: what two photos of one name would lead to.

    Raises:
        DataError: two photos have one name below their folders.
    """
    names: dict[str, Sample] = {}
    for sample in samples:
        other = names.setdefault(sample.name.as_posix(), sample)
        if other.photo != sample.photo:
            raise DataError(
                f"{other.photo} and {sample.photo}: both are {sample.name} below their folders and {trouble}: measure "
                "the folders one by one, or a folder that holds both"
            )
    return names


def inside(path: str) -> PurePath:
    """A path as one below a folder: without its root and without ways out."""
    whole = PurePath(path)
    return PurePath(*(part for part in whole.parts if part not in (whole.anchor, "..")))


def name_of_face(name: PurePath, number: int) -> PurePath:
    """The name of a photo that was reduced to its face `number` (from 0): `NAME.face2.jpg` for the second.

    Not `NAME_2.jpg`: `NAME_2.pts` is the second face in the photo `NAME`.
    """
    return name.with_name(f"{name.stem}.face{number + 1}{name.suffix}") if number else name


def check_size(where: str, stated: PhotoInfo, photo: Photo) -> None:
    """See that landmarks are of a photo of this size, as far as their file states one.

    Raises:
        FormatError: they are not.
    """
    if stated.width and stated.height and (stated.width, stated.height) != (photo.width, photo.height):
        raise FormatError(
            f"{where}: states a photo of {stated.width} x {stated.height}, {photo.path} has {photo.width} x "
            f"{photo.height}: give landmarks of the photo as it is"
        )


def known_box(points: np.ndarray) -> Box:
    """The bounding box x, y, width, height of the points `(N, 2)` that are not NaN, of which there is at least one."""
    low, high = np.nanmin(points, 0), np.nanmax(points, 0)
    return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])


def read_landmarks(file: Path, scheme: Scheme, maps: Maps) -> tuple[np.ndarray, Box]:
    """The scheme's landmarks `(N, 2)` of a `.pts` or `.tem` file, NaN where lacking, and the box of all its points.

    Args:
        maps: one for the scheme's own number of points counts too: a template may have another order.

    Raises:
        FormatError: unreadable, or of another number of points than the scheme or a template of `maps`.
    """
    points = READERS[file.suffix.lower()](file)
    box = known_box(points)
    if len(points) in maps:
        return maps[len(points)].to_scheme(points, scheme), box
    if len(points) == len(scheme):
        return points, box
    raise FormatError(f"{file}: has {len(points)} points where {scheme.name} has {len(scheme)}: passed over; see --map")


def read_table(path: Path, scheme: Scheme, problems: list[str]) -> Iterator[PhotoResult]:
    """The photos of a table, by the format that its name or content tells.

    Args:
        problems: takes a message for each face that has to be left out.

    Raises:
        FormatError: unreadable or of no known format.
    """
    suffix = path.suffix.lower()
    if suffix == ".xml":
        try:
            with path.open("rb") as file:
                name = "dlib" if b"<dataset" in file.read(1024) else "cvat"
        except OSError as e:
            raise FormatError(f"{path}: cannot be read ({e.strerror or e}): check the file and its rights") from e
    else:
        name = {".json": "coco"}.get(suffix, suffix[1:])
    for result in read_any(FORMATS[name], path, scheme, problems):
        if inside(result.photo.path).name:
            yield result
        elif result.faces:
            problems.append(f"{path}: {result.photo.path!r} names no photo: give its faces the photo's path")


def _of_table(path: Path, scheme: Scheme, problems: list[str]) -> Iterator[Sample]:
    for result in read_table(path, scheme, problems):
        photo = path.parent / result.photo.path
        # a table may number the landmarks' file by photo only: a face is told by its place in it
        faces = [
            KnownFace(
                f"{path}: {result.photo.path} #{i}",
                TrueFace(path, f.landmarks, f.invisible).seen(scheme),
                known_box(f.landmarks),
            )
            for i, f in enumerate(result.faces, start=1)
        ]
        read = partial(_usable, faces, scheme)
        yield Sample(photo, inside(result.photo.path), read, result.photo)


def _templates(paths: Sequence[Path]) -> tuple[dict[Path, AnnotatedPhoto], list[str]]:
    """Photos with `NAME.tem` and no `NAME.pts` beside them, by place; a message for each of several photos or none."""
    photos: list[Path] = []
    templates: list[Path] = []
    for path in paths:
        files = files_in(path) if path.is_dir() else [path.with_suffix(".tem")]
        photos += photos_of(files) if path.is_dir() else [path]
        templates += [file for file in files if file.suffix.lower() == ".tem" and file.is_file()]
    by_stem: defaultdict[Path, dict[Path, Path]] = defaultdict(dict)
    for place, photo in by_place(photos).items():
        by_stem[place.with_suffix("")][place] = photo
    found: dict[Path, AnnotatedPhoto] = {}
    strange = []
    for place, template in by_place(templates).items():
        owners = by_stem.get(place.with_suffix(""), {})
        if any(photo.with_suffix(".pts").is_file() for photo in owners.values()):
            continue
        if len(owners) == 1:
            found.update((owner, AnnotatedPhoto(photo, (template,))) for owner, photo in owners.items())
        else:
            strange.append(stray(template, list(owners.values())))
    return found, strange


def _annotated(entry: AnnotatedPhoto, folders: Sequence[Path], scheme: Scheme, maps: Maps) -> Sample:
    return Sample(entry.photo, _name(entry.photo, folders), lambda: _read(entry, scheme, maps))


def _name(photo: Path, folders: Sequence[Path]) -> PurePath:
    inside = [photo.relative_to(f) for f in folders if f != photo and photo.is_relative_to(f)]
    return min(inside, key=lambda p: len(p.parts), default=PurePath(photo.name))


def _read(entry: AnnotatedPhoto, scheme: Scheme, maps: Maps) -> tuple[list[KnownFace], list[str]]:
    faces: list[KnownFace] = []
    problems: list[str] = []
    for file in entry.files:
        if file.suffix.lower() in READERS:
            try:
                points, box = read_landmarks(file, scheme, maps)
                faces.append(KnownFace(str(file), points, box))
            except FormatError as e:
                problems.append(str(e))
        else:
            # what else counts as truth, find_truth and read_truth know
            read, told = read_truth(replace(entry, files=(file,)), scheme)
            faces.extend(KnownFace(t.name, t.seen(scheme), known_box(t.points)) for t in read)
            problems.extend(told)
    usable, told = _usable(faces, scheme)
    return usable, problems + told


def _usable(faces: Sequence[KnownFace], scheme: Scheme) -> tuple[list[KnownFace], list[str]]:
    """The faces whose error can be measured, and a message for each other."""
    usable = [f for f in faces if scheme.inter_ocular(f.points) > 0]
    return usable, [
        f"{f.source}: the landmarks {scheme.normaliser} coincide, so nothing measures the face: mend it"
        for f in faces
        if f not in usable
    ]
