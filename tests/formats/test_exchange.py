from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from exchanged import FACE, SCHEME, result

from hrlm.errors import FormatError
from hrlm.formats.catalogue import FORMATS, write_photo, write_run
from hrlm.formats.exchange import matched, read_all
from hrlm.results import PhotoInfo, PhotoResult

KNOWN = [
    PhotoInfo(path, 200, 100, 6)
    for path in ("one/a.jpg", "two/a.jpg", "two/b.jpg", "two/b.png", "c.d.jpg", "=Ünï\udcff\n.jpg")
]


def found(*names: str) -> tuple[list[str], list[str]]:
    problems: list[str] = []
    given = [replace(result(FACE), photo=PhotoInfo(name, 200, 100)) for name in names]
    back = list(matched(given, KNOWN, problems))
    assert all(r.photo in KNOWN and r.faces == (FACE,) for r in back)
    return [r.photo.path for r in back], problems


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("one/a.jpg", "one/a.jpg"),
        ("b.png", "two/b.png"),
        ("/data/upload/7/b.jpg", "two/b.jpg"),
        (r"C:\photos\b.png", "two/b.png"),
        ("c.d", "c.d.jpg"),
        ("c.d.tif", "c.d.jpg"),
        ("=Ünï\udcff\n.jpg", "=Ünï\udcff\n.jpg"),
        ("=Ünï\\udcff\n.jpg", "=Ünï\udcff\n.jpg"),
    ],
)
def test_a_photo_is_found_by_path_name_or_stem(name: str, path: str) -> None:
    assert found(name) == ([path], [])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.jpg", "2 photos of the run are called a.jpg"),
        ("b", "2 photos of the run are called b"),
        ("three/z.jpg", "no photo of the run is called so"),
    ],
)
def test_what_is_not_found_is_told(name: str, said: str) -> None:
    back, problems = found(name, "c.d.jpg")
    assert back == ["c.d.jpg"]
    assert len(problems) == 1
    assert problems[0].startswith(f"{name}: {said}")


def test_a_photo_that_comes_twice(tmp_path: Path) -> None:
    back, problems = found("one/a.jpg", "c.d.jpg", "one/a.jpg", "c.d")
    assert back == ["one/a.jpg", "c.d.jpg"]
    assert [p.split(":")[0] for p in problems] == ["one/a.jpg", "c.d"]


def test_another_size_is_refused_and_an_unknown_one_is_not() -> None:
    problems: list[str] = []
    given = [
        replace(result(FACE), photo=PhotoInfo("one/a.jpg", 400, 200)),
        replace(result(FACE), photo=PhotoInfo("two/a.jpg", 0, 0)),
    ]
    assert [r.photo.path for r in matched(given, KNOWN, problems)] == ["two/a.jpg"]
    assert "is of a photo of 400 x 200, the run's has 200 x 100" in problems[0]


@pytest.mark.parametrize("name", ["labelme", "cvat", "label-studio", "coco", "dlib"])
def test_out_and_in_again(tmp_path: Path, name: str) -> None:
    format = FORMATS[name]
    counts = 1, 2, 0, 1, 1, 2
    results = [PhotoResult(info, result().model, (FACE,) * count) for info, count in zip(KNOWN, counts, strict=True)]
    if format.per_photo:
        for number, one in enumerate(results):
            write_photo(format, tmp_path / str(number % 2) / f"{number}{format.suffix}", one, SCHEME)
    else:
        write_run(format, tmp_path / format.suffix, results, SCHEME)
    problems: list[str] = []
    back = list(matched(read_all(format, tmp_path, SCHEME, problems), KNOWN, problems))
    assert problems == []
    assert sorted((r.photo.path, len(r.faces)) for r in back) == sorted((r.photo.path, len(r.faces)) for r in results)
    for face in (f for r in back for f in r.faces):
        np.testing.assert_allclose(face.landmarks, FACE.landmarks, atol=0.5 if name == "dlib" else 1e-6)


def test_one_bad_file_of_a_folder_is_told(tmp_path: Path) -> None:
    write_photo(FORMATS["labelme"], tmp_path / "a.labelme.json", result(FACE), SCHEME)
    (tmp_path / "b.labelme.json").write_text("{")
    (tmp_path / "other.json").write_text("{}")
    problems: list[str] = []
    assert len(list(read_all(FORMATS["labelme"], tmp_path, SCHEME, problems))) == 1
    assert len(problems) == 1
    assert "b.labelme.json" in problems[0]
    (tmp_path / "a.labelme.json").rename(tmp_path / "a.json")
    (tmp_path / "b.labelme.json").unlink()
    # saved by labelme under its own name
    assert len(list(read_all(FORMATS["labelme"], tmp_path, SCHEME, problems))) == 1


def test_a_folder_with_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"holds no coco\.json file"):
        list(read_all(FORMATS["coco"], tmp_path, SCHEME, []))
