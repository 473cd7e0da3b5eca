import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exchanged import BOX, FACE, POINTS, SCHEME, read, result, written
from PIL import Image

from hrlm.formats.catalogue import FORMATS, write_photo


def test_labelme_counts_from_the_corner(tmp_path: Path) -> None:
    data = json.loads(written("labelme", tmp_path, result(FACE)).read_text())
    assert (data["imagePath"], data["imageData"]) == ("a.jpg", None)
    assert (data["imageWidth"], data["imageHeight"]) == (200, 100)
    box, *points = data["shapes"]
    assert (box["label"], box["shape_type"], box["points"]) == ("face", "rectangle", [[0, 0], [200, 100]])
    assert box["flags"] == {"cut": True, "small": True}
    assert [(p["label"], p["shape_type"], p["points"], p["group_id"]) for p in points] == [
        ("first", "point", [[0.5, 0.5]], 0),
        ("second", "point", [[199.5, 99.5]], 0),
        ("third", "point", [[200, 100]], 0),
    ]


def test_the_photo_is_found_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "results" / "sub" / "a.labelme.json"
    write_photo(FORMATS["labelme"], path, result(FACE), SCHEME, tmp_path / "photos" / "sub" / "a.jpg")
    assert json.loads(path.read_text())["imagePath"] == "../../photos/sub/a.jpg"


def test_labelme_reads_and_keeps_it(tmp_path: Path) -> None:
    labelme = pytest.importorskip("labelme._label_file")
    # stored on its side: labelme turns it as EXIF says
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (100, 200)).save(tmp_path / "a.jpg", exif=exif)
    path = written("labelme", tmp_path, result(FACE, replace(FACE, visibility={2: False})))
    data = labelme.read_label_file(str(path))
    shapes = [{k: v for k, v in s.items() if k != "other_data"} | s["other_data"] for s in data.shapes]
    labelme.write_label_file(
        str(path),
        shapes=shapes,
        image_path=data.image_path,
        image_height=100,
        image_width=200,
        other_data=data.other_data,
        flags=data.flags,
    )
    (back,) = read("labelme", path)
    assert back.photo == result().photo
    assert [f.flags for f in back.faces] == [FACE.flags] * 2
    np.testing.assert_array_equal(back.faces[1].deviation, FACE.deviation)
    assert back.faces[1].visibility == {0: True, 1: True, 2: False}


def changed(tmp_path: Path, change: Any, *faces: Any) -> Path:
    path = written("labelme", tmp_path, result(*faces))
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    return path


def test_a_point_set_anew_has_no_group(tmp_path: Path) -> None:
    def change(data: dict) -> None:
        new = {"label": "second", "points": [[199.5, 99.5]], "group_id": None, "shape_type": "point", "flags": {}}
        data["shapes"] = [s for s in data["shapes"] if s["label"] != "second"] + [new]

    (back,) = read("labelme", changed(tmp_path, change, FACE))
    np.testing.assert_array_equal(back.faces[0].landmarks, POINTS)
    assert np.isnan(back.faces[0].deviation[1])
    problems: list[str] = []
    (back,) = read("labelme", changed(tmp_path, change, FACE, FACE), problems)
    assert back.faces == ()
    assert len(problems) == 3


def test_a_landmark_that_is_there_twice_is_told(tmp_path: Path) -> None:
    def change(data: dict) -> None:
        data["shapes"].append({**data["shapes"][-1], "points": [[5.0, 5.0]]})

    problems: list[str] = []
    (back,) = read("labelme", changed(tmp_path, change, FACE), problems)
    assert back.faces == ()
    assert "twice" in problems[0]


def test_invisible_is_a_points_flag(tmp_path: Path) -> None:
    face = replace(FACE, visibility={1: False})
    path = written("labelme", tmp_path, result(face))
    assert [s["flags"] for s in json.loads(path.read_text())["shapes"][1:]] == [
        {"invisible": False},
        {"invisible": True},
        {"invisible": False},
    ]
    assert read("labelme", path)[0].faces[0].visibility == {0: True, 1: False, 2: True}

    def change(data: dict) -> None:
        # labelme lost the flags of one point when its label was edited, and of another all but an own one
        data["shapes"][2]["flags"] = {}
        data["shapes"][3]["flags"] = {"other": True}

    assert read("labelme", changed(tmp_path, change, face))[0].faces[0].visibility == {0: True}
    (boxless,) = read("labelme", changed(tmp_path, lambda data: data["shapes"].pop(0), face))
    assert boxless.faces[0].visibility == {0: True, 1: False, 2: True}


def test_what_labelme_alone_writes_is_read(tmp_path: Path) -> None:
    def change(data: dict) -> None:
        del data["photo"]
        hair = {"label": "hair", "points": [[1, 1], [2, 2], [3, 1]], "group_id": None, "shape_type": "polygon"}
        data["shapes"] = [{k: v for k, v in s.items() if k not in ("score", "deviation")} for s in data["shapes"]]
        # drawn from the lower right to the upper left
        data["shapes"][0]["points"].reverse()
        data["shapes"].append(hair)

    (back,) = read("labelme", changed(tmp_path, change, FACE))
    assert (back.photo.path, back.photo.orientation) == ("a.jpg", 1)
    assert (back.faces[0].box, back.faces[0].score) == (BOX, 1.0)
    assert np.isnan(back.faces[0].deviation).all()
