import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from exchanged import BOX, FACE, POINTS, SCHEME, read, result, written

from hrlm.errors import FormatError
from hrlm.formats.catalogue import FORMATS, write_run
from hrlm.formats.label_studio import labelling_config
from hrlm.results import ModelInfo, PhotoInfo, PhotoResult
from hrlm.schemes import load_scheme


def test_label_studio_counts_in_percent_from_the_corner(tmp_path: Path) -> None:
    (task,) = json.loads(written("label-studio", tmp_path, result(FACE)).read_text())
    assert task["data"] == {
        "image": "/data/local-files/?d=sub/a.jpg",
        "photo": "sub/a.jpg",
        **{"width": 200, "height": 100, "orientation": 6},
    }
    (prediction,) = task["predictions"]
    assert prediction["score"] == 0.875
    box, *points = prediction["result"]
    assert box["value"] == {
        **{"x": 0, "y": 0, "width": 100, "height": 100, "rotation": 0},
        "rectanglelabels": ["face"],
    }
    assert [(p["value"]["x"], p["value"]["y"], p["value"]["keypointlabels"]) for p in points] == [
        (0.25, 0.5, ["first"]),
        (99.75, 99.5, ["second"]),
        (100, 100, ["third"]),
    ]
    assert {(p["parentID"], p["type"], p["original_width"], p["original_height"]) for p in points} == {
        ("face0", "keypointlabels", 200, 100)
    }


def test_label_studio_itself_takes_it(tmp_path: Path) -> None:
    interface = pytest.importorskip("label_studio_sdk.label_interface").LabelInterface(labelling_config(SCHEME))
    (task,) = json.loads(written("label-studio", tmp_path, result(FACE, FACE)).read_text())
    assert interface.validate_task({"data": task["data"]}) is True
    assert interface.validate_prediction(task["predictions"][0], return_errors=True) == []
    spoilt = task["predictions"][0] | {"result": [{**task["predictions"][0]["result"][1], "from_name": "other"}]}
    assert interface.validate_prediction(spoilt, return_errors=True) != []


def test_the_labelling_interface_names_the_landmarks() -> None:
    scheme = load_scheme("ibug68")
    root = ElementTree.fromstring(labelling_config(scheme))
    labels = root.findall("KeyPointLabels/Label")
    assert [e.get("value") for e in labels] == list(scheme.landmarks)
    assert [e.get("model_index") for e in labels] == [str(i) for i in range(68)]


def corrected(tmp_path: Path, change: Any, *faces: Any) -> Path:
    """An export of Label Studio: the prediction taken over into an annotation and changed."""
    path = written("label-studio", tmp_path, result(*faces))
    (task,) = json.loads(path.read_text())
    regions = json.loads(json.dumps(task["predictions"][0]["result"]))
    change(regions)
    cancelled = {"id": 1, "was_cancelled": True, "result": []}
    task |= {"id": 7, "annotations": [{"id": 2, "was_cancelled": False, "result": regions}, cancelled]}
    path.write_text(json.dumps([task]))
    return path


def test_the_annotation_counts_not_the_prediction(tmp_path: Path) -> None:
    def change(regions: list[dict]) -> None:
        regions[2]["value"] |= {"x": 50.25, "y": 50.5}

    (back,) = read("label-studio", corrected(tmp_path, change, FACE))
    np.testing.assert_allclose(back.faces[0].landmarks, [POINTS[0], [100, 50], POINTS[2]])
    assert back.photo == result().photo


def test_a_keypoint_without_parent_belongs_to_the_only_face(tmp_path: Path) -> None:
    def change(regions: list[dict]) -> None:
        del regions[2]["parentID"]

    (back,) = read("label-studio", corrected(tmp_path, change, FACE))
    np.testing.assert_allclose(back.faces[0].landmarks, POINTS)
    assert back.faces[0].box == BOX
    problems: list[str] = []
    (back,) = read("label-studio", corrected(tmp_path, change, FACE, FACE), problems)
    assert len(back.faces) == 1
    assert len(problems) == 2


def test_a_deleted_face_and_a_deleted_keypoint(tmp_path: Path) -> None:
    (back,) = read("label-studio", corrected(tmp_path, lambda regions: regions.clear(), FACE))
    assert back.faces == ()
    with pytest.raises(FormatError, match=r"sub/a\.jpg: face 1 lacks the landmark first"):
        read("label-studio", corrected(tmp_path, lambda regions: regions.pop(1), FACE))


@pytest.mark.parametrize(
    ("image", "path"),
    [
        ("/data/local-files/?d=sub%20x/%C3%A9.jpg", "sub x/é.jpg"),
        ("/data/upload/1/abc-a.jpg", "/data/upload/1/abc-a.jpg"),
        ("s3://bucket/a%20b.jpg", "/a b.jpg"),
    ],
)
def test_the_photo_of_a_task_that_is_not_ours(tmp_path: Path, image: str, path: str) -> None:
    (tmp_path / "l.json").write_text(json.dumps([{"data": {"image": image}, "annotations": []}]))
    (back,) = read("label-studio", tmp_path / "l.json")
    assert back.photo == PhotoInfo(path, 0, 0)


def test_a_photo_of_unknown_size(tmp_path: Path) -> None:
    unknown = PhotoResult(PhotoInfo("a.jpg", 0, 0), ModelInfo("m", "s", "1"), (FACE,))
    with pytest.raises(FormatError, match="size is not known"):
        write_run(FORMATS["label-studio"], tmp_path / "l.json", [unknown], SCHEME)
