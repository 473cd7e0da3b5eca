"""CVAT for images 1.1: one XML file for a run, a skeleton and a box per face.

CVAT counts from the image's outer corner, in the photo as a person sees it. A face is a skeleton `face` whose points
bear the scheme's landmark names, and a box `face_box`, both of one `group_id`. The skeleton's attributes `score` and
`flags` and each point's `deviation` survive in CVAT where the task's labels have them; `label_definition` gives such
labels. A point's `occluded` is 1 where the landmark is invisible. Points marked `outside` are not set. Plain `points`
labelled `face` with a point per landmark are read as a face, too. CVAT itself rounds to 0.01 px.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element
from xml.sax.saxutils import quoteattr

import numpy as np

from hrlm.errors import FormatError
from hrlm.formats.atomic import replacing
from hrlm.formats.markup import Markup, attributes_of, elements
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
    rounded,
    skeleton,
    writable,
)
from hrlm.results import Box, Face, PhotoInfo, PhotoResult
from hrlm.schemes import Scheme

BOX = "face_box"


def write_run(path: Path, results: Iterable[PhotoResult], scheme: Scheme) -> None:
    """Write the annotation of a run.

    Raises:
        WriteError: the folder or the file cannot be written.
    """
    groups = count(1)
    with replacing(path) as file:
        xml = Markup(file)
        with xml.element("annotations"):
            xml.leaf("version", "1.1")
            _meta(xml, scheme)
            for number, result in enumerate(results):
                photo = result.photo
                with xml.element("image", id=number, name=writable(photo.path), width=photo.width, height=photo.height):
                    for face in result.faces:
                        _write_face(xml, face, scheme, next(groups))


def read_results(path: Path, scheme: Scheme, told: Told) -> Iterator[PhotoResult]:
    """The images of an annotation file, those without a face too.

    Raises:
        FormatError: unreadable or not of CVAT's structure.
    """
    for image in elements(path, "annotations", "image"):
        try:
            info = PhotoInfo(image.attrib["name"], int(image.attrib["width"]), int(image.attrib["height"]))
        except (KeyError, ValueError) as e:
            raise FormatError(f"{path}: an image lacks name, width or height ({e}): export it from CVAT again") from e
        boxes = {b.get("group_id"): _box(b) for b in image.findall("box") if b.get("group_id") not in (None, "0")}
        shapes = [
            (s, boxes.get(s.get("group_id")))
            for s in image
            if s.tag == "skeleton" or (s.tag == "points" and s.get("label") == FACE)
        ]
        faces = faces_of(shapes, lambda entry: _face(*entry, scheme), f"{path}: {info.path}", told)
        yield imported("cvat", scheme, info, faces)


def label_definition(scheme: Scheme) -> str:
    """What goes into the `Raw` tab of a CVAT task's labels, so that its annotation can be imported: JSON text."""
    points = [{"name": name, "type": "points", "attributes": [_attribute("deviation")]} for name in scheme.landmarks]
    attributes = [_attribute("score"), _attribute("flags")]
    labels = [
        {"name": FACE, "type": "skeleton", "attributes": attributes, "sublabels": points, "svg": _template(scheme)},
        {"name": BOX, "type": "rectangle", "attributes": []},
    ]
    return json.dumps(labels, indent=1)


def _meta(xml: Markup, scheme: Scheme) -> None:
    labels = [(FACE, "skeleton", ""), *((name, "points", FACE) for name in scheme.landmarks), (BOX, "rectangle", "")]
    with xml.element("meta"), xml.element("task"), xml.element("labels"):
        for name, kind, parent in labels:
            with xml.element("label"):
                xml.leaf("name", writable(name))
                xml.leaf("type", kind)
                xml.leaf("attributes")
                if parent:
                    xml.leaf("parent", parent)


def _write_face(xml: Markup, face: Face, scheme: Scheme, group: int) -> None:
    with xml.element("skeleton", label=FACE, source="auto", z_order=0, group_id=group):
        points = rounded(edge_based(face.landmarks))
        deviations = rounded(face.deviation)
        for number, (name, (x, y)) in enumerate(zip(scheme.landmarks, points, strict=True)):
            state = {"outside": 0, "occluded": int(not face.visibility.get(number, True))}
            with xml.element("points", label=writable(name), source="auto", **state, points=f"{x:.3f},{y:.3f}"):
                if math.isfinite(deviations[number]):
                    xml.leaf("attribute", f"{deviations[number]:.3f}", name="deviation")
        xml.leaf("attribute", f"{face.score:.4f}", name="score")
        xml.leaf("attribute", writable(" ".join(face.flags)), name="flags")
    x, y, width, height = rounded(edge_box(face.box))
    corners = {"xtl": x, "ytl": y, "xbr": x + width, "ybr": y + height}
    texts = {k: f"{v:.3f}" for k, v in corners.items()}
    xml.leaf("box", label=BOX, source="auto", occluded=0, **texts, z_order=0, group_id=group)


def _box(element: Element) -> Box | None:
    try:
        left, top, right, bottom = (float(element.attrib[k]) for k in ("xtl", "ytl", "xbr", "ybr"))
    except (KeyError, ValueError):
        # the landmarks' own box stands in
        return None
    return centre_box((left, top, right - left, bottom - top))


def _face(shape: Element, box: Box | None, scheme: Scheme) -> Face:
    about = attributes_of(shape)
    score = float(about["score"]) if about.get("score") else None
    flags = about.get("flags", "").split()
    if shape.tag == "points":
        points = _points(shape)
        if len(points) != len(scheme):
            raise FormatError(f"has {len(points)} points where {scheme.name} has {len(scheme)}: mend or delete it")
        return face_of(points, None, box, score, flags)
    shown = {e.attrib["label"]: e for e in shape.findall("points") if e.get("outside", "0") != "1"}
    ordered = in_order(_named(shown, scheme), scheme)
    landmarks = np.concatenate([_points(e)[:1] for e in ordered])
    deviation = [_number(attributes_of(e).get("deviation")) for e in ordered]
    visibility = {i: e.attrib["occluded"] != "1" for i, e in enumerate(ordered) if "occluded" in e.attrib}
    return face_of(landmarks, deviation, box, score, flags, visibility)


def _named(shown: Mapping[str, Element], scheme: Scheme) -> dict[str, Element]:
    return {name: shown[writable(name)] for name in scheme.landmarks if writable(name) in shown}


def _points(element: Element) -> np.ndarray:
    pairs = [[float(v) for v in pair.split(",")] for pair in element.attrib["points"].split(";")]
    return centre_based(np.array(pairs).reshape(-1, 2))


def _number(text: str | None) -> float | None:
    return float(text) if text else None


def _attribute(name: str) -> dict[str, Any]:
    return {"name": name, "mutable": True, "input_type": "text", "default_value": "", "values": [""]}


def _template(scheme: Scheme) -> str:
    """The drawing that CVAT keeps of a skeleton: landmarks on a circle, in percent; a face's own places replace it."""
    turns = [math.tau * i / len(scheme) for i in range(len(scheme))]
    places = [(50 + 45 * math.sin(t), 50 - 45 * math.cos(t)) for t in turns]
    lines = [
        f'<line x1="{places[a][0]:.3f}" y1="{places[a][1]:.3f}" x2="{places[b][0]:.3f}" y2="{places[b][1]:.3f}" '
        f'stroke="black" data-type="edge" data-node-from="{a + 1}" stroke-width="0.5" data-node-to="{b + 1}"></line>'
        for a, b in skeleton(scheme)
    ]
    circles = [
        f'<circle r="1.5" stroke="black" fill="#b3b3b3" cx="{x:.3f}" cy="{y:.3f}" stroke-width="0.1" '
        f'data-type="element node" data-element-id="{i}" data-node-id="{i}" data-label-name={quoteattr(name)}></circle>'
        for i, (name, (x, y)) in enumerate(zip(scheme.landmarks, places, strict=True), start=1)
    ]
    return "".join(lines + circles)
