"""dlib and imglab data sets: one XML file for a run, a box with numbered parts per face.

dlib holds whole pixels, 0-based, centres at integers as hrlm has them: coordinates are rounded, so half a pixel may
be lost. A box covers whole pixels. Parts are named `00`, `01`, … by landmark number, as dlib sorts them by name. The
score is `detection_score`; the flag `cut` is `truncated`, and `difficult`, `occluded` and `ignore` are themselves.
dlib does not apply EXIF orientation when it loads a photo: the coordinates are those of the upright photo. Nor does it
undo XML's escapes: it looks for `a &amp; b.jpg` where the photo is called `a & b.jpg`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from hrlm.errors import FormatError
from hrlm.formats.atomic import replacing
from hrlm.formats.markup import Markup, elements
from hrlm.formats.values import (
    FACE,
    Told,
    centre_box,
    edge_box,
    face_of,
    faces_of,
    imported,
    in_order,
    once,
    unreadable,
    writable,
)
from hrlm.results import Face, PhotoInfo, PhotoResult
from hrlm.schemes import Scheme

# hrlm's name of a flag and dlib's attribute for it
FLAGS = {"cut": "truncated", "difficult": "difficult", "occluded": "occluded", "ignore": "ignore"}
# what dlib writes at the top of its files whatever the encoding of the names in them
_DLIB_SAYS = b"ISO-8859-1"


def write_run(path: Path, results: Iterable[PhotoResult], scheme: Scheme) -> None:
    """Write the data set of a run.

    Raises:
        WriteError: the folder or the file cannot be written.
    """
    with replacing(path) as file:
        xml = Markup(file)
        with xml.element("dataset"):
            xml.leaf("name", "hrlm")
            xml.leaf("comment", f"Facial landmarks by hrlm, scheme {writable(scheme.name)}")
            with xml.element("images"):
                for result in results:
                    photo = result.photo
                    size = {"width": photo.width, "height": photo.height} if photo.width else {}
                    with xml.element("image", file=writable(photo.path), **size):
                        for face in result.faces:
                            _write_face(xml, face)


def read_results(path: Path, scheme: Scheme, told: Told) -> Iterator[PhotoResult]:
    """The images of a data set, those without a face too; boxes to ignore that have no parts are passed over.

    Raises:
        FormatError: unreadable or not of dlib's structure.
    """
    by_dlib = _written_by_dlib(path)
    for image in elements(path, "dataset", "image"):
        try:
            name = _as_utf8(image.attrib["file"]) if by_dlib else image.attrib["file"]
            info = PhotoInfo(name, int(image.get("width", 0)), int(image.get("height", 0)))
        except (KeyError, ValueError) as e:
            raise FormatError(f"{path}: an image lacks its file, or its size is no number ({e}): mend it") from e
        boxes = [b for b in image.findall("box") if b.find("part") is not None or b.get("ignore") != "1"]
        faces = faces_of(boxes, lambda b: _face(b, scheme), f"{path}: {info.path}", told)
        yield imported("dlib", scheme, info, faces)


def _write_face(xml: Markup, face: Face) -> None:
    x, y, width, height = edge_box(face.box).tolist()
    left, top, right, bottom = _whole(x), _whole(y), _whole(x + width), _whole(y + height)
    size = {"width": max(1, right - left), "height": max(1, bottom - top)}
    flags = {theirs: 1 for ours, theirs in FLAGS.items() if ours in face.flags}
    digits = max(2, len(str(len(face.landmarks) - 1)))
    with xml.element("box", top=top, left=left, **size, **flags, detection_score=f"{face.score:.4f}"):
        xml.leaf("label", FACE)
        for number, (px, py) in enumerate(face.landmarks.tolist()):
            xml.leaf("part", name=f"{number:0{digits}}", x=_whole(px), y=_whole(py))


def _whole(value: float) -> int:
    return math.floor(value + 0.5)


def _face(box: Element, scheme: Scheme) -> Face:
    place = centre_box([float(box.attrib[k]) for k in ("left", "top", "width", "height")])
    parts: list[tuple[str, tuple[float, float]]] = []
    for part in box.findall("part"):
        name = part.attrib["name"]
        number = int(name) if name.isdecimal() else None
        if number is not None and number >= len(scheme):
            raise FormatError(f"has a part {name} where {scheme.name} ends at {len(scheme) - 1}: mend or delete it")
        key = name if number is None else scheme.landmarks[number]
        parts.append((key, (float(part.attrib["x"]), float(part.attrib["y"]))))
    flags = [ours for ours, theirs in FLAGS.items() if box.get(theirs, "0") not in ("0", "false")]
    score = box.get("detection_score")
    return face_of(np.array(in_order(once(parts), scheme)), None, place, float(score) if score else None, flags)


def _written_by_dlib(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _DLIB_SAYS in file.read(100)
    except OSError as e:
        raise unreadable(path, e) from e


def _as_utf8(name: str) -> str:
    """The name that dlib meant: it copies bytes, and says Latin 1 of them."""
    try:
        return name.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return name
