"""labelme annotations: a JSON file per photo, a rectangle and a point per landmark for each face.

labelme counts from the image's outer corner, in the photo as a person sees it. Shapes of one face share a `group_id`;
points bear the landmarks' names, the rectangle is a `face`. A point's flag `invisible` is true where it cannot be seen.
Beyond labelme's own keys the file carries `photo` (path and orientation), a rectangle `score` and a point `deviation`;
labelme keeps them when it saves. A shape without a group belongs to the only face where there is just one.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from hrlm.errors import FormatError
from hrlm.formats.atomic import write_whole
from hrlm.formats.values import (
    FACE,
    Told,
    centre_based,
    centre_box,
    edge_based,
    edge_box,
    face_of,
    faces_of,
    imported,
    in_order,
    load_json,
    once,
    optional,
    rounded,
)
from hrlm.results import Box, Face, PhotoInfo, PhotoResult
from hrlm.schemes import Scheme

# the version of labelme whose files these are like
VERSION = "5.5.0"
INVISIBLE = "invisible"


def write_photo(path: Path, result: PhotoResult, scheme: Scheme, photo_file: Path | None = None) -> None:
    """Write a photo's annotation; `imagePath` leads from it to `photo_file`, else to the photo's name beside it.

    Raises:
        WriteError: the folder or the file cannot be written.
    """
    info = result.photo
    place = PurePath(os.path.relpath(photo_file, path.parent)).as_posix() if photo_file else PurePath(info.path).name
    data = {
        "version": VERSION,
        "flags": {},
        "shapes": [shape for i, face in enumerate(result.faces) for shape in _shapes(i, face, scheme)],
        "imagePath": place,
        "imageData": None,
        "imageHeight": info.height,
        "imageWidth": info.width,
        "photo": {"path": info.path, "orientation": info.orientation},
    }
    write_whole(path, json.dumps(data, indent=1, allow_nan=False).encode("ascii"))


def read_results(path: Path, scheme: Scheme, told: Told) -> Iterator[PhotoResult]:
    """The photo of an annotation file; shapes that are neither a landmark nor a face are passed over.

    Raises:
        FormatError: unreadable or not of labelme's structure.
    """
    data = load_json(path, "labelme")
    groups: defaultdict[Any, list[Any]] = defaultdict(list)
    try:
        about = data.get("photo") or {}
        name = str(about.get("path") or data["imagePath"])
        info = PhotoInfo(
            name, int(data.get("imageWidth") or 0), int(data.get("imageHeight") or 0), about.get("orientation", 1)
        )
        for shape in data["shapes"]:
            if _is_landmark(shape, scheme) or _is_face(shape):
                groups[shape.get("group_id")].append(shape)
    except (KeyError, TypeError, AttributeError, ValueError) as e:
        raise FormatError(f"{path}: is not a labelme file ({type(e).__name__}: {e}): save it from labelme again") from e
    if len(groups) == 2 and None in groups:
        # a point set anew in labelme has no group
        alone = groups.pop(None)
        next(iter(groups.values())).extend(alone)
    faces = faces_of(groups.values(), lambda shapes: _face(shapes, scheme), str(path), told)
    yield imported("labelme", scheme, info, faces)


def _shapes(group: int, face: Face, scheme: Scheme) -> list[dict[str, Any]]:
    x, y, width, height = edge_box(face.box).tolist()
    flags = dict.fromkeys(face.flags, True)
    corners = rounded([[x, y], [x + width, y + height]])
    box = _shape(FACE, corners, group, "rectangle", flags) | {"score": round(float(face.score), 4)}
    # false too: a flag that is not there says nothing, as labelme may drop those that it was not told of
    points = [
        _shape(name, [point], group, "point", {INVISIBLE: not face.visibility.get(number, True)})
        | {"deviation": deviation}
        for number, (name, point, deviation) in enumerate(
            zip(scheme.landmarks, rounded(edge_based(face.landmarks)), optional(face.deviation), strict=True)
        )
    ]
    return [box, *points]


def _shape(label: str, points: list[list[float]], group: int, kind: str, flags: dict[str, bool]) -> dict[str, Any]:
    return {
        "label": label,
        "points": points,
        "group_id": group,
        "description": "",
        "shape_type": kind,
        "flags": flags,
        "mask": None,
    }


def _is_landmark(shape: dict[str, Any], scheme: Scheme) -> bool:
    return shape.get("shape_type") == "point" and shape["label"] in scheme.landmarks


def _is_face(shape: dict[str, Any]) -> bool:
    return shape.get("shape_type") == "rectangle" and shape["label"] == FACE


def _face(shapes: list[Any], scheme: Scheme) -> Face:
    points = once((s["label"], s) for s in shapes if s["shape_type"] == "point")
    boxes = [s for s in shapes if s["shape_type"] == "rectangle"]
    ordered = in_order(points, scheme)
    landmarks = centre_based(np.array([s["points"][0] for s in ordered], dtype=np.float64))
    deviation = [s.get("deviation") for s in ordered]
    told = {i: s.get("flags") or {} for i, s in enumerate(ordered)}
    visibility = {i: not on[INVISIBLE] for i, on in told.items() if INVISIBLE in on}
    if not boxes:
        return face_of(landmarks, deviation, visibility=visibility)
    flags = [name for name, on in (boxes[0].get("flags") or {}).items() if on]
    return face_of(landmarks, deviation, _box(boxes[0]["points"]), boxes[0].get("score"), flags, visibility)


def _box(corners: list[list[float]]) -> Box:
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    return centre_box([*low, *(high - low)])
