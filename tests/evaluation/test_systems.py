from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np
import pytest

from hrlm.detector import Located
from hrlm.errors import DataError, FormatError
from hrlm.evaluation.data import KnownFace, Sample, known_box
from hrlm.evaluation.systems import FileSystem, GivenBoxSystem, match
from hrlm.formats import json as result_json
from hrlm.formats import pts
from hrlm.formats.catalogue import FORMATS, write_run
from hrlm.geometry import CropTransform
from hrlm.photos import Photo
from hrlm.results import Box, Face, ModelInfo, PhotoInfo, PhotoResult
from hrlm.schemes import Scheme, load_scheme

SCHEME = load_scheme("ibug68")
SHAPE = np.random.default_rng(5).uniform(0, 1, (68, 2))
SHAPE[[36, 45]] = [[0.0, 0.4], [1.0, 0.4]]
SHAPE[[0, 16]] = [[0.5, 0.0], [0.5, 1.0]]
BLANK = Photo.from_array(np.zeros((4, 4, 3), np.uint8))


def points(x: float, y: float, side: float = 100) -> np.ndarray:
    return SHAPE * side + (x, y)


def face(landmarks: np.ndarray, box: Box | None = None) -> Face:
    return Face(landmarks, np.ones(68), box or known_box(landmarks), 0.9)


def truth(landmarks: np.ndarray) -> KnownFace:
    return KnownFace("t", landmarks, known_box(landmarks))


def test_each_annotated_face_gets_the_face_in_its_place() -> None:
    left, right, stranger = face(points(2, 1)), face(points(301, 0)), face(points(600, 600))
    assert match([stranger, right, left], [truth(points(0, 0)), truth(points(300, 0))], SCHEME) == [left, right]


def test_a_face_elsewhere_leaves_a_miss() -> None:
    assert match([face(points(300, 0))], [truth(points(0, 0))], SCHEME) == [None]
    assert match([], [truth(points(0, 0))], SCHEME) == [None]


@pytest.mark.parametrize("lost", ["landmarks", "box"])
def test_a_bad_fit_in_the_right_place_is_no_miss(lost: str) -> None:
    true, elsewhere = points(0, 0), points(900, 900)
    bad = face(elsewhere, known_box(true)) if lost == "landmarks" else face(true, known_box(elsewhere))
    assert match([bad], [truth(true)], SCHEME) == [bad]


def test_a_face_stands_for_one_annotation_only() -> None:
    only = face(points(0, 0))
    assert match([only], [truth(points(10, 0)), truth(points(1, 0))], SCHEME) == [None, only]


def test_a_few_annotated_landmarks_are_enough_to_find_their_face() -> None:
    few = np.full((68, 2), np.nan)
    few[[36, 45, 8, 48]] = points(300, 0)[[36, 45, 8, 48]]
    left, right = face(points(0, 0)), face(points(301, 0))
    assert match([left, right], [truth(few)], SCHEME) == [right]


def sample(name: str) -> Sample:
    return Sample(Path("data") / name, PurePath(name), lambda: ([], []))


def found(place: Path, name: str, others: tuple[str, ...] = (), at: float = 0) -> list[float] | None:
    """The x of the found face's first landmark of each face at 0 and 300; None for a miss."""
    system = FileSystem({None: place}, [sample(n) for n in (name, *others)], SCHEME, {})
    faces = system.faces(sample(name), BLANK, [truth(points(0, 0)), truth(points(300, 0))], None)
    return [None if f is None else round(float(f.landmarks[0, 0] - SHAPE[0, 0] * 100)) for f in faces]


def result(name: str, *faces: Face, size: int = 4) -> PhotoResult:
    return PhotoResult(PhotoInfo(name, size, size), ModelInfo("m", "ibug68", "1"), faces)


def test_pts_files_are_found_by_path_then_by_name(tmp_path: Path) -> None:
    pts.write(tmp_path / "sub" / "a.pts", points(1, 0))
    pts.write(tmp_path / "sub" / "a_2.pts", points(302, 0))
    for name in ("sub/a.jpg", "a.jpg", "elsewhere/a.jpg"):
        assert found(tmp_path, name) == [1, 302]
    assert found(tmp_path, "b.jpg") == [None, None]


def test_numbered_files_alone_are_found_and_those_of_another_photo_left(tmp_path: Path) -> None:
    pts.write(tmp_path / "a_1.pts", points(1, 0))
    pts.write(tmp_path / "a_2.pts", points(302, 0))
    assert found(tmp_path, "a.jpg") == [1, 302]
    assert found(tmp_path, "a.jpg", ("a_2.jpg",)) == [1, None]
    assert found(tmp_path, "a_2.jpg", ("a.jpg",)) == [None, 302]


def test_results_of_another_photo_are_no_further_faces(tmp_path: Path) -> None:
    for name, at in (("a", 1), ("a_2", 302)):
        result_json.write(tmp_path / f"{name}.json", result(f"{name}.jpg", face(points(at, 0))))
    assert found(tmp_path, "a.jpg") == [1, None]
    (tmp_path / "a.json").unlink()
    assert found(tmp_path, "a.jpg") == [None, None]


def test_photos_without_truth_that_lie_beside_own_their_files(tmp_path: Path) -> None:
    pts.write(tmp_path / "peer" / "a.pts", points(1, 0))
    pts.write(tmp_path / "peer" / "a_2.pts", points(302, 0))
    here = sample("a.jpg")
    here = replace(here, photo=tmp_path / "data" / "a.jpg")
    here.photo.parent.mkdir()
    truths = [truth(points(0, 0)), truth(points(300, 0))]
    for beside, missed in (("notes.txt", False), ("a_2.jpg", True)):
        (here.photo.parent / beside).touch()
        faces = FileSystem({None: tmp_path / "peer"}, [here], SCHEME, {}).faces(here, BLANK, truths, None)
        assert [f is None for f in faces] == [False, missed]


def test_further_faces_of_a_photo_whose_numbered_name_another_has(tmp_path: Path) -> None:
    """What `hrlm detect --format pts` writes of a.jpg with two faces and a_2.jpg with one."""
    pts.write(tmp_path / "a.pts", points(1, 0))
    pts.write(tmp_path / "a.jpg_2.pts", points(302, 0))
    pts.write(tmp_path / "a_2.pts", points(3, 0))
    assert found(tmp_path, "a.jpg", ("a_2.jpg",)) == [1, 302]
    assert found(tmp_path, "a_2.jpg", ("a.jpg",)) == [3, None]
    # flat, where the data has folders
    assert found(tmp_path, "sub/a.jpg", ("a_2.jpg",)) == [1, 302]


def test_a_face_of_a_photo_without_a_suffix_is_taken_once(tmp_path: Path) -> None:
    pts.write(tmp_path / "b_1.pts", points(1, 0))
    truths = [truth(points(0, 0)), truth(points(5, 0))]
    faces = FileSystem({None: tmp_path}, [sample("b")], SCHEME, {}).faces(sample("b"), BLANK, truths, None)
    assert [f is None for f in faces] == [False, True]


def test_results_of_another_size_are_refused(tmp_path: Path) -> None:
    result_json.write(tmp_path / "a.json", result("a.jpg", face(points(1, 0)), size=9))
    with pytest.raises(FormatError, match=r"a\.json: states a photo of 9 x 9, .*has 4 x 4"):
        found(tmp_path, "a.jpg")
    # a table need not state a size
    for size, wanted in ((9, None), (4, [1, None]), (0, [1, None])):
        table = tmp_path / f"{size}.csv"
        write_run(FORMATS["csv"], table, [result("a.jpg", face(points(1, 0)), size=size)], SCHEME)
        if wanted:
            assert found(table, "a.jpg") == wanted
        else:
            with pytest.raises(FormatError, match=r"9\.csv: a\.jpg: states a photo of 9 x 9"):
                found(table, "a.jpg")


def test_a_table_s_faults_are_told_and_no_photo_is_no_name(tmp_path: Path) -> None:
    table = tmp_path / "t.xml"
    write_run(
        FORMATS["dlib"], table, [result("a.jpg", face(points(1, 0))), result("b.jpg", face(points(0, 0)))], SCHEME
    )
    table.write_text(table.read_text().replace('file="b.jpg"', 'file=""').replace('name="67"', 'name="66"', 1))
    told: list[str] = []
    FileSystem({None: table}, [sample("a.jpg")], SCHEME, {}, told.append)
    assert "t.xml: a.jpg: face 1 has the landmark" in told[0]
    assert told[1:] == [f"{table}: '' names no photo: give its faces the photo's path"]


def test_a_name_in_two_folders_is_no_answer(tmp_path: Path) -> None:
    pts.write(tmp_path / "x" / "a.pts", points(1, 0))
    pts.write(tmp_path / "y" / "a.pts", points(2, 0))
    assert found(tmp_path, "a.jpg") == [None, None]
    assert found(tmp_path, "y/a.jpg") == [2, None]


def test_what_is_another_photos_own_is_none_of_a_photo_of_that_name(tmp_path: Path) -> None:
    pts.write(tmp_path / "x" / "a.pts", points(1, 0))
    assert found(tmp_path, "y/a.jpg", ("x/a.jpg",)) == [None, None]
    assert found(tmp_path, "y/a.jpg") == [1, None]


def test_a_number_that_lacks_ends_no_list(tmp_path: Path) -> None:
    pts.write(tmp_path / "a.pts", points(1, 0))
    pts.write(tmp_path / "a_03.pts", points(302, 0))
    assert found(tmp_path, "a.jpg") == [1, 302]


def test_our_own_results_keep_their_deviation_and_come_before_pts(tmp_path: Path) -> None:
    result_json.write(tmp_path / "a.jpg.json", result("a.jpg", face(points(3, 0))))
    pts.write(tmp_path / "a.pts", points(1, 0))
    assert found(tmp_path, "a.jpg") == [3, None]
    system = FileSystem({None: tmp_path}, [], SCHEME, {})
    matched = system.faces(sample("a.jpg"), BLANK, [truth(points(0, 0))], None)[0]
    assert matched is not None
    assert matched.deviation.tolist() == [1] * 68


def test_each_width_has_its_files(tmp_path: Path) -> None:
    pts.write(tmp_path / "n" / "a.pts", points(1, 0))
    pts.write(tmp_path / "s" / "a.pts", points(2, 0))
    system = FileSystem({None: tmp_path / "n", 64: tmp_path / "s"}, [], SCHEME, {})
    assert [system.has(w) for w in (None, 64, 128)] == [True, True, False]
    matched = system.faces(sample("a.jpg"), BLANK, [truth(points(0, 0))], 64)[0]
    assert matched is not None
    assert matched.landmarks == pytest.approx(points(2, 0), abs=0.01)


def test_a_table_names_reduced_photos_as_they_were_kept(tmp_path: Path) -> None:
    pts.write(tmp_path / "n" / "a.pts", points(1, 0))
    samples = [sample(n) for n in ("a.jpg", "b.jpg", "b.webp")]
    kept = [result(n, face(points(at, 0))) for n, at in (("a.png", 1), ("b.jpg.png", 2), ("b.webp.png", 3))]
    write_run(FORMATS["csv"], tmp_path / "s.csv", kept, SCHEME)
    system = FileSystem({None: tmp_path / "n", 64: tmp_path / "s.csv"}, samples, SCHEME, {})
    for one, at in zip(samples, (1, 2, 3), strict=True):
        matched = system.faces(one, BLANK, [truth(points(0, 0))], 64)[0]
        assert matched is not None
        assert matched.landmarks == pytest.approx(points(at, 0), abs=0.01)


def test_files_that_cannot_be_scored_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        FileSystem({None: tmp_path / "absent"}, [], SCHEME, {})
    with pytest.raises(DataError, match="no landmark files"):
        FileSystem({None: tmp_path}, [], SCHEME, {})
    pts.write(tmp_path / "a.pts", points(0, 0)[:5])
    with pytest.raises(FormatError, match=r"a\.pts: has 5 points where ibug68 has 68"):
        found(tmp_path, "a.jpg")


class Locator:
    scheme: Scheme = SCHEME
    face_margin = 1.5

    def detect_batch(self, photos: object) -> list[list[Face]]:
        raise AssertionError("boxes are given")

    def locate(self, photos: list[Photo], crops: list[CropTransform]) -> list[Located]:
        corners = [c.corners()[:, :1].numpy().repeat(68, 1) for c in crops]
        return [Located(c, np.tile(np.diag([1.0, 7.0]), (len(c), 68, 1, 1))) for c in corners]


def test_true_boxes_place_the_crop() -> None:
    faces = GivenBoxSystem(Locator()).faces(sample("a.jpg"), BLANK, [truth(points(0, 0)), truth(points(300, 0))], None)
    # one and a half times the box around its middle
    assert [f.landmarks[0].tolist() for f in faces if f] == [[-25, -25], [275, -25]]
    assert all(f is not None and f.deviation[0] == pytest.approx(2) for f in faces)
