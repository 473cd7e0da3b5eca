"""Annotated photos: photos with `.pts` files beside them, and photos whose results a person has corrected."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hrlm.errors import DataError, FormatError, HrlmError, PhotoError
from hrlm.formats import correcting, corrections, pts
from hrlm.formats import json as result_json
from hrlm.formats.corrections import Correction
from hrlm.photos.folders import files_in, is_raw, photos_of
from hrlm.photos.header import read_header
from hrlm.schemes import Scheme

# photo pixels; results and .pts files have three decimals
SAME = 0.002
# what makes a correction count
CURE = "mark photos as checked on the review page (hrlm annotate RESULTS --serve)"


@dataclass(frozen=True)
class AnnotatedPhoto:
    """A photo and the landmark files of its annotated faces; other faces of it may lack one.

    A correction (`NAME.corrected.json`) is one file that holds all faces.
    """

    photo: Path
    files: tuple[Path, ...]


@dataclass
class FoundTruth:
    """What folders hold: annotated photos by path, how many photos have no truth, and a message for each stray file.

    `lack` says why no photo is annotated, and the cure; empty where one is. `unchecked` are photos whose corrections
    are not marked as checked.
    """

    annotated: list[AnnotatedPhoto] = field(default_factory=list)
    without: int = 0
    problems: list[str] = field(default_factory=list)
    lack: str = ""
    unchecked: set[Path] = field(default_factory=set)


@dataclass(frozen=True, eq=False)
class TrueFace:
    """An annotated face.

    Args:
        file: where it is from.
        points: `(N, 2)` in photo pixels.
        invisible: landmarks that the annotator could not see: where they stand is a guess.
        number: which face of the file, from 1; 0 where the file holds one face.
    """

    file: Path
    points: np.ndarray
    invisible: tuple[int, ...] = ()
    number: int = 0

    @property
    def name(self) -> str:
        """The file's path, and the face's number in a file that holds several."""
        return f"{self.file}#{self.number}" if self.number else str(self.file)

    @property
    def visible(self) -> np.ndarray:
        """`(N,)` bool: the landmarks that are not `invisible`."""
        seen = np.ones(len(self.points), bool)
        seen[list(self.invisible)] = False
        return seen

    def seen(self, scheme: Scheme) -> np.ndarray:
        """`points`, NaN where they are invisible; the normaliser's stay, since nothing else measures the face."""
        known = self.visible
        known[scheme.normaliser_index] = True
        return np.where(known[:, None], self.points, np.nan)

    @property
    def width(self) -> float:
        """Width of the landmarks' bounding box in photo pixels."""
        return float(np.ptp(self.points[:, 0]))


def find_truth(paths: Iterable[Path]) -> FoundTruth:
    """Photos of folders (with all below them, links too) and single photos, with their landmark files.

    A camera raw file in a folder that has another photo of its name beside it is none: both are one shot.
    `NAME.pts` belongs to the photo `NAME`; where no photo has just that name, `NAME_k.pts` is face k of `NAME`.

    A correction `NAME.corrected.json` that is marked as checked is its photo's truth, and other files of the photo do
    not count; the photo may lie where the correction says, beside it or, by the path that detection was given, in one
    of `paths`. One that, by size or stated path, is of another photo than that or than the result beside it is a
    problem. One that is not yet checked makes its photo one without truth. Beside results, `.pts` files without a
    photo are predictions, and so are those that tell what the result tells.

    Raises:
        DataError: a path that is not there, or no annotated photo at all.
    """
    found = search_truth(paths)
    if found.lack:
        raise DataError(found.lack)
    return found


def search_truth(paths: Iterable[Path]) -> FoundTruth:
    """As `find_truth`, but content with nothing.

    Raises:
        DataError: a path that is not there.
    """
    paths = list(paths)
    found = FoundTruth()
    every_photo: list[Path] = []
    every_truth: list[Path] = []
    every_correction: list[Path] = []
    for path in paths:
        if path.is_dir():
            files = files_in(path)
            every_photo += photos_of(files)
            every_truth += [p for p in files if p.suffix.lower() == ".pts" and not corrections.is_corrected_pts(p)]
            every_correction += [p for p in files if corrections.is_correction(p)]
        elif path.is_file():
            every_photo.append(path)
            every_truth += [p for p in sorted(path.parent.glob("*.pts")) if _belongs(p, path)]
            beside = (path.with_name(name + corrections.SUFFIX) for name in (path.stem, path.name))
            every_correction += [p for p in beside if p.is_file()]
        else:
            raise DataError(f"{path}: no such file or folder: check the path")
    photos = by_place(every_photo)
    corrected = by_place(every_correction).values()
    checked, open_photos = _corrected_photos(corrected, photos.values(), paths, found.problems)
    unusable = tuple(found.problems)
    by_stem: defaultdict[Path, list[Path]] = defaultdict(list)
    for place, photo in photos.items():
        by_stem[place.with_suffix("")].append(photo)
    owned: defaultdict[Path, list[tuple[int, Path]]] = defaultdict(list)
    for place, truth in by_place(every_truth).items():
        number, owners = _owners(place, by_stem)
        if len(owners) == 1:
            if owners[0] not in checked and owners[0] not in open_photos and not is_copy(truth):
                owned[owners[0]].append((number, truth))
        elif owners or not is_prediction(truth):
            found.problems.append(stray(truth, owners))
    for photo, file in checked.items():
        owned[photo] = [(0, file)]
    every = dict.fromkeys([*photos.values(), *checked, *open_photos])
    found.annotated = [AnnotatedPhoto(p, tuple(t for _, t in sorted(owned[p]))) for p in every if p in owned]
    found.without = len(every) - len(found.annotated)
    found.unchecked = open_photos
    if not found.annotated:
        found.lack = _lack(paths, len(open_photos), unusable)
    return found


def by_place(files: Iterable[Path]) -> dict[Path, Path]:
    """The files by where they are, each once and as first named, in whatever ways its folder is named.

    Links to folders are followed; a link to a file is a file of its own, as it has a name of its own.
    """
    places: dict[Path, Path] = {}
    for file in files:
        places.setdefault(file.parent.resolve() / file.name, file)
    return places


def _lack(paths: Sequence[Path], unchecked: int, unusable: Sequence[str]) -> str:
    """Why there is no truth, and the cure."""
    where = ", ".join(map(str, paths))
    if unchecked:
        return f"{where}: none of the {unchecked} corrected photos is marked as checked: {CURE}"
    if unusable:
        return unusable[0] + (f" (and {len(unusable) - 1} more such corrections)" if len(unusable) > 1 else "")
    files = (p for path in paths if path.is_dir() for p in files_in(path))
    if any(p.suffix == ".json" and result_json.looks_like_result(p) for p in files):
        return only_results(where)
    return f"{where}: no photo with a .pts file of the same name beside it: check the path"


def only_results(where: str | Path) -> str:
    """Why results alone are no truth, and the cure."""
    return f"{where}: holds results, none of them checked, and no photo with its .pts file beside it: {CURE}"


def stray(truth: Path, owners: Sequence[Path]) -> str:
    """The message for a landmark file that belongs to no photo or to several."""
    which = " and ".join(o.name for o in owners) if owners else "no photo"
    return f"{truth}: {which} beside it has its name: passed over, rename one"


def _corrected_photos(
    files: Iterable[Path], photos: Iterable[Path], tops: Sequence[Path], problems: list[str]
) -> tuple[dict[Path, Path], set[Path]]:
    """The corrections by photo, and the photos whose corrections are not yet checked."""
    # a photo is the same one whether it was walked to or is named by its correction
    known = {p.resolve(): p for p in photos}
    checked: dict[Path, Path] = {}
    unfinished: set[Path] = set()
    for file in files:
        try:
            correction = corrections.read(file)
            _check_result(file, correction)
        except HrlmError as e:
            problems.append(str(e))
            continue
        stated = correction.photo.path
        places = [
            file.parent / correction.file,
            *(t / stated for t in tops),
            Path(stated),
            file.parent / Path(stated).name,
        ]
        place = next((p for p in places if p.is_file()), None)
        if place is None:
            problems.append(f"{file}: its photo {stated} is not found: give the folder of the photos as well")
            continue
        try:
            _check_size(file, correction, place)
        except FormatError as e:
            problems.append(str(e))
            continue
        photo = known.setdefault(place.resolve(), _plain(place))
        if photo in checked or photo in unfinished:
            problems.append(f"{file}: {photo} has another correction already: passed over, remove one")
        elif correction.checked:
            checked[photo] = file
        else:
            unfinished.add(photo)
    return checked, unfinished


def _plain(place: Path) -> Path:
    """A photo's path without `..`, which after a link leads elsewhere than it reads."""
    plain = Path(os.path.normpath(place))
    return plain if plain.is_file() and plain.samefile(place) else place.resolve()


def _check_result(file: Path, correction: Correction) -> None:
    """See that the result beside a correction, where there is one, is still of the same photo."""
    result = file.with_name(file.name.removesuffix(corrections.SUFFIX) + ".json")
    if result_json.looks_like_result(result):
        correcting.check_photo(file, correction, result_json.read(result).photo)


def _check_size(file: Path, correction: Correction, photo: Path) -> None:
    """See that a photo has the size that its correction states, as far as its first bytes tell."""
    try:
        with photo.open("rb") as opened:
            header = read_header(opened, str(photo))
            if header.is_raw or is_raw(photo):
                return
            width, height = header.width, header.height
    except (OSError, PhotoError):  # told when the photo is opened, which may read more kinds
        return
    stated = correction.photo
    # JPEG alone tells surely which way it is turned
    turned = header.orientation > 4 if header.is_jpeg else (width > height) != (stated.width > stated.height)
    correcting.check_size(file, correction, *((height, width) if turned else (width, height)))


def is_prediction(truth: Path) -> bool:
    """Whether a `.pts` file lies beside the result that it may have been written with."""
    return bool(_results_beside(truth))


def is_copy(truth: Path) -> bool:
    """Whether a `.pts` file tells just what a face of the result beside it tells: detection wrote both.

    A person's own file may lie beside the result of the same photo, so its name alone does not tell.
    """
    for result in _results_beside(truth):
        try:
            points, faces = pts.read(truth), result_json.read(result).faces
        except HrlmError:  # told when the truth is read
            continue
        if any(f.landmarks.shape == points.shape and np.abs(f.landmarks - points).max() < SAME for f in faces):
            return True
    return False


def _results_beside(truth: Path) -> list[Path]:
    head, _, tail = truth.stem.rpartition("_")
    stems = [truth.stem, *([head] if tail.isdecimal() else [])]
    return [p for p in (truth.with_name(stem + ".json") for stem in stems) if result_json.looks_like_result(p)]


def _belongs(truth: Path, photo: Path) -> bool:
    head, _, tail = truth.stem.rpartition("_")
    return truth.stem == photo.stem or (head == photo.stem and tail.isdecimal())


def _owners(truth: Path, by_stem: dict[Path, list[Path]]) -> tuple[int, Sequence[Path]]:
    """The face's number and the photos that a landmark file may belong to."""
    if whole := by_stem.get(truth.with_suffix("")):
        return 0, whole
    head, _, tail = truth.stem.rpartition("_")
    if tail.isdecimal() and (base := by_stem.get(truth.parent / head)):
        return int(tail), base
    return 0, ()


def read_truth(annotated: AnnotatedPhoto, scheme: Scheme) -> tuple[list[TrueFace], list[str]]:
    """The annotated faces of a photo, and a message for each file that had to be passed over."""
    faces: list[TrueFace] = []
    problems: list[str] = []
    for file in annotated.files:
        try:
            read = _read(file)
        except HrlmError as e:
            problems.append(str(e))
            continue
        for face in read:
            count = len(face.points)
            if count != len(scheme):
                problems.append(f"{face.name}: has {count} points where {scheme.name} has {len(scheme)}: passed over")
            elif not scheme.inter_ocular(face.points) > 0:
                problems.append(
                    f"{face.name}: the landmarks {scheme.normaliser} coincide, so nothing measures the face: mend it"
                )
            else:
                faces.append(face)
    return faces, problems


def _read(file: Path) -> list[TrueFace]:
    if not corrections.is_correction(file):
        return [TrueFace(file, pts.read(file))]
    faces = corrections.read(file).faces
    return [TrueFace(file, face.landmarks, face.invisible, k) for k, face in enumerate(faces, start=1)]
