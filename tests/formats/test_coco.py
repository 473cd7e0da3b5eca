import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from exchanged import FACE, POINTS, read, result, written

from hrlm.errors import FormatError


def test_coco_counts_keypoints_by_centres_and_boxes_by_corners(tmp_path: Path) -> None:
    data = json.loads(written("coco", tmp_path, result(FACE)).read_text())
    assert data["images"] == [{"id": 1, "file_name": "sub/a.jpg", "width": 200, "height": 100, "orientation": 6}]
    assert data["categories"] == [
        {
            "id": 1,
            "name": "face",
            "supercategory": "person",
            "keypoints": ["first", "second", "third"],
            "skeleton": [[1, 2], [1, 2], [2, 3], [3, 1]],
        }
    ]
    (annotation,) = data["annotations"]
    assert annotation == {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "keypoints": [0, 0, 2, 199, 99, 2, 199.5, 99.5, 2],
        "num_keypoints": 3,
        "bbox": [0, 0, 200, 100],
        "area": 20000,
        "iscrowd": 0,
        "score": 0.875,
        "deviation": [0.5, 0.25, None],
        "flags": ["cut", "small"],
    }


def test_a_landmark_outside_of_the_frame_is_not_visible(tmp_path: Path) -> None:
    beyond = replace(FACE, landmarks=POINTS + np.array([0.6, 0]))
    data = json.loads(written("coco", tmp_path, result(beyond)).read_text())
    assert data["annotations"][0]["keypoints"][2::3] == [2, 1, 1]


def test_visibility_out_and_in_again(tmp_path: Path) -> None:
    # the second and the third are beyond the frame, where 1 tells nothing of what a person marked
    points = np.array([[0.0, 0.0], [199.6, 99.0], [300.0, 99.5]])
    for marked, kept in (({}, {0: True}), ({0: True, 1: True}, {0: True}), ({0: False, 2: False}, {0: False})):
        path = written("coco", tmp_path, result(replace(FACE, landmarks=points, visibility=marked)))
        assert read("coco", path)[0].faces[0].visibility == kept
    path = written("coco", tmp_path, result(replace(FACE, visibility={1: False})))
    assert json.loads(path.read_text())["annotations"][0]["keypoints"][2::3] == [2, 1, 2]
    assert read("coco", path)[0].faces[0].visibility == {0: True, 1: False, 2: True}
    # what another tool says of a landmark beyond the frame, and a number that COCO does not know
    change(path, keypoints=[-9, 0, 2, 199, 99, 0.7, 1, 1, 1])
    assert read("coco", path)[0].faces[0].visibility == {0: True, 2: False}


@pytest.mark.parametrize("x", [-0.5004, 199.5004])
def test_a_landmark_on_the_frames_edge_is_the_same_to_writer_and_reader(tmp_path: Path, x: float) -> None:
    beside = replace(FACE, landmarks=np.array([[x, 5.0], [1.0, 1.0], [2.0, 2.0]]))
    (back,) = read("coco", written("coco", tmp_path, result(beside)))
    assert back.faces[0].visibility[0]


def test_a_photo_of_unknown_size_has_no_outside(tmp_path: Path) -> None:
    path = written("coco", tmp_path, result(replace(FACE, visibility={1: False})))
    data = json.loads(path.read_text())
    data["images"][0] |= {"width": None, "height": 0}
    path.write_text(json.dumps(data))
    assert read("coco", path)[0].faces[0].visibility == {0: True, 1: False, 2: True}


def test_pycocotools_reads_it(tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    path = written("coco", tmp_path, result(FACE, FACE), result(path="none.jpg"), result(FACE, path="c.jpg"))
    data = coco.COCO(str(path))
    assert [i["file_name"] for i in data.loadImgs(data.getImgIds())] == ["sub/a.jpg", "none.jpg", "c.jpg"]
    assert [len(data.getAnnIds(imgIds=i)) for i in (1, 2, 3)] == [2, 0, 1]
    assert data.loadCats(1)[0]["keypoints"] == ["first", "second", "third"]
    # its own measure of keypoints, ours against themselves
    evaluation = pytest.importorskip("pycocotools.cocoeval").COCOeval(data, data.loadRes(_as_answer(data)), "keypoints")
    evaluation.params.kpt_oks_sigmas = np.full(3, 0.05)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1.0)


def _as_answer(data: object) -> list[dict]:
    keys = ("image_id", "category_id", "keypoints", "score")
    return [{k: a[k] for k in keys} for a in data.dataset["annotations"]]  # type: ignore[attr-defined]


def change(path: Path, **values: object) -> None:
    data = json.loads(path.read_text())
    data["annotations"][0].update(values)
    path.write_text(json.dumps(data))


def test_keypoints_in_another_order_are_known_by_name(tmp_path: Path) -> None:
    path = written("coco", tmp_path, result(FACE))
    data = json.loads(path.read_text())
    data["categories"][0]["keypoints"] = ["third", "other", "first", "second"]
    keypoints = [199.5, 99.5, 2, 7, 7, 2, 0, 0, 1, 199, 99, 2]
    data["annotations"] = [{"id": 9, "image_id": 1, "category_id": 1, "keypoints": keypoints, "iscrowd": 0}]
    path.write_text(json.dumps(data))
    (back,) = read("coco", path)
    np.testing.assert_array_equal(back.faces[0].landmarks, POINTS)
    assert (back.faces[0].score, back.faces[0].flags) == (1.0, ())
    assert back.faces[0].box == (0.0, 0.0, 199.5, 99.5)
    assert np.isnan(back.faces[0].deviation).all()


def test_a_face_with_a_landmark_missing_is_told_and_left_out(tmp_path: Path) -> None:
    path = written("coco", tmp_path, result(FACE, FACE), result(FACE, path="b.jpg"))
    change(path, keypoints=[0, 0, 2, 0, 0, 0, 1, 1, 2])
    with pytest.raises(FormatError, match=r"sub/a\.jpg: face 1 lacks the landmark second of s: set it"):
        read("coco", path)
    problems: list[str] = []
    assert [len(r.faces) for r in read("coco", path, problems)] == [1, 1]
    assert len(problems) == 1


@pytest.mark.parametrize(
    "values", [{"keypoints": [1, 2, 3, 4]}, {"keypoints": ["x"] * 9}, {"bbox": [1, 2]}, {"deviation": [1]}]
)
def test_a_face_that_makes_no_sense_is_told(tmp_path: Path, values: dict) -> None:
    path = written("coco", tmp_path, result(FACE))
    change(path, **values)
    problems: list[str] = []
    assert [r.faces for r in read("coco", path, problems)] == [()]
    assert "face 1" in problems[0]


@pytest.mark.parametrize("number", [[1], {"of": 1}])
def test_an_image_whose_number_is_none_is_no_coco(tmp_path: Path, number: object) -> None:
    path = written("coco", tmp_path, result(FACE))
    data = json.loads(path.read_text())
    data["images"][0]["id"] = number
    path.write_text(json.dumps(data))
    with pytest.raises(FormatError, match=r"coco\.json: is not a COCO keypoint file \(TypeError"):
        read("coco", path)


def test_crowds_and_boxes_without_keypoints_are_passed_over(tmp_path: Path) -> None:
    path = written("coco", tmp_path, result(FACE))
    for values in ({"iscrowd": 1}, {"iscrowd": 0, "keypoints": []}):
        change(path, **values)
        assert [r.faces for r in read("coco", path)] == [()]
