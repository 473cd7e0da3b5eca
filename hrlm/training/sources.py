"""Sources of training faces: any annotated folder or table, read into the model's scheme without decoding a photo."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import yaml

from hrlm.errors import ConfigError, DataError, HrlmError
from hrlm.formats import corrections, pts, tem
from hrlm.formats import json as result_json
from hrlm.formats.catalogue import FORMATS as EXCHANGE
from hrlm.formats.catalogue import read_any
from hrlm.formats.truth import AnnotatedPhoto, FoundTruth, find_truth
from hrlm.photos import PHOTO_SUFFIXES
from hrlm.results import Box, PhotoResult
from hrlm.schemes import Scheme, load_scheme
from hrlm.training import annotated
from hrlm.training.annotated import UNREADABLE_LABELS, WRONG_SCHEME, Labels, PhotoLabels
from hrlm.training.config import Source, is_yaml

FOLDERS = ("pts", "tem", "labelme", "hrlm", "xmp")
READERS: Mapping[str, Callable[[Path, Scheme, annotated.Told], Iterator[PhotoLabels]]] = {
    "coco": annotated.read_coco,
    "csv": annotated.read_csv,
    "dlib": annotated.read_dlib,
    "labelme": annotated.read_labelme,
    "wflw": annotated.read_wflw,
}
FORMATS = (*FOLDERS, *(f for f in READERS if f not in FOLDERS), "cvat", "label-studio", "parquet")
ENDINGS = {".csv": "csv", ".txt": "wflw", ".parquet": "parquet", ".json": "coco"}

NO_PHOTO = "landmarks without a photo"
NO_LABELS = "photo without landmarks"


@dataclass(frozen=True)
class Problem:
    """Something that was passed over: what kind of fault, and a message that names the file and the cure."""

    kind: str
    message: str


@dataclass(frozen=True, eq=False)
class LabelledFace:
    """An annotated face in the model's scheme.

    Args:
        name: source and photo, with the face's number where the photo has several: for messages.
        photo: the file.
        points: `(N, 2)` photo pixels, NaN for landmarks that the data lacks.
        visible: `(N,)` bool: landmarks that are there and that the annotator could see.
        box: x, y, width, height that came with the data.
        size: width and height of the photo that the annotation states.
    """

    name: str
    photo: Path
    points: np.ndarray
    visible: np.ndarray
    box: Box | None = None
    size: tuple[int, int] | None = None


@dataclass
class SourceFaces:
    """What a source holds.

    Args:
        format: as read.
        training, validation: its faces.
        excluded: photos that the configuration keeps out: those of a test.
        problems: what was passed over.
    """

    format: str
    training: list[LabelledFace] = field(default_factory=list)
    validation: list[LabelledFace] = field(default_factory=list)
    excluded: list[Path] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_source(source: Source, scheme: Scheme) -> SourceFaces:
    """Every annotated face of a source, in the model's `scheme`, by photo name.

    Raises:
        DataError: nothing there, nothing annotated in it, or a list of names that does not fit it.
        ConfigError: its format or the way from its scheme to the model's is not told.
        SchemeError: its scheme cannot be read.
    """
    if not source.path.exists():
        raise DataError(f"{source.path}: no such file or folder: check the path")
    own = load_scheme(source.scheme) if source.scheme else scheme
    pairs = landmark_pairs(own, scheme, source.map, source.path)
    found = SourceFaces(source.format or told_format(source.path))
    if found.format not in FORMATS:
        raise ConfigError(f"{source.path}: no format {found.format!r}: use one of {', '.join(FORMATS)}")
    photos: defaultdict[Path, list[tuple[str, Labels, tuple[int, int] | None]]] = defaultdict(list)

    def told(kind: str, message: str) -> None:
        found.problems.append(Problem(kind, message))

    for photo, label, labels, size in _read(source, found.format, own, told):
        photos[photo].append((label, labels, size))
    excluded = _listed(source.exclude, photos, source)
    validating = _listed(source.validation_list, photos, source)
    ordered = sorted(p for p in photos if p not in excluded)
    if source.validation_every:
        validating = set(ordered[:: source.validation_every])
    rest = [p for p in ordered if p not in validating]
    if source.limit and len(rest) > source.limit:
        kept = {rest[i * len(rest) // source.limit] for i in range(source.limit)}
        ordered = [p for p in ordered if p in validating or p in kept]
    for photo in ordered:
        group = found.validation if source.validate or photo in validating else found.training
        for name, labels, size in photos[photo]:
            points, visible = _mapped(labels, pairs, len(scheme))
            if visible.any():
                group.append(LabelledFace(f"{source.path.stem}/{name}", photo, points, visible, labels.box, size))
            else:
                told(WRONG_SCHEME, f"{photo}: has no visible landmark that {scheme.name} has: passed over")
    found.excluded = sorted(excluded)
    if not found.training and not found.validation:
        why = found.problems[0].message if found.problems else "nothing is annotated"
        raise DataError(f"{source.path}: no face of it can be used ({why})")
    return found


def landmark_pairs(own: Scheme, scheme: Scheme, entries: Mapping[Any, Any] | str, where: Path) -> list[tuple[int, int]]:
    """Which landmark of a source's scheme is which of the model's: by equal names, and as `entries` say.

    Raises:
        ConfigError: an unknown landmark, one that stands for two, or nothing in common.
    """
    if is_yaml(entries):
        try:
            data = yaml.safe_load(Path(str(entries)).read_text(encoding="utf-8"))
            entries = data.get("pairs", data)
        except (OSError, yaml.YAMLError, UnicodeDecodeError, AttributeError) as e:
            raise ConfigError(f"{entries}: cannot be read as a map of landmarks ({' '.join(str(e).split())})") from e
    if not isinstance(entries, Mapping):
        raise ConfigError(f"{where}: map must be a mapping of landmarks or a YAML file, not {entries!r}")
    index = {name: i for i, name in enumerate(scheme.landmarks)}
    pairs = {i: index[name] for i, name in enumerate(own.landmarks) if name in index}
    for key, value in entries.items():
        ours = _landmark(key, own, where)
        if value is None:
            pairs.pop(ours, None)
        else:
            pairs[ours] = _landmark(value, scheme, where)
    targets = list(pairs.values())
    if not pairs:
        raise ConfigError(
            f"{where}: no landmark of {own.name} bears a name of {scheme.name}: say which are the same with map"
        )
    if len(set(targets)) != len(targets):
        twice = next(t for t in targets if targets.count(t) > 1)
        raise ConfigError(f"{where}: map gives two landmarks for {scheme.landmarks[twice]}: set one of them to null")
    return sorted(pairs.items())


def _landmark(key: Any, scheme: Scheme, where: Path) -> int:
    if key in scheme.landmarks:
        return scheme.landmarks.index(key)
    if isinstance(key, int) and 0 <= key < len(scheme):
        return key
    raise ConfigError(f"{where}: map: {scheme.name} has no landmark {key!r}: use its names or 0 to {len(scheme) - 1}")


def told_format(path: Path) -> str:
    """The format of a folder or table, from the files' endings and beginnings.

    Raises:
        DataError: it holds none.
        ConfigError: it holds several.
    """
    if path.is_file():
        if path.suffix.lower() == ".xml":
            with path.open("rb") as file:
                return "dlib" if b"<dataset" in file.read(1024) else "cvat"
        if path.suffix.lower() in ENDINGS:
            return ENDINGS[path.suffix.lower()]
        raise ConfigError(f"{path}: cannot tell its format: add format, one of {', '.join(FORMATS)}")
    files = [p for p in path.rglob("*") if p.is_file()]
    if any(corrections.is_correction(p) for p in files):
        return "pts"
    results = [p for p in files if p.suffix == ".json" and result_json.looks_like_result(p)]
    beside = {p.with_suffix("") for p in results}
    kinds = {
        "hrlm": bool(results),
        "pts": any(p.suffix.lower() == ".pts" and p.with_suffix("") not in beside for p in files),
        "tem": any(p.suffix.lower() == ".tem" for p in files),
        "labelme": any(
            p.suffix == ".json" and p not in results and annotated.looks_like_labelme(p) for p in files[:2000]
        ),
        "xmp": any(p.suffix == ".xmp" for p in files),
    }
    there = [name for name, yes in kinds.items() if yes]
    if not there:
        raise DataError(f"{path}: no landmark file of a known format in it: check the path, or name the table itself")
    if len(there) > 1:
        raise ConfigError(f"{path}: holds landmarks as {' and '.join(there)}: add format, one of {', '.join(FORMATS)}")
    return there[0]


Found = tuple[Path, str, Labels, tuple[int, int] | None]


def _read(source: Source, format: str, own: Scheme, told: annotated.Told) -> Iterator[Found]:
    if format in ("pts", "tem"):
        yield from _beside(source.path, format, own, told)
        return
    top = source.photos or (source.path if source.path.is_dir() else source.path.parent)
    photos = _Photos(top)
    seen: set[Path] = set()
    for file in _files(source.path, format):
        try:
            for entry in _photo_labels(file, format, own, told):
                photo = photos.find(entry.photo, file.parent)
                if photo is None:
                    told(NO_PHOTO, f"{file}: its photo {entry.photo} is not in {top}: set photos to its folder")
                    continue
                if entry.faces:
                    seen.add(photo)
                for k, labels in enumerate(entry.faces, start=1):
                    yield photo, f"{photo.stem}#{k}" if len(entry.faces) > 1 else photo.stem, labels, entry.size
        except HrlmError as e:
            told(UNREADABLE_LABELS, str(e))
    # beside a table that names its photos there may be anything
    for photo in sorted(set(photos.every) - seen) if source.photos or source.path.is_dir() else ():
        told(NO_LABELS, f"{photo}: has no landmarks: passed over")


def _files(path: Path, format: str) -> list[Path]:
    if path.is_file():
        return [path]
    if format == "hrlm":
        return [p for p in sorted(path.rglob("*.json")) if result_json.looks_like_result(p)]
    if format == "labelme":
        return [p for p in sorted(path.rglob("*.json")) if annotated.looks_like_labelme(p)]
    if format == "xmp":
        return sorted(path.rglob("*.xmp"))
    raise ConfigError(f"{path}: {format} is one file for all photos: name the file itself")


def _photo_labels(file: Path, format: str, own: Scheme, told: annotated.Told) -> Iterator[PhotoLabels]:
    if format in READERS:
        yield from READERS[format](file, own, told)
        return
    problems: list[str] = []
    results = iter([result_json.read(file)]) if format == "hrlm" else read_any(EXCHANGE[format], file, own, problems)
    for result in results:
        yield _of_result(result, own, told)
    for problem in problems:
        told(UNREADABLE_LABELS, problem)


def _of_result(result: PhotoResult, own: Scheme, told: annotated.Told) -> PhotoLabels:
    faces = []
    for face in result.faces:
        if len(face.landmarks) == len(own):
            faces.append(Labels(face.landmarks, face.invisible, face.box))
        else:
            told(WRONG_SCHEME, _wrong_count(result.photo.path, len(face.landmarks), own))
    info = result.photo
    return PhotoLabels(info.path, tuple(faces), (info.width, info.height) if info.width else None)


def _wrong_count(where: Any, count: int, own: Scheme) -> str:
    return f"{where}: has {count} points where {own.name} has {len(own)}: passed over, say the scheme it was made for"


def _beside(folder: Path, format: str, own: Scheme, told: annotated.Told) -> Iterator[Found]:
    """Photos with `.pts`, `.tem` or corrections beside them."""
    truth = _templates(folder) if format == "tem" else find_truth([folder])
    for problem in truth.problems:
        told(NO_PHOTO, problem)
    for found in truth.annotated:
        for file in found.files:
            for label, labels in _landmarks(file, own, told):
                yield found.photo, label, labels, None
    if folder.is_dir():
        labelled = {a.photo.resolve() for a in truth.annotated}
        for photo in _walk(folder):
            if photo.resolve() not in labelled:
                told(NO_LABELS, f"{photo}: has no landmarks: passed over")


def _landmarks(file: Path, own: Scheme, told: annotated.Told) -> Iterator[tuple[str, Labels]]:
    try:
        if corrections.is_correction(file):
            faces = corrections.read(file).faces
            read = [(f"{file.stem}#{k}", Labels(f.landmarks, f.invisible)) for k, f in enumerate(faces, start=1)]
        else:
            points = tem.read(file) if file.suffix.lower() == ".tem" else pts.read(file)
            read = [(file.stem, Labels(points))]
    except HrlmError as e:
        told(annotated.NOT_A_NUMBER if "nan" in str(e).lower() else UNREADABLE_LABELS, str(e))
        return
    for label, labels in read:
        if len(labels.points) == len(own):
            yield label, labels
        else:
            told(WRONG_SCHEME, _wrong_count(file, len(labels.points), own))


def _templates(folder: Path) -> FoundTruth:
    found = FoundTruth()
    photos = {p.with_suffix(""): p for p in _walk(folder)}
    for file in sorted(p for p in folder.rglob("*") if p.suffix.lower() == ".tem"):
        if photo := photos.get(file.with_suffix("")):
            found.annotated.append(AnnotatedPhoto(photo, (file,)))
        else:
            found.problems.append(f"{file}: no photo beside it has its name: passed over, rename one")
    return found


def _walk(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in PHOTO_SUFFIXES and p.is_file())


class _Photos:
    """The photos that a table may mean: by path, else by a name that only one photo of the folder has."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.every = _walk(top)
        self._by_name: defaultdict[str, list[Path]] = defaultdict(list)
        for photo in self.every:
            self._by_name[photo.name].append(photo)
            self._by_name[photo.stem].append(photo)

    def find(self, stated: str, beside: Path) -> Path | None:
        windows = PureWindowsPath(stated)
        for place in (self.top / stated, self.top.joinpath(*windows.parts), beside / stated):
            if place.is_file():
                return place
        named = self._by_name.get(windows.name, [])
        return named[0] if len(named) == 1 else None


def _mapped(labels: Labels, pairs: Sequence[tuple[int, int]], count: int) -> tuple[np.ndarray, np.ndarray]:
    points = np.full((count, 2), np.nan)
    visible = np.zeros(count, bool)
    for ours, theirs in pairs:
        points[theirs] = labels.points[ours]
        visible[theirs] = ours not in labels.hidden and np.isfinite(labels.points[ours]).all()
    return points, visible


def _listed(file: Path | None, photos: Mapping[Path, Any], source: Source) -> set[Path]:
    """The photos that a list names: by path below the source, by name or by name without ending."""
    if file is None:
        return set()
    try:
        lines = [line.split("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as e:
        raise DataError(f"{file}: cannot be read ({e}): give a text file of photo names, one a line") from e
    names: defaultdict[str, set[Path]] = defaultdict(set)
    for photo in {*photos, *(_walk(source.photos or source.path) if (source.photos or source.path).is_dir() else ())}:
        inside = photo.relative_to(source.path) if photo.is_relative_to(source.path) else Path(photo.name)
        for name in {photo.name, photo.stem, inside.as_posix(), inside.with_suffix("").as_posix()}:
            names[name].add(photo)
    listed = [line for line in lines if line]
    lost = [name for name in listed if name not in names]
    if lost or not listed:
        what = f"names {lost[0]}{f' and {len(lost) - 1} more' if len(lost) > 1 else ''}" if lost else "names no photo"
        raise DataError(f"{file}: {what}, which {source.path} does not hold: mend the list")
    return set().union(*(names[name] for name in listed))
