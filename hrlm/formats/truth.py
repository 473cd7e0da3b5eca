"""Annotated photos: photos with `.pts` files beside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hrlm.errors import DataError, HrlmError
from hrlm.formats import pts
from hrlm.photos import PHOTO_SUFFIXES
from hrlm.schemes import Scheme


@dataclass(frozen=True)
class AnnotatedPhoto:
    """A photo and the landmark files of its annotated faces; other faces of it may lack one."""

    photo: Path
    files: tuple[Path, ...]


@dataclass
class FoundTruth:
    """What folders hold: annotated photos by path, how many photos have no truth, and a message for each stray file."""

    annotated: list[AnnotatedPhoto] = field(default_factory=list)
    without: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class TrueFace:
    """An annotated face: `points` `(N, 2)` in photo pixels, from `file`."""

    file: Path
    points: np.ndarray

    @property
    def width(self) -> float:
        """Width of the landmarks' bounding box in photo pixels."""
        return float(np.ptp(self.points[:, 0]))


def find_truth(paths: Iterable[Path]) -> FoundTruth:
    """Photos of folders (with all below them) and single photos, with their landmark files.

    `NAME.pts` belongs to the photo `NAME`; where no photo has just that name, `NAME_k.pts` is face k of `NAME`.

    Raises:
        DataError: a path that is not there, or no annotated photo at all.
    """
    paths = list(paths)
    found = FoundTruth()
    photos: dict[Path, None] = {}
    truths: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.is_file())
            photos.update((p, None) for p in files if p.suffix.lower() in PHOTO_SUFFIXES)
            truths.update((p, None) for p in files if p.suffix.lower() == ".pts")
        elif path.is_file():
            photos[path] = None
            truths.update((p, None) for p in sorted(path.parent.glob("*.pts")) if _belongs(p, path))
        else:
            raise DataError(f"{path}: no such file or folder: check the path")
    by_stem: defaultdict[Path, list[Path]] = defaultdict(list)
    for photo in photos:
        by_stem[photo.with_suffix("")].append(photo)
    owned: defaultdict[Path, list[tuple[int, Path]]] = defaultdict(list)
    for truth in truths:
        number, owners = _owners(truth, by_stem)
        if len(owners) == 1:
            owned[owners[0]].append((number, truth))
        else:
            which = " and ".join(o.name for o in owners) if owners else "no photo"
            found.problems.append(f"{truth}: {which} beside it has its name: passed over, rename one")
    found.annotated = [AnnotatedPhoto(p, tuple(t for _, t in sorted(owned[p]))) for p in photos if p in owned]
    found.without = len(photos) - len(found.annotated)
    if not found.annotated:
        where = ", ".join(map(str, paths))
        raise DataError(f"{where}: no photo with a .pts file of the same name beside it: check the path")
    return found


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
            points = pts.read(file)
        except HrlmError as e:
            problems.append(str(e))
            continue
        if len(points) != len(scheme):
            problems.append(f"{file}: has {len(points)} points where {scheme.name} has {len(scheme)}: passed over")
        elif not scheme.inter_ocular(points) > 0:
            problems.append(
                f"{file}: the landmarks {scheme.normaliser} coincide, so nothing measures the face: mend it"
            )
        else:
            faces.append(TrueFace(file, points))
    return faces, problems
