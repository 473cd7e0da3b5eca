from pathlib import Path

import numpy as np
import pytest

from hrlm.errors import DataError
from hrlm.formats import json as result_json
from hrlm.formats import pts
from hrlm.formats.truth import AnnotatedPhoto, find_truth, read_truth
from hrlm.results import Face, ModelInfo, PhotoInfo, PhotoResult
from hrlm.schemes import load_scheme


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(*paths: Path) -> dict[str, list[str]]:
    return {a.photo.name: [f.name for f in a.files] for a in find_truth(paths).annotated}


def test_one_file_or_several_belong_to_a_photo(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "a.pts", "sub/b.webp", "sub/b_1.pts", "sub/b_3.pts", "sub/b_10.pts", "notes.txt")
    assert found(tmp_path) == {"a.jpg": ["a.pts"], "b.webp": ["b_1.pts", "b_3.pts", "b_10.pts"]}


def test_a_photo_of_just_the_files_name_comes_first(tmp_path: Path) -> None:
    touch(tmp_path, "12.jpg", "12.pts", "12_3.jpg", "12_3.pts", "12_4.pts")
    assert found(tmp_path) == {"12.jpg": ["12.pts", "12_4.pts"], "12_3.jpg": ["12_3.pts"]}


def test_photos_without_truth_are_counted_and_stray_files_named(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "a.pts", "b.jpg", "c.pts", "d.jpg", "d.png", "d.pts", "other/a_1.pts")
    truth = find_truth([tmp_path])
    assert [a.photo.name for a in truth.annotated] == ["a.jpg"]
    assert truth.without == 3
    named = {Path(p.split(": ")[0]).relative_to(tmp_path).as_posix(): p for p in truth.problems}
    assert set(named) == {"c.pts", "d.pts", "other/a_1.pts"}
    assert "d.jpg and d.png" in named["d.pts"]


def test_photos_are_those_that_detection_takes(tmp_path: Path) -> None:
    """A raw file beside its JPEG is the same shot, links are followed, pictures that hrlm made are none."""
    touch(tmp_path, "real/a.jpg", "real/a.CR2", "real/a.pts", "real/b.nef", "real/b_1.pts", "real/a.overlay.jpg")
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "linked").symlink_to(tmp_path / "real", target_is_directory=True)
    truth = find_truth([tmp_path / "given"])
    assert {a.photo.name: [f.name for f in a.files] for a in truth.annotated} == {
        "a.jpg": ["a.pts"],
        "b.nef": ["b_1.pts"],
    }
    assert (truth.problems, truth.without) == ([], 0)


def test_a_single_photo_brings_its_own_files_only(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "a_1.pts", "b.jpg", "b.pts")
    assert found(tmp_path / "a.jpg") == {"a.jpg": ["a_1.pts"]}


def test_a_folder_named_twice_counts_once(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "a.pts")
    assert len(find_truth([tmp_path, tmp_path, tmp_path / "a.jpg"]).annotated) == 1


def test_a_folder_named_in_two_ways_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "d/a.jpg", "d/a_1.pts", "d/a_2.jpg", "d/a_2.pts", "d/sub/b.jpg", "d/sub/b.pts", "d/c.pts")
    monkeypatch.chdir(tmp_path)
    truth = find_truth([Path("d/a.jpg"), Path("d"), tmp_path / "d", Path("d/sub")])
    assert [(a.photo, [f.name for f in a.files]) for a in truth.annotated] == [
        (Path("d/a.jpg"), ["a_1.pts"]),
        (Path("d/a_2.jpg"), ["a_2.pts"]),
        (Path("d/sub/b.jpg"), ["b.pts"]),
    ]
    assert len(truth.problems) == 1
    # two links to one picture are two photos, each with truth of its own
    (tmp_path / "d" / "e.jpg").symlink_to(tmp_path / "d" / "a.jpg")
    touch(tmp_path, "d/e.pts")
    assert len(find_truth([Path("d")]).annotated) == 4


def test_nothing_annotated_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    with pytest.raises(DataError, match=r"no photo with a \.pts"):
        find_truth([tmp_path])
    with pytest.raises(DataError, match="no such file or folder"):
        find_truth([tmp_path / "absent"])


def test_results_of_which_nothing_was_checked_say_so(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    result = PhotoResult(PhotoInfo("a.jpg", 9, 9), ModelInfo("m", "s", "1"), ())
    result_json.write(tmp_path / "results" / "a.json", result)
    for paths in ([tmp_path / "results"], [tmp_path / "a.jpg", tmp_path / "results"]):
        with pytest.raises(DataError, match=r"none of them checked.*mark photos as checked on the review page"):
            find_truth(paths)


def test_what_detection_wrote_beside_a_photo_is_no_truth_and_what_a_person_wrote_is(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    points = np.random.default_rng(0).uniform(0, 90, (68, 2))
    faces = tuple(Face(points + k, np.zeros(68), (0.0, 0.0, 9.0, 9.0), 1.0) for k in range(2))
    for name in "abc":
        result = PhotoResult(PhotoInfo(f"{name}.jpg", 99, 99), ModelInfo("m", "ibug68", "1"), faces)
        result_json.write(tmp_path / f"{name}.json", result)
    for name, shift in (("a", 0), ("a_2", 1), ("b", 0), ("c_2", 1)):
        pts.write(tmp_path / f"{name}.pts", points + shift)
    with pytest.raises(DataError, match="none of them checked"):
        find_truth([tmp_path])
    pts.write(tmp_path / "b.pts", points + np.array([0.01, 0]))
    assert found(tmp_path) == {"b.jpg": ["b.pts"]}
    assert find_truth([tmp_path]).without == 2
    assert found(tmp_path / "b.jpg") == {"b.jpg": ["b.pts"]}


def test_faces_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    scheme = load_scheme("ibug68")
    points = np.random.default_rng(0).uniform(0, 100, (68, 2)).round(3)
    collapsed = points.copy()
    collapsed[45] = collapsed[36]
    files = [tmp_path / f"a_{k}.pts" for k in range(4)]
    pts.write(files[0], points)
    pts.write(files[1], points[:5])
    files[2].write_text("no points")
    pts.write(files[3], collapsed)
    faces, problems = read_truth(AnnotatedPhoto(tmp_path / "a.jpg", tuple(files)), scheme)
    assert [f.file for f in faces] == files[:1]
    assert faces[0].points == pytest.approx(points)
    assert faces[0].width == pytest.approx(np.ptp(points[:, 0]))
    assert [p.startswith(str(f)) for p, f in zip(problems, files[1:], strict=True)] == [True] * 3
