"""Corrected results as ground truth."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hrlm.errors import DataError
from hrlm.formats import corrections, pts
from hrlm.formats import json as result_json
from hrlm.formats.corrections import CorrectedFace, Correction
from hrlm.formats.truth import find_truth, read_truth
from hrlm.results import Face, ModelInfo, PhotoInfo, PhotoResult
from hrlm.schemes import load_scheme

MODEL = ModelInfo("ibug68", "ibug68", "2")
POINTS = np.random.default_rng(0).uniform(0, 90, (68, 2)).round(3)


def correct(photo: Path, stated: str, results: Path, checked: bool = True, faces: int = 1) -> Path:
    """A photo, its result with `.pts` files, and the correction of it."""
    photo.parent.mkdir(parents=True, exist_ok=True)
    photo.touch()
    result = (results / stated).with_suffix(".json")
    info = PhotoInfo(stated, 100, 100)
    result_json.write(result, PhotoResult(info, MODEL, (Face(POINTS + 1, np.ones(68), (0, 0, 90, 90), 0.9),)))
    for k in range(1, faces + 1):
        pts.write(result.with_name(result.stem + ("" if k == 1 else f"_{k}") + ".pts"), POINTS + 1)
    path = corrections.path_of(result)
    made = tuple(CorrectedFace(POINTS + k, 0, (), (3, 36)) for k in range(faces))
    corrections.write(path, Correction(info, corrections.relative_photo(path, photo), MODEL, 1, "", checked, made))
    return path


def test_a_corrected_folder_is_truth_as_it_is(tmp_path: Path) -> None:
    correct(tmp_path / "p" / "sub" / "a.jpg", "sub/a.jpg", tmp_path / "r", faces=2)
    found = find_truth([tmp_path / "r"])
    assert found.problems == []
    (entry,) = found.annotated
    assert entry.photo == tmp_path / "p" / "sub" / "a.jpg"
    faces, problems = read_truth(entry, load_scheme("ibug68"))
    assert problems == []
    assert [f.points[0].tolist() for f in faces] == [POINTS[0].tolist(), pytest.approx((POINTS[0] + 1).tolist())]
    assert np.flatnonzero(~faces[0].visible).tolist() == [3, 36]
    assert len({f.name for f in faces}) == 2
    # 36 measures the face: it counts although it is a guess
    assert np.flatnonzero(np.isnan(faces[0].seen(load_scheme("ibug68"))[:, 0])).tolist() == [3]


def test_results_beside_their_photos_count_by_their_correction(tmp_path: Path) -> None:
    path = correct(tmp_path / "a.jpg", "a.jpg", tmp_path, faces=2)
    (tmp_path / "b.jpg").touch()
    found = find_truth([tmp_path])
    assert [(e.photo.name, [f.name for f in e.files]) for e in found.annotated] == [("a.jpg", [path.name])]
    assert found.without == 1
    assert found.problems == []
    assert find_truth([tmp_path / "a.jpg"]).annotated == found.annotated


def test_a_photo_is_found_where_both_folders_went(tmp_path: Path) -> None:
    correct(tmp_path / "p" / "a.jpg", "a.jpg", tmp_path / "r")
    (tmp_path / "else").mkdir()
    shutil.move(tmp_path / "p", tmp_path / "else" / "p")
    found = find_truth([tmp_path / "r", tmp_path / "else" / "p"])
    assert [e.photo for e in found.annotated] == [tmp_path / "else" / "p" / "a.jpg"]
    assert found.without == 0
    with pytest.raises(DataError, match=r"a\.corrected\.json: its photo a\.jpg is not found: give the folder"):
        find_truth([tmp_path / "r"])
    # both moved together
    shutil.move(tmp_path / "r", tmp_path / "else" / "r")
    assert len(find_truth([tmp_path / "else" / "r"]).annotated) == 1


def test_what_is_not_checked_is_not_truth(tmp_path: Path) -> None:
    correct(tmp_path / "p" / "a.jpg", "a.jpg", tmp_path / "r", checked=False)
    with pytest.raises(DataError, match=r"none of the 1 corrected photos is marked as checked: .*review page"):
        find_truth([tmp_path / "r"])
    correct(tmp_path / "p" / "b.jpg", "b.jpg", tmp_path / "r")
    found = find_truth([tmp_path / "r"])
    assert [e.photo.name for e in found.annotated] == ["b.jpg"]
    assert found.without == 1
    assert found.unchecked == {tmp_path / "p" / "a.jpg"}


def test_a_photo_is_found_from_a_folder_that_a_link_leads_to(tmp_path: Path) -> None:
    """From there the correction's way to its photo goes up from the real folder, not from the link."""
    correct(tmp_path / "work" / "p" / "a.jpg", "a.jpg", tmp_path / "work" / "r")
    (tmp_path / "given" / "p").mkdir(parents=True)
    (tmp_path / "given" / "r").symlink_to(tmp_path / "work" / "r", target_is_directory=True)
    found = find_truth([tmp_path / "given"])
    assert [e.photo for e in found.annotated] == [tmp_path / "work" / "p" / "a.jpg"]


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    correct(tmp_path / "p" / "a.jpg", "a.jpg", tmp_path / "r")
    gone = correct(tmp_path / "p" / "b.jpg", "b.jpg", tmp_path / "r")
    (tmp_path / "p" / "b.jpg").unlink()
    broken = tmp_path / "r" / "c.corrected.json"
    broken.write_text("{")
    correct(tmp_path / "p" / "a.jpg", "a.jpg", tmp_path / "twice")
    found = find_truth([tmp_path / "r", tmp_path / "twice"])
    assert len(found.annotated) == 1
    assert len(found.problems) == 3
    for name in (gone, broken, "another correction"):
        assert any(str(name) in p for p in found.problems)


def test_a_correction_of_another_scheme_is_passed_over(tmp_path: Path) -> None:
    correct(tmp_path / "p" / "a.jpg", "a.jpg", tmp_path / "r")
    (entry,) = find_truth([tmp_path / "r"]).annotated
    faces, problems = read_truth(entry, load_scheme("portrait"))
    assert faces == []
    assert "has 68 points where portrait has" in problems[0]


@pytest.mark.parametrize(
    ("name", "size", "orientation", "taken"),
    [
        ("a.jpg", (120, 80), 1, True),
        ("a.jpg", (80, 120), 6, True),
        ("a.jpg", (80, 120), 1, False),
        ("a.jpg", (60, 40), 1, False),
        ("a.png", (80, 120), 6, True),
        ("a.png", (60, 40), 1, False),
    ],
)
def test_a_photo_of_another_size_has_no_truth(
    tmp_path: Path, name: str, size: tuple[int, int], orientation: int, taken: bool
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", size).save(tmp_path / name, exif=exif)
    made = Correction(PhotoInfo(name, 120, 80), name, MODEL, 1, "", True, (CorrectedFace(POINTS, 0),))
    file = tmp_path / "a.corrected.json"
    corrections.write(file, made)
    if taken:
        assert [e.files for e in find_truth([tmp_path]).annotated] == [(file,)]
    else:
        correct(tmp_path / "other.jpg", "other.jpg", tmp_path)
        found = find_truth([tmp_path])
        assert [e.photo.name for e in found.annotated] == ["other.jpg"]
        assert len(found.problems) == 1
        assert str(file) in found.problems[0]


def test_a_correction_of_another_photo_than_its_result_is_no_truth(tmp_path: Path) -> None:
    path = correct(tmp_path / "p" / "a.jpg", "a.jpg", tmp_path / "r")
    correct(tmp_path / "p" / "b.jpg", "b.jpg", tmp_path / "r")
    result_json.write(tmp_path / "r" / "a.json", PhotoResult(PhotoInfo("a.jpg", 90, 100), MODEL, ()))
    found = find_truth([tmp_path / "r"])
    assert [e.photo.name for e in found.annotated] == ["b.jpg"]
    assert [str(path) in p for p in found.problems] == [True]
