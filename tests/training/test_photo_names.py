"""Labels go to the photo that they name, and lists mean the photos that they name."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from drawn import SCHEME, draw

from hrlm.errors import DataError
from hrlm.formats import json as result_json
from hrlm.results import Face, ModelInfo, PhotoInfo, PhotoResult
from hrlm.schemes import parse_scheme
from hrlm.training.config import Source
from hrlm.training.sources import NO_PHOTO, SourceFaces, read_source

MARKS = parse_scheme(SCHEME)
POINTS = np.array([[40.0, 70.0], [100.0, 70.0], [70.0, 100.0], [70.0, 40.0]])


def photo(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def labelme(path: Path, stated: str, points: np.ndarray = POINTS) -> None:
    shapes = [
        {"label": name, "points": [point], "shape_type": "point"}
        for name, point in zip(MARKS.landmarks, (points + 0.5).tolist(), strict=True)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"imagePath": stated, "shapes": shapes}))


def result(path: Path, stated: str, points: np.ndarray = POINTS) -> None:
    face = Face(points, np.ones(4), (0, 0, 9, 9), 1.0)
    result_json.write(path, PhotoResult(PhotoInfo(stated, 160, 160), ModelInfo("m", "marks4", "1"), (face,)))


def table(path: Path, *photos: str) -> Path:
    head = ["photo", *(f"{k}{i}" for i in range(4) for k in "xy")]
    rows = [[name, *(f"{v:.1f}" for v in POINTS.ravel())] for name in photos]
    path.write_text("\n".join(",".join(row) for row in (head, *rows)))
    return path


def found(source: Source) -> SourceFaces:
    return read_source(source, MARKS)


@pytest.mark.parametrize(("make", "format"), [(labelme, "labelme"), (result, "hrlm")])
def test_labels_beside_their_photo_are_its(
    tmp_path: Path, make: Callable[[Path, str, np.ndarray], None], format: str
) -> None:
    """Cameras use names again: a photo of the same name further up is another one."""
    for folder, offset in (("lm", 0), ("lm/day2", 1)):
        photo(tmp_path / folder / "IMG_1.jpg")
        make(tmp_path / folder / "IMG_1.json", "IMG_1.jpg", POINTS + offset)
    faces = found(Source(tmp_path / "lm", format=format)).training
    assert {f.photo.relative_to(tmp_path).as_posix(): f.points[0, 0] for f in faces} == {
        "lm/IMG_1.jpg": POINTS[0, 0],
        "lm/day2/IMG_1.jpg": POINTS[0, 0] + 1,
    }


def test_labels_whose_photo_is_gone_do_not_take_another_ones(tmp_path: Path) -> None:
    photo(tmp_path / "lm" / "IMG_1.jpg")
    for folder in ("lm", "lm/day2"):
        labelme(tmp_path / folder / "IMG_1.json", "IMG_1.jpg")
    read = found(Source(tmp_path / "lm"))
    assert len(read.training) == 1
    (problem,) = read.problems
    assert problem.kind == NO_PHOTO
    assert "day2/IMG_1.json: its photo IMG_1.jpg is not in" in problem.message


@pytest.mark.parametrize("lying", ["val/001.jpg", "001.jpg"])
def test_of_two_stated_photos_of_one_name_none_gets_the_labels_of_the_other(tmp_path: Path, lying: str) -> None:
    photo(tmp_path / "img" / lying)
    photo(tmp_path / "img" / "other.jpg")
    source = Source(table(tmp_path / "t.csv", "train/001.jpg", "val/001.jpg", "x/other.jpg"), photos=tmp_path / "img")
    read = found(source)
    lost = [name for name in ("train/001.jpg", "val/001.jpg") if name != lying]
    # a name that only one stated path means is still found elsewhere
    assert [f.photo.name for f in read.training] == ["other.jpg", *(["001.jpg"] if len(lost) == 1 else [])]
    assert [p.kind for p in read.problems if any(f"its photo {name} is not in" in p.message for name in lost)] == [
        NO_PHOTO
    ] * len(lost)


def test_photos_of_labelme_may_lie_in_a_folder_of_their_own(tmp_path: Path) -> None:
    for name in ("a", "b"):
        photo(tmp_path / "images" / f"{name}.jpg")
        labelme(tmp_path / "labels" / f"{name}.json", f"{name}.jpg" if name == "a" else "..\\images\\b.jpg")
    for source in (Source(tmp_path), Source(tmp_path / "labels", photos=tmp_path / "images")):
        read = found(source)
        assert sorted(f.photo.name for f in read.training) == ["a.jpg", "b.jpg"]
        assert read.problems == []


@pytest.fixture
def days(tmp_path: Path) -> Source:
    """A table of four photos, two of which have one name."""
    names = ["day1/IMG_1.jpg", "day2/IMG_1.jpg", "day2/IMG_2.jpg", "#3.jpg"]
    for name in names:
        photo(tmp_path / "img" / name)
    return Source(table(tmp_path / "tables.csv", *names), photos=tmp_path / "img", exclude=tmp_path / "out.txt")


@pytest.mark.parametrize(
    ("listed", "out"),
    [
        ("day1/IMG_1.jpg", ["day1/IMG_1.jpg"]),
        ("day1/IMG_1", ["day1/IMG_1.jpg"]),
        ("day2\\IMG_1.jpg", ["day2/IMG_1.jpg"]),
        ("./day2/IMG_2.jpg", ["day2/IMG_2.jpg"]),
        # a name alone stands for all of that name
        ("IMG_1.jpg", ["day1/IMG_1.jpg", "day2/IMG_1.jpg"]),
        ("\ufeffday1/IMG_1.jpg\nIMG_2", ["day1/IMG_1.jpg", "day2/IMG_2.jpg"]),
        ("# the test\nIMG_2.jpg\n./#3.jpg", ["#3.jpg", "day2/IMG_2.jpg"]),
    ],
)
def test_a_list_names_photos_as_the_table_does(tmp_path: Path, days: Source, listed: str, out: list[str]) -> None:
    (tmp_path / "out.txt").write_text(listed, encoding="utf-8")
    read = found(days)
    assert [p.relative_to(tmp_path / "img").as_posix() for p in read.excluded] == out
    assert len(read.training) == 4 - len(out)
    assert not {f.photo for f in read.training} & set(read.excluded)


def test_a_list_that_names_what_is_not_there_is_refused(tmp_path: Path, days: Source) -> None:
    (tmp_path / "out.txt").write_text("day3/IMG_1.jpg\nIMG_2.jpg")
    with pytest.raises(DataError, match=r"out\.txt: names day3/IMG_1\.jpg, which .* does not hold: mend the list"):
        found(days)


def test_a_list_names_photos_that_a_link_leads_to_as_well(tmp_path: Path) -> None:
    draw(tmp_path / "data" / "test", 2)
    draw(tmp_path / "data" / "train", 2, seed=1)
    (tmp_path / "data" / "latest").symlink_to("test", target_is_directory=True)
    (tmp_path / "list.txt").write_text("test/d00.png\ntest/d01\n")
    read = read_source(Source(tmp_path / "data", exclude=tmp_path / "list.txt"), MARKS)
    assert {f.photo.resolve().parent.name for f in read.training} == {"train"}


def test_a_photo_at_the_stated_path_comes_before_others_of_its_name(tmp_path: Path) -> None:
    draw(tmp_path / "p", 2)
    draw(tmp_path / "p" / "more", 2)
    (tmp_path / "out.txt").write_text("d00\nmore/d01.png\n")
    read = found(Source(tmp_path / "p", exclude=tmp_path / "out.txt"))
    assert [f.photo.relative_to(tmp_path / "p").as_posix() for f in read.training] == ["d01.png", "more/d00.png"]
