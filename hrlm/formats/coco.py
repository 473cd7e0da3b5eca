"""COCO keypoints: one JSON file for a run, with the scheme as the category's keypoints and its contours as skeleton.

COCO counts keypoints in pixel indices, centres at integers as hrlm does, and boxes from the image's outer corner.
Visibility is 2, or 1 for a landmark that is invisible or outside of the frame; 0 is a landmark that is not set. So 1
outside of the frame does not tell whether a person marked the landmark: nothing is read from it. Sizes are of the photo
as a person sees it (EXIF orientation applied). Beyond COCO's own keys an image carries `orientation` and an annotation
`score`, `deviation` (null where not known) and `flags`.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hrlm.errors import FormatError
from hrlm.formats.atomic import replacing
from hrlm.formats.values import (
    FACE,
    Told,
    centre_box,
    edge_box,
    face_of,
    faces_of,
    imported,
    in_order,
    load_json,
    optional,
    rounded,
    skeleton,
)
from hrlm.results import Face, PhotoInfo, PhotoResult
from hrlm.schemes import Scheme

CATEGORY = 1


def write_run(path: Path, results: Iterable[PhotoResult], scheme: Scheme) -> None:
    """Write the data set of a run. Annotations wait in a temporary file, as images stand before them.

    Raises:
        WriteError: the folder or the file cannot be written.
    """
    category = {
        "id": CATEGORY,
        "name": FACE,
        "supercategory": "person",
        "keypoints": list(scheme.landmarks),
        "skeleton": [[a + 1, b + 1] for a, b in skeleton(scheme)],
    }
    info = {"description": "Facial landmarks by hrlm", "version": "1.0"}
    with replacing(path) as file, tempfile.TemporaryFile(dir=path.parent) as annotations:
        head = json.dumps({"info": info, "licenses": [], "categories": [category]})
        file.write(f'{head[:-1]}, "images": ['.encode())
        faces = 0
        for number, result in enumerate(results, start=1):
            file.write(_item(_image(number, result.photo), first=number == 1))
            for face in result.faces:
                faces += 1
                annotations.write(_item(_annotation(faces, number, result.photo, face), first=faces == 1))
        file.write(b'\n], "annotations": [')
        annotations.seek(0)
        shutil.copyfileobj(annotations, file)
        file.write(b"\n]}\n")


def read_results(path: Path, scheme: Scheme, told: Told) -> Iterator[PhotoResult]:
    """The images of a data set, those without a face too; crowds and annotations without keypoints are passed over.

    The whole file is read first, as annotations come in any order.

    Raises:
        FormatError: unreadable, or not of COCO's structure.
    """
    data = load_json(path, "the other tool")
    try:
        names = {c["id"]: c["keypoints"] for c in data["categories"] if "keypoints" in c}
        entries: defaultdict[int, list[Any]] = defaultdict(list)
        for annotation in data["annotations"]:
            if annotation["category_id"] in names and annotation.get("keypoints") and not annotation.get("iscrowd"):
                entries[annotation["image_id"]].append(annotation)
        images = [
            (
                entries.get(image["id"], []),
                PhotoInfo(str(image["file_name"]), image["width"], image["height"], image.get("orientation", 1)),
            )
            for image in data["images"]
        ]
    except (KeyError, TypeError, AttributeError) as e:
        raise FormatError(
            f"{path}: is not a COCO keypoint file ({type(e).__name__}: {e}): export COCO keypoints with categories"
        ) from e
    for of_image, info in images:
        faces = faces_of(
            of_image,
            partial(_face, info=info, names=names, scheme=scheme),
            f"{path}: {info.path}",
            told,
        )
        yield imported("coco", scheme, info, faces)


def _item(entry: dict[str, Any], first: bool) -> bytes:
    return (("" if first else ",") + "\n" + json.dumps(entry, allow_nan=False)).encode("ascii")


def _image(number: int, info: PhotoInfo) -> dict[str, Any]:
    return {
        "id": number,
        "file_name": info.path,
        "width": info.width,
        "height": info.height,
        "orientation": info.orientation,
    }


def _annotation(number: int, image: int, info: PhotoInfo, face: Face) -> dict[str, Any]:
    points = rounded(face.landmarks)
    # of what is written, so that a reader comes to the same
    visible = [2 if ok and face.visibility.get(i, True) else 1 for i, ok in enumerate(_inside(points, info))]
    return {
        "id": number,
        "image_id": image,
        "category_id": CATEGORY,
        "keypoints": [v for (x, y), seen in zip(points, visible, strict=True) for v in (x, y, seen)],
        "num_keypoints": len(points),
        "bbox": rounded(edge_box(face.box)),
        "area": rounded(face.area),
        "iscrowd": 0,
        "score": round(float(face.score), 4),
        "deviation": optional(face.deviation),
        "flags": list(face.flags),
    }


def _inside(points: Any, info: PhotoInfo) -> np.ndarray:
    """`(N,)` bool: whether each point is in the frame, as far as that is known."""
    places, size = np.asarray(points), np.array([info.width or np.inf, info.height or np.inf])
    return np.all((places >= -0.5) & (places <= size - 0.5), axis=1)


def _face(annotation: dict[str, Any], info: PhotoInfo, names: Mapping[Any, list[str]], scheme: Scheme) -> Face:
    own = names[annotation["category_id"]]
    values = np.array(annotation["keypoints"], dtype=np.float64).reshape(-1, 3)
    if len(own) != len(values):
        raise FormatError(f"has {len(values)} keypoints where its category names {len(own)}: mend or delete it")
    ordered = np.array(in_order({n: point for n, point in zip(own, values, strict=True) if point[2] > 0}, scheme))
    landmarks, visible = ordered[:, :2], ordered[:, 2]
    told = (visible == 2) | ((visible == 1) & _inside(landmarks, info))
    box = centre_box(annotation["bbox"]) if annotation.get("bbox") else None
    return face_of(
        landmarks,
        annotation.get("deviation"),
        box,
        annotation.get("score"),
        annotation.get("flags", ()),
        {i: bool(visible[i] == 2) for i in np.flatnonzero(told).tolist()},
    )
