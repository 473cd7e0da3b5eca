"""Sources of training faces: any annotated folder or table, read into the model's scheme without decoding a photo."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from hrlm.errors import ConfigError, DataError, HrlmError
from hrlm.formats import corrections, pts, tem
from hrlm.formats import json as result_json
from hrlm.formats.catalogue import FORMATS as EXCHANGE
from hrlm.formats.catalogue import read_any
from hrlm.formats.truth import CURE, AnnotatedPhoto, FoundTruth, find_truth, is_prediction, only_results, stray
from hrlm.photos.folders import files_in, photos_of
from hrlm.results import Box, PhotoResult
from hrlm.schemes import Scheme, load_scheme
from hrlm.training import annotated
from hrlm.training.annotated import UNREADABLE_LABELS, WRONG_SCHEME, Labels, PhotoLabels
from hrlm.training.config import Source, is_yaml
from hrlm.training.photo_names import StatedPhotos, listed

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

Size = tuple[int, int]
NO_PHOTO = "landmarks without a photo"
NO_LABELS = "photo without landmarks"
UNCHECKED = "corrections that are not marked as checked"


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
    size: Size | None = None


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

    def told(kind: str, message: str) -> None:
        found.problems.append(Problem(kind, message))

    read = list(_read(source, found.format, own, told))
    # by real path: a photo may be named in several ways, and all its faces go the same way
    named: dict[Path, Path] = {}
    faces: defaultdict[Path, list[tuple[str, Labels, Size | None]]] = defaultdict(list)
    for one in read:
        if one.faces:
            named.setdefault(one.photo.resolve(), one.photo)
            faces[one.photo.resolve()] += [(label, labels, one.size) for label, labels in one.faces]
    held = [(one.photo, one.stated) for one in read]
    excluded, validating = _listed(source.exclude, source, held), set(_listed(source.validation_list, source, held))
    ordered = sorted((p for p in faces if p not in excluded), key=lambda p: named[p])
    if source.validation_every:
        validating = set(ordered[:: source.validation_every])
    rest = [p for p in ordered if p not in validating]
    if source.limit and len(rest) > source.limit:
        kept = {rest[i * len(rest) // source.limit] for i in range(source.limit)}
        ordered = [p for p in ordered if p in validating or p in kept]
    for real in ordered:
        group = found.validation if source.validate or real in validating else found.training
        photo = named[real]
        for name, labels, size in faces[real]:
            points, visible = _mapped(labels, pairs, len(scheme))
            if visible.any():
                group.append(LabelledFace(f"{source.path.stem}/{name}", photo, points, visible, labels.box, size))
            else:
                told(WRONG_SCHEME, f"{photo}: has no visible landmark that {scheme.name} has: passed over")
    found.excluded = sorted(excluded.values())
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
    files = files_in(path)
    if any(corrections.is_correction(p) for p in files):
        return "pts"
    tables = [p for p in files if p.suffix == ".json"]
    results = {p for p in tables if result_json.looks_like_result(p)}
    others = [p for p in tables if p not in results]
    kinds = {
        "hrlm": bool(results),
        "pts": any(p.suffix.lower() == ".pts" and not (results and is_prediction(p)) for p in files),
        "tem": any(p.suffix.lower() == ".tem" for p in files),
        "labelme": any(annotated.looks_like_labelme(p) for p in others[:2000]),
        "xmp": any(p.suffix == ".xmp" for p in files),
    }
    there = [name for name, yes in kinds.items() if yes]
    if not there:
        raise DataError(f"{path}: no landmark file of a known format in it: check the path, or name the table itself")
    if len(there) > 1:
        raise ConfigError(f"{path}: holds landmarks as {' and '.join(there)}: add format, one of {', '.join(FORMATS)}")
    if there == ["hrlm"]:
        raise DataError(
            f"{only_results(path)}, or say format: hrlm to learn what was detected as it is, pts for your own .pts"
        )
    return there[0]


@dataclass(frozen=True, eq=False)
class _Photo:
    """What a source's labels say of a photo: which it is, how they call it, its faces by name, and its size."""

    photo: Path
    stated: str
    faces: Sequence[tuple[str, Labels]]
    size: Size | None = None


def _read(source: Source, format: str, own: Scheme, told: annotated.Told) -> Iterator[_Photo]:
    if format in ("pts", "tem"):
        yield from _beside(source.path, format, own, told)
        return
    top = source.photos or (source.path if source.path.is_dir() else source.path.parent)
    # labelme's paths start at its own file
    photos = StatedPhotos(top, format in FOLDERS, bool(source.photos) or format != "labelme")
    entries: list[tuple[Path, PhotoLabels]] = []
    for file in _files(source.path, format):
        try:
            for entry in _photo_labels(file, format, own, told):
                entries.append((file, entry))
        except HrlmError as e:
            told(UNREADABLE_LABELS, str(e))
    seen: set[Path] = set()
    places = photos.find([(file.parent, entry.photo) for file, entry in entries])
    for (file, entry), photo in zip(entries, places, strict=True):
        if photo is None:
            told(NO_PHOTO, f"{file}: its photo {entry.photo} is not in {top}: add it, or set photos to its folder")
            continue
        if entry.faces:
            seen.add(photo.resolve())
        names = [f"{photo.stem}#{k}" if len(entry.faces) > 1 else photo.stem for k in range(1, len(entry.faces) + 1)]
        yield _Photo(photo, entry.photo, list(zip(names, entry.faces, strict=True)), entry.size)
    # beside a table that names its photos there may be anything
    for photo in photos.every if source.photos or source.path.is_dir() else ():
        if photo.resolve() not in seen:
            told(NO_LABELS, f"{photo}: has no landmarks: passed over")


def _files(path: Path, format: str) -> list[Path]:
    if path.is_file():
        return [path]
    if format == "hrlm":
        return [p for p in files_in(path) if p.suffix == ".json" and result_json.looks_like_result(p)]
    if format == "labelme":
        return [p for p in files_in(path) if p.suffix == ".json" and annotated.looks_like_labelme(p)]
    if format == "xmp":
        return [p for p in files_in(path) if p.suffix == ".xmp"]
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


def _beside(folder: Path, format: str, own: Scheme, told: annotated.Told) -> Iterator[_Photo]:
    """Photos with `.pts`, `.tem` or corrections beside them."""
    truth = _templates(folder) if format == "tem" else find_truth([folder])
    for problem in truth.problems:
        told(NO_PHOTO, problem)
    if count := len(truth.unchecked):
        photos = "photos are" if count > 1 else "photo is"
        told(UNCHECKED, f"{folder}: {count} corrected {photos} not marked as checked: {CURE}")
    for found in truth.annotated:
        for file in found.files:
            yield _landmarks(found.photo, file, own, told)
    if folder.is_dir():
        known = {p.resolve() for p in (*(a.photo for a in truth.annotated), *truth.unchecked)}
        for photo in photos_of(files_in(folder)):
            if photo.resolve() not in known:
                told(NO_LABELS, f"{photo}: has no landmarks: passed over")


def _landmarks(photo: Path, file: Path, own: Scheme, told: annotated.Told) -> _Photo:
    size = None
    try:
        if corrections.is_correction(file):
            correction = corrections.read(file)
            size = (correction.photo.width, correction.photo.height)
            faces = enumerate(correction.faces, start=1)
            read = [(f"{file.stem}#{k}", Labels(f.landmarks, f.invisible)) for k, f in faces]
        else:
            points = tem.read(file) if file.suffix.lower() == ".tem" else pts.read(file)
            read = [(file.stem, Labels(points))]
    except HrlmError as e:
        told(annotated.NOT_A_NUMBER if "nan" in str(e).lower() else UNREADABLE_LABELS, str(e))
        return _Photo(photo, "", ())
    for _, labels in read:
        if len(labels.points) != len(own):
            told(WRONG_SCHEME, _wrong_count(file, len(labels.points), own))
    return _Photo(photo, "", [one for one in read if len(one[1].points) == len(own)], size)


def _templates(folder: Path) -> FoundTruth:
    found = FoundTruth()
    files = files_in(folder)
    photos: defaultdict[Path, list[Path]] = defaultdict(list)
    for photo in photos_of(files):
        photos[photo.with_suffix("")].append(photo)
    for file in (p for p in files if p.suffix.lower() == ".tem"):
        owners = photos.get(file.with_suffix(""), [])
        if len(owners) == 1:
            found.annotated.append(AnnotatedPhoto(owners[0], (file,)))
        else:
            found.problems.append(stray(file, owners))
    return found


def _mapped(labels: Labels, pairs: Sequence[tuple[int, int]], count: int) -> tuple[np.ndarray, np.ndarray]:
    points = np.full((count, 2), np.nan)
    visible = np.zeros(count, bool)
    for ours, theirs in pairs:
        points[theirs] = labels.points[ours]
        visible[theirs] = ours not in labels.hidden and np.isfinite(labels.points[ours]).all()
    return points, visible


def _listed(file: Path | None, source: Source, held: Sequence[tuple[Path, str]]) -> dict[Path, Path]:
    """The photos of a source that one of its lists names, by their real paths: labelled ones and others."""
    if file is None:
        return {}
    top = source.path if source.path.is_dir() else source.path.parent
    folder = source.photos or source.path
    lying = [(photo, "") for photo in photos_of(files_in(folder))] if folder.is_dir() else []
    return listed(file, [*held, *lying], [top, *([source.photos] if source.photos else [])], source.path)
