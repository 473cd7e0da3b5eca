import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hrlm.errors import FormatError
from hrlm.formats import correcting, corrections
from hrlm.formats import json as result_json
from hrlm.formats.corrections import CorrectedFace, Correction, from_data
from hrlm.results import Face, ModelInfo, PhotoInfo, PhotoResult

INFO = PhotoInfo("sub/ä.jpg", 400, 300, 6)
MODEL = ModelInfo("ibug68", "ibug68", "2")


def made(count: int = 1) -> Correction:
    faces = tuple(CorrectedFace(np.full((3, 2), float(k)), k) for k in range(count))
    return Correction(INFO, "ä.jpg", MODEL, 1, "", True, faces)


def test_what_stands_tells_what_a_person_marked_as_invisible(tmp_path: Path) -> None:
    result = tmp_path / "ä.json"
    own = Face(np.arange(6.0).reshape(3, 2), np.ones(3), (0.0, 0.0, 9.0, 9.0), 0.9)
    result_json.write(result, PhotoResult(INFO, MODEL, (own,)))
    faces = tuple(CorrectedFace(own.landmarks, predicted, (), (0, 2)) for predicted in (0, None))
    corrections.write(corrections.path_of(result), replace(made(), faces=faces))
    predicted, standing = correcting.current(result)
    assert [f.visibility for f in (*predicted.faces, *standing.faces)] == [{}, *[{0: False, 2: False}] * 2]


@pytest.mark.parametrize(
    ("stated", "size", "told"),
    [
        ("sub/ä.jpg", (400, 300), ""),
        ("/photos/sub/ä.jpg", (400, 300), ""),
        ("../sub/ä.jpg", (400, 300), ""),
        ("ä.jpg", (400, 300), ""),
        ("sub/ä.jpg", (300, 400), "400 x 300"),
        ("other/ä.jpg", (400, 300), "other/ä.jpg"),
        ("sub/ä.png", (400, 300), "ä.png"),
    ],
)
def test_a_correction_of_another_photo_is_refused(
    tmp_path: Path, stated: str, size: tuple[int, int], told: str
) -> None:
    result = tmp_path / "ä.json"
    result_json.write(result, PhotoResult(PhotoInfo(stated, *size), MODEL, ()))
    corrections.write(corrections.path_of(result), made())
    if not told:
        assert len(correcting.current(result)[1].faces) == 1
        return
    with pytest.raises(FormatError, match=told) as error:
        correcting.current(result)
    assert str(corrections.path_of(result)) in str(error.value)
    assert "move the correction away" in str(error.value)


def test_a_newer_result_of_another_file_of_the_same_name_and_size_is_noticed(tmp_path: Path) -> None:
    for card, content in (("one", b"1"), ("two", b"2"), ("copy", b"1")):
        (tmp_path / card).mkdir()
        (tmp_path / card / "a.jpg").write_bytes(content)
    result = tmp_path / "a.json"
    result.touch()
    path = corrections.path_of(result)
    saved = replace(made(), file="one/a.jpg", saved="2026-01-02T03:04:05Z")
    for card in ("one", "copy", "gone"):
        correcting.check_file(path, saved, result, tmp_path / card / "a.jpg")
    with pytest.raises(FormatError, match="move the correction away"):
        correcting.check_file(path, saved, result, tmp_path / "two" / "a.jpg")
    # corrected after the result was made: of it, wherever the photo is now
    correcting.check_file(path, replace(saved, saved="2999-01-01T00:00:00Z"), result, tmp_path / "two" / "a.jpg")


def standing(faces: tuple[Face, ...], correction: Correction, folder: Path) -> PhotoResult:
    result_json.write(folder / "a.json", PhotoResult(INFO, MODEL, faces))
    corrections.write(folder / "a.corrected.json", correction)
    return correcting.current(folder / "a.json")[1]


def test_corrected_faces_keep_their_own_boxes_when_the_order_changes(tmp_path: Path) -> None:
    shape = np.array([[0.0, 0], [40, 0], [20, 50]])
    left, right = (
        Face(shape + np.array([x, 60]), np.ones(3), (x, 60.0, 40.0, 50.0), score)
        for x, score in ((50.0, 0.8), (250.0, 0.9))
    )
    by_hand = tuple(CorrectedFace(f.landmarks + 2, i) for i, f in enumerate((left, right)))
    correction = replace(made(0), faces=by_hand)
    for faces in ((left, right), (right, left), (right,)):
        stands = standing(faces, correction, tmp_path).faces
        assert [f.landmarks[0, 0] for f in stands] == [52, 252]
        assert stands[1].box == right.box
        assert stands[1].score == 0.9
        # a face that is no longer found has the box of its landmarks
        assert stands[0].box == (left.box if left in faces else (52.0, 62.0, 40.0, 50.0))


def test_the_digest_of_the_photo_is_kept(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"photo")
    mark = correcting.photo_digest(photo)
    assert len(mark) == 16
    assert correcting.photo_digest(tmp_path / "gone") == ""
    corrections.write(tmp_path / "a.corrected.json", replace(made(), digest=mark))
    assert corrections.read(tmp_path / "a.corrected.json").digest == mark
    # those of earlier versions have none
    old = json.loads(corrections.dumps(made()))
    del old["photo"]["digest"]
    assert from_data(old).digest == ""


def test_a_face_that_was_moved_far_keeps_what_it_was(tmp_path: Path) -> None:
    shape = np.array([[0.0, 0], [40, 0], [20, 50]])
    only = Face(shape, np.ones(3), (1.0, 2.0, 40.0, 50.0), 0.7)
    correction = replace(made(0), faces=(CorrectedFace(shape + 300, 0),))
    (stands,) = standing((only,), correction, tmp_path).faces
    assert (stands.box, stands.score) == (only.box, 0.7)


@pytest.mark.parametrize(("found", "fits"), [(0.0, True), (15.0, True), (60.0, False), (None, False)])
def test_another_picture_is_told_by_where_its_faces_are(tmp_path: Path, found: float | None, fits: bool) -> None:
    shape = np.array([[0.0, 0], [200, 0], [100, 200]])
    photo, result, path = (tmp_path / name for name in ("a.jpg", "a.json", "a.corrected.json"))
    photo.write_bytes(b"one")
    two = tuple(Face(shape + shift, np.ones(3), (0.0, 0.0, 9.0, 9.0), 0.7) for shift in (0, 1000))
    result_json.write(result, PhotoResult(INFO, MODEL, two))
    by_hand = tuple(CorrectedFace(f.landmarks + np.array([15.0, 0]), i) for i, f in enumerate(two))
    correction = replace(made(0), faces=by_hand, digest=correcting.photo_digest(photo))
    # one face of the two, where it was found before, where it was corrected to, or elsewhere
    faces = () if found is None else (replace(two[0], landmarks=shape + np.array([found, 0])),)
    after = PhotoResult(INFO, MODEL, faces)
    correcting.check_replaced(path, correction, result, after, photo)
    photo.write_bytes(b"two")
    if fits:
        correcting.check_replaced(path, correction, result, after, photo)
        return
    with pytest.raises(FormatError, match="replaced"):
        correcting.check_replaced(path, correction, result, after, photo)
