"""Other tools' annotation files as training reads them: faces that may lack landmarks, and boxes that came with them.

`hrlm.formats` reads whole faces, which is what results need. Here a landmark that is not set is NaN, and one that the
annotator marked as hidden is told. Coordinates are photo pixels (0-based, centres at integers), boxes too.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hrlm.errors import FormatError
from hrlm.formats.labelme import INVISIBLE
from hrlm.formats.markup import elements
from hrlm.formats.values import centre_based, centre_box, load_json, unreadable
from hrlm.results import Box
from hrlm.schemes import Scheme

Told = Callable[[str, str], None]

# kinds of fault, as reports name them
UNREADABLE_LABELS = "unreadable labels"
WRONG_SCHEME = "wrong number of points or wrong scheme"
NOT_A_NUMBER = "not a number"
# a row of a WFLW list: the landmarks, then corners of the box and six attributes (not in every list), then the photo
WFLW_FURTHER = 10


@dataclass(frozen=True, eq=False)
class Labels:
    """An annotated face.

    Args:
        points: `(N, 2)` in the order of the source's scheme, NaN where a landmark is not set.
        hidden: landmarks that are set and cannot be seen.
        box: x, y, width, height that came with the data.
    """

    points: np.ndarray
    hidden: tuple[int, ...] = ()
    box: Box | None = None


@dataclass(frozen=True, eq=False)
class PhotoLabels:
    """The annotated faces of a photo.

    Args:
        photo: its path as the file states it.
        faces: none for a photo that the file names and nobody annotated.
        size: width and height that the file states.
    """

    photo: str
    faces: tuple[Labels, ...]
    size: tuple[int, int] | None = None


def read_coco(path: Path, scheme: Scheme, told: Told) -> Iterator[PhotoLabels]:
    """COCO keypoints: visibility 0 is not set, 1 is hidden. Landmarks go by name, else by their order.

    Raises:
        FormatError: unreadable, or not of COCO's structure.
    """
    data = load_json(path, "the other tool")
    try:
        names = {c["id"]: c["keypoints"] for c in data["categories"] if c.get("keypoints")}
        entries: defaultdict[Any, list[Any]] = defaultdict(list)
        for annotation in data["annotations"]:
            if annotation["category_id"] in names and annotation.get("keypoints") and not annotation.get("iscrowd"):
                entries[annotation["image_id"]].append(annotation)
        images = [(i["id"], str(i["file_name"]), _size(i.get("width"), i.get("height"))) for i in data["images"]]
    except (KeyError, TypeError, AttributeError) as e:
        raise FormatError(f"{path}: is not a COCO keypoint file ({type(e).__name__}: {e}): export it again") from e

    def face(annotation: Any) -> Labels:
        values = np.array(annotation["keypoints"], np.float64).reshape(-1, 3)
        places = _places(names[annotation["category_id"]], len(values), scheme)
        points, state = np.full((len(scheme), 2), np.nan), np.zeros(len(scheme))
        for place, (x, y, v) in zip(places, values, strict=True):
            if place is not None:
                points[place], state[place] = (x, y), v
        points[state == 0] = np.nan
        box = centre_box(annotation["bbox"]) if annotation.get("bbox") else None
        return _checked(points, state > 0, np.flatnonzero(state == 1), box)

    for number, name, size in images:
        yield PhotoLabels(name, _faces(entries[number], face, f"{path}: {name}", told), size)


def read_labelme(path: Path, scheme: Scheme, told: Told) -> Iterator[PhotoLabels]:
    """labelme: points bear landmarks' names or numbers, a rectangle of any name is the box, groups are faces.

    A point's flag `invisible` says that it is hidden.

    Raises:
        FormatError: unreadable or not of labelme's structure.
    """
    data = load_json(path, "labelme")
    groups: defaultdict[Any, list[Any]] = defaultdict(list)
    try:
        name, size = str(data["imagePath"]), _size(data.get("imageWidth"), data.get("imageHeight"))
        for shape in data["shapes"]:
            groups[shape.get("group_id")].append(shape)
    except (KeyError, TypeError, AttributeError) as e:
        raise FormatError(f"{path}: is not a labelme file ({type(e).__name__}: {e}): save it from labelme again") from e
    if len(groups) == 2 and None in groups:
        alone = groups.pop(None)
        next(iter(groups.values())).extend(alone)

    def face(shapes: list[Any]) -> Labels:
        points, box, known = np.full((len(scheme), 2), np.nan), None, np.zeros(len(scheme), bool)
        hidden = []
        for shape in shapes:
            corners = centre_based(np.array(shape["points"], np.float64))
            place = _place(str(shape["label"]), scheme)
            if shape.get("shape_type") == "rectangle":
                low, high = corners.min(0).tolist(), corners.max(0).tolist()
                box = (low[0], low[1], high[0] - low[0], high[1] - low[1])
            elif shape.get("shape_type") == "point" and place is not None:
                if known[place]:
                    raise FormatError(f"has {shape['label']} twice (give each face a group id)")
                points[place], known[place] = corners[0], True
                if (shape.get("flags") or {}).get(INVISIBLE):
                    hidden.append(place)
        if not known.any():
            raise FormatError(f"has no point that bears a landmark's name of {scheme.name}")
        return _checked(points, known, hidden, box)

    yield PhotoLabels(name, _faces(list(groups.values()), face, str(path), told), size)


def read_dlib(path: Path, scheme: Scheme, told: Told) -> Iterator[PhotoLabels]:
    """dlib and imglab: parts by number or name; a box of whole pixels.

    Raises:
        FormatError: unreadable or not of dlib's structure.
    """

    def face(box: Any) -> Labels:
        points, known = np.full((len(scheme), 2), np.nan), np.zeros(len(scheme), bool)
        for part in box.findall("part"):
            place = _place(part.attrib["name"], scheme)
            if place is None:
                raise FormatError(f"has a part {part.attrib['name']}, which is no landmark of {scheme.name}")
            if known[place]:
                raise FormatError(f"has the part {part.attrib['name']} twice (give each face a box of its own)")
            points[place], known[place] = (float(part.attrib["x"]), float(part.attrib["y"])), True
        place_of = centre_box([float(box.attrib[k]) for k in ("left", "top", "width", "height")])
        return _checked(points, known, (), place_of)

    for image in elements(path, "dataset", "image"):
        name = image.get("file")
        if not name:
            raise FormatError(f"{path}: an image lacks its file: mend it")
        boxes = [b for b in image.findall("box") if b.find("part") is not None]
        size = _size(image.get("width"), image.get("height"))
        yield PhotoLabels(name, _faces(boxes, face, f"{path}: {name}", told), size)


def read_wflw(path: Path, scheme: Scheme, told: Told) -> Iterator[PhotoLabels]:
    """Lists of WFLW: a line of coordinates, the box's corners, attributes and the photo, or coordinates and photo.

    Raises:
        FormatError: unreadable.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise FormatError(f"{path}: cannot be read ({e}): check the file") from e
    photos: defaultdict[str, list[Labels]] = defaultdict(list)
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        further = len(words) - 1 - 2 * len(scheme)
        if further not in (0, 4, WFLW_FURTHER):
            told(WRONG_SCHEME, f"{path}: line {number} has {len(words)} words, not the {2 * len(scheme)} coordinates")
            continue

        def face(values: Sequence[str]) -> Labels:
            numbers = np.array([float(v) for v in values])
            points, rest = numbers[: 2 * len(scheme)].reshape(-1, 2), numbers[2 * len(scheme) :]
            box = (rest[0], rest[1], rest[2] - rest[0], rest[3] - rest[1]) if len(rest) else None
            return _checked(points, np.ones(len(scheme), bool), (), box)

        photos[words[-1]].extend(_faces([words[:-1]], face, f"{path}: line {number}", told))
    for name, faces in photos.items():
        yield PhotoLabels(name, tuple(faces))


def read_csv(path: Path, scheme: Scheme, told: Told) -> Iterator[PhotoLabels]:
    """A table with a row per face: `photo`, then `x0`, `y0`, `x1` … or `NAME_x`, `NAME_y`; an empty cell is not set.

    `box_x`, `box_y`, `box_width` and `box_height` may give a box, `width` and `height` the photo's size; further
    columns are passed over. hrlm's own table is of this kind.

    Raises:
        FormatError: unreadable or without these columns.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            columns = _columns(table.fieldnames or (), scheme, path)
            rows = list(table)
    except OSError as e:
        raise unreadable(path, e) from e
    except (UnicodeDecodeError, csv.Error) as e:
        raise FormatError(f"{path}: is not a CSV file in UTF-8 ({e}): save it as UTF-8 text") from e

    def face(row: Mapping[str, str]) -> Labels:
        cells = [(row.get(x) or "", row.get(y) or "") for x, y in columns]
        points = np.array([[float(x or "nan"), float(y or "nan")] for x, y in cells])
        box = [row.get(f"box_{k}") or "" for k in ("x", "y", "width", "height")]
        given = (float(box[0]), float(box[1]), float(box[2]), float(box[3])) if all(box) else None
        return _checked(points, np.array([bool(x and y) for x, y in cells]), (), given)

    photos: defaultdict[str, list[Labels]] = defaultdict(list)
    sizes: dict[str, tuple[int, int] | None] = {}
    for number, row in enumerate(rows, start=2):
        name = row["photo"] or ""
        sizes[name] = _size(row.get("width"), row.get("height"))
        photos[name].extend(_faces([row], face, f"{path}: row {number}", told))
    for name, faces in photos.items():
        yield PhotoLabels(name, tuple(faces), sizes[name])


def _columns(head: Sequence[str], scheme: Scheme, path: Path) -> list[tuple[str, str]]:
    if "photo" not in head:
        raise FormatError(f"{path}: has no column 'photo': name the column of the photos' paths so")
    for columns in (
        [(f"x{i}", f"y{i}") for i in range(len(scheme))],
        [(f"{name}_x", f"{name}_y") for name in scheme.landmarks],
    ):
        if any(x in head for x, _ in columns):
            if columns[0][0] == "x0" and f"x{len(scheme)}" in head:
                raise FormatError(f"{path}: has more landmarks than the {len(scheme)} of {scheme.name}: say its scheme")
            return columns
    raise FormatError(f"{path}: has neither columns x0, y0 … nor {scheme.landmarks[0]}_x …: give one of both")


def _places(names: Sequence[str], count: int, scheme: Scheme) -> list[int | None]:
    """Where each of a category's keypoints stands in the scheme; None for those that it does not have."""
    if len(names) != count:
        raise FormatError(f"has {count} keypoints where its category names {len(names)}")
    index = {name: i for i, name in enumerate(scheme.landmarks)}
    places = [index.get(str(name)) for name in names]
    if any(p is not None for p in places):
        return places
    if count != len(scheme):
        raise FormatError(f"has {count} keypoints where {scheme.name} has {len(scheme)}, and no name in common")
    return list(range(count))


def _place(name: str, scheme: Scheme) -> int | None:
    if name in scheme.landmarks:
        return scheme.landmarks.index(name)
    return int(name) if name.isdecimal() and int(name) < len(scheme) else None


def _checked(points: np.ndarray, known: np.ndarray, hidden: Any, box: Box | None) -> Labels:
    """The face; raises where a landmark that is set has no numbers."""
    broken = known & ~np.isfinite(points).all(1)
    if broken.any() or (box is not None and not np.isfinite(box).all()):
        what = f"landmark {int(np.flatnonzero(broken)[0])}" if broken.any() else "the box"
        raise _NotANumber(f"{what} is not a number")
    if not known.any():
        raise FormatError("has no landmark")
    return Labels(points, tuple(int(i) for i in hidden), tuple(map(float, box)) if box else None)  # type: ignore[arg-type]


class _NotANumber(FormatError):
    pass


def _faces(entries: Sequence[Any], build: Callable[[Any], Labels], where: str, told: Told) -> tuple[Labels, ...]:
    faces = []
    for number, entry in enumerate(entries, start=1):
        which = f"{where}: face {number}" if len(entries) > 1 else where
        try:
            faces.append(build(entry))
        except _NotANumber as e:
            told(NOT_A_NUMBER, f"{which}: {e}: passed over, mend or delete it")
        except FormatError as e:
            told(WRONG_SCHEME, f"{which}: {e}: passed over, mend or delete it")
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as e:
            told(UNREADABLE_LABELS, f"{which}: cannot be read ({type(e).__name__}: {e}): mend or delete it")
    return tuple(faces)


def _size(width: Any, height: Any) -> tuple[int, int] | None:
    try:
        return (int(width), int(height)) if int(width) > 0 and int(height) > 0 else None
    except (TypeError, ValueError):
        return None


def looks_like_labelme(path: Path) -> bool:
    """Whether a JSON file holds labelme's shapes."""
    try:
        data = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(data, dict) and "shapes" in data and "imagePath" in data
