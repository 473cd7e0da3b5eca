"""Label Studio tasks: one JSON file for a run, a task per photo with hrlm's faces as its prediction.

Label Studio counts in percent of the photo's width and height, from its outer corner, in the photo as a person sees
it. A face is a rectangle `face`; its keypoints bear the landmarks' names and hold it as `parentID`. The photo is named
as a local file (`/data/local-files/?d=PATH`); its path, size and orientation stand in the task's `data` too, which
Label Studio exports again. Regions carry `score`, and in `meta` a rectangle `flags` and a keypoint `deviation`. Read
is the last annotation that was not cancelled, else the last prediction. `labelling_config` gives the project's set-up.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import quoteattr

import numpy as np

from hrlm.errors import FormatError
from hrlm.formats.atomic import replacing
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
    json_items,
    once,
    optional,
    rounded,
    writable,
)
from hrlm.results import Face, PhotoInfo, PhotoResult
from hrlm.schemes import Scheme

# names of the tags in the project's set-up
IMAGE, BOXES, POINTS = "image", "faces", "landmarks"
LOCAL = "/data/local-files/?d="
# 0.001 px of a photo of 100,000 px
DECIMALS = 8
POINT_PERCENT = 0.3


def write_run(path: Path, results: Iterable[PhotoResult], scheme: Scheme) -> None:
    """Write the tasks of a run.

    Raises:
        WriteError: the folder or the file cannot be written.
        FormatError: a photo's size is not known, which percentages need.
    """
    with replacing(path) as file:
        file.write(b"[")
        for number, result in enumerate(results):
            text = json.dumps(_task(result, scheme), allow_nan=False)
            file.write((("," if number else "") + "\n" + text).encode("ascii"))
        file.write(b"\n]\n")


def read_results(path: Path, scheme: Scheme, told: Told) -> Iterator[PhotoResult]:
    """The tasks of a file, those without a face too.

    Raises:
        FormatError: unreadable or not of Label Studio's structure.
    """
    for number, task in enumerate(json_items(path, "Label Studio"), start=1):
        try:
            regions = _regions(task)
            info = _info(task["data"], regions)
            boxes = {r["id"]: r for r in regions if r.get("type") == "rectanglelabels"}
            points: dict[str | None, list[tuple[str, Any]]] = {key: [] for key in boxes}
            for region in regions:
                if region.get("type") == "keypointlabels":
                    group = points.setdefault(_parent(region, boxes), [])
                    group += [(label, region) for label in region["value"]["keypointlabels"]]
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as e:
            raise FormatError(
                f"{path}: task {number} is not of Label Studio ({type(e).__name__}: {e}): export JSON, not JSON-MIN"
            ) from e
        entries = [(named, boxes.get(key)) for key, named in points.items()]
        faces = faces_of(entries, lambda entry: _face(*entry, scheme), f"{path}: {info.path}", told)
        yield imported("label-studio", scheme, info, faces)


def labelling_config(scheme: Scheme) -> str:
    """What goes into a Label Studio project's labelling interface, so that the tasks fit it: XML text."""
    labels = "".join(
        f'    <Label value={quoteattr(name)} model_index="{i}"/>\n' for i, name in enumerate(scheme.landmarks)
    )
    return (
        f'<View>\n  <Image name="{IMAGE}" value="${IMAGE}" zoom="true" zoomControl="true"/>\n'
        f'  <RectangleLabels name="{BOXES}" toName="{IMAGE}">\n    <Label value="{FACE}"/>\n  </RectangleLabels>\n'
        f'  <KeyPointLabels name="{POINTS}" toName="{IMAGE}">\n{labels}  </KeyPointLabels>\n</View>\n'
    )


def _task(result: PhotoResult, scheme: Scheme) -> dict[str, Any]:
    info = result.photo
    if not (info.width > 0 and info.height > 0):
        raise FormatError(f"{info.path}: its size is not known, which Label Studio's percentages need: detect it again")
    regions = [r for i, face in enumerate(result.faces) for r in _regions_of(i, face, info, scheme)]
    data = {
        IMAGE: LOCAL + quote(writable(info.path)),
        "photo": info.path,
        "width": info.width,
        "height": info.height,
        "orientation": info.orientation,
    }
    score = round(min((float(f.score) for f in result.faces), default=0.0), 4)
    model = f"hrlm {result.model.name} {result.model.version}"
    return {"data": data, "predictions": [{"model_version": model, "score": score, "result": regions}]}


def _regions_of(index: int, face: Face, info: PhotoInfo, scheme: Scheme) -> list[dict[str, Any]]:
    size = np.array([info.width, info.height])
    common = {
        "to_name": IMAGE,
        "original_width": info.width,
        "original_height": info.height,
        "image_rotation": 0,
        "score": round(float(face.score), 4),
    }
    x, y, width, height = rounded(edge_box(face.box) / np.tile(size, 2) * 100, DECIMALS)
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": 0, "rectanglelabels": [FACE]}
    name = f"face{index}"
    box = {"id": name, "type": "rectanglelabels", "from_name": BOXES, "value": value, "meta": {"flags": [*face.flags]}}
    percent = rounded(edge_based(face.landmarks) / size * 100, DECIMALS)
    points = [
        {
            "id": f"{name}_{number}",
            "parentID": name,
            "type": "keypointlabels",
            "from_name": POINTS,
            "value": {"x": px, "y": py, "width": POINT_PERCENT, "keypointlabels": [label]},
            "meta": {"deviation": deviation},
        }
        for number, (label, (px, py), deviation) in enumerate(
            zip(scheme.landmarks, percent, optional(face.deviation), strict=True)
        )
    ]
    return [common | region for region in (box, *points)]


def _regions(task: dict[str, Any]) -> list[Any]:
    done = [a for a in task.get("annotations") or [] if not a.get("was_cancelled")]
    answers = done or task.get("predictions") or []
    return list(answers[-1]["result"]) if answers else []


def _info(data: dict[str, Any], regions: list[Any]) -> PhotoInfo:
    first = regions[0] if regions else {}
    width = first.get("original_width") or data.get("width") or 0
    height = first.get("original_height") or data.get("height") or 0
    return PhotoInfo(_path(data), int(width), int(height), int(data.get("orientation", 1)))


def _path(data: dict[str, Any]) -> str:
    if "photo" in data:
        return str(data["photo"])
    address = urlsplit(str(data[IMAGE]))
    return parse_qs(address.query).get("d", [unquote(address.path)])[0]


def _parent(region: dict[str, Any], boxes: dict[str, Any]) -> str | None:
    """The rectangle that a keypoint belongs to: the one it names, else the only one."""
    parent = region.get("parentID")
    return parent if parent in boxes or len(boxes) != 1 else next(iter(boxes))


def _face(points: list[tuple[str, Any]], box: dict[str, Any] | None, scheme: Scheme) -> Face:
    regions = in_order(once(points), scheme)
    sizes = np.array([[r["original_width"], r["original_height"]] for r in regions])
    percent = np.array([[r["value"]["x"], r["value"]["y"]] for r in regions])
    landmarks = centre_based(percent / 100 * sizes)
    deviation = [(r.get("meta") or {}).get("deviation") for r in regions]
    if box is None:
        return face_of(landmarks, deviation)
    value = np.array([box["value"][k] for k in ("x", "y", "width", "height")]) / 100
    place = centre_box((value * np.tile(sizes[0], 2)).tolist())
    return face_of(landmarks, deviation, place, box.get("score"), (box.get("meta") or {}).get("flags", ()))
