import json
from pathlib import Path, PurePath

import numpy as np
import pytest
from PIL import Image

from hrlm.errors import DataError
from hrlm.evaluation.correspondence import Correspondence
from hrlm.evaluation.data import find_data
from hrlm.formats import pts
from hrlm.formats.catalogue import FORMATS, write_run
from hrlm.results import Face, ModelInfo, PhotoInfo, PhotoResult
from hrlm.schemes import load_scheme

SCHEME = load_scheme("ibug68")
POINTS = np.random.default_rng(4).uniform(0, 50, (68, 2)).round(3)
MAPS = {3: Correspondence(3, "ibug68", {0: 36, 1: 45})}


def photo(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (60, 60)).save(path)
    return path


def test_points_beside_photos_of_folders(tmp_path: Path) -> None:
    for name in ("sub/a.png", "b.png", "plain.png"):
        photo(tmp_path / name)
    pts.write(tmp_path / "sub" / "a_1.pts", POINTS)
    pts.write(tmp_path / "sub" / "a_2.pts", POINTS + 1)
    (tmp_path / "b.pts").write_text("nothing")
    data = find_data([tmp_path], SCHEME, {})
    assert sorted(s.name for s in data.samples) == [PurePath("b.png"), PurePath("sub/a.png")]
    assert (data.without, data.problems) == (1, [])
    read = {s.name.stem: s.read() for s in data.samples}
    faces, problems = read["a"]
    assert [f.points[0] == pytest.approx(POINTS[0] + i, abs=1e-3) for i, f in enumerate(faces)] == [True, True]
    assert problems == []
    assert faces[0].width == pytest.approx(np.ptp(POINTS[:, 0]), abs=1e-3)
    assert read["b"][0] == []
    assert "b.pts" in read["b"][1][0]


def test_templates_are_mapped_and_measure_the_whole_face(tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    photo(tmp_path / "b.png")
    (tmp_path / "a.tem").write_text("3\n1 2\n11 2\n5 40\n")
    data = find_data([tmp_path], SCHEME, MAPS)
    assert [s.name for s in data.samples] == [PurePath("a.png")]
    (face,), problems = data.samples[0].read()
    assert problems == []
    assert np.flatnonzero(~np.isnan(face.points[:, 0])).tolist() == [36, 45]
    assert face.points[45].tolist() == [11, 2]
    assert face.box == (1, 2, 10, 38)


def test_a_template_of_as_many_points_as_the_scheme_is_mapped(tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    (tmp_path / "a.tem").write_text("68\n" + "".join(f"{x} {y}\n" for x, y in POINTS))
    maps = {68: Correspondence(68, "ibug68", {0: 36, 1: 45})}
    ((plain,), _), ((mapped,), _) = (find_data([tmp_path], SCHEME, m).samples[0].read() for m in ({}, maps))
    assert plain.points == pytest.approx(POINTS)
    assert np.flatnonzero(~np.isnan(mapped.points[:, 0])).tolist() == [36, 45]
    assert mapped.points[36].tolist() == POINTS[0].tolist()


def test_a_template_of_two_photos_is_neither_s(tmp_path: Path) -> None:
    for name in ("a.png", "a.webp", "b.png"):
        photo(tmp_path / name)
    for name in "ab":
        (tmp_path / f"{name}.tem").write_text("3\n1 2\n11 2\n5 40\n")
    data = find_data([tmp_path], SCHEME, MAPS)
    assert [s.name.name for s in data.samples] == ["b.png"]
    assert data.without == 2
    assert data.problems == [f"{tmp_path / 'a.tem'}: a.png and a.webp beside it has its name: passed over, rename one"]
    (tmp_path / "b.tem").unlink()
    with pytest.raises(DataError, match=r"a\.tem: a\.png and a\.webp"):
        find_data([tmp_path], SCHEME, MAPS)


def test_a_template_without_a_photo_is_told(tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    for name in ("a.TEM", "b.tem"):
        (tmp_path / name).write_text("3\n1 2\n11 2\n5 40\n")
    data = find_data([tmp_path], SCHEME, MAPS)
    assert [s.name.name for s in data.samples] == ["a.png"]
    assert data.problems == [f"{tmp_path / 'b.tem'}: no photo beside it has its name: passed over, rename one"]


def test_a_folder_or_table_named_in_two_ways_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("d/sub/a.png", "d/b.png", "d/c.png", "d/c_2.png"):
        photo(tmp_path / name)
    for name in ("sub/a", "c_1", "c_2"):
        pts.write(tmp_path / "d" / f"{name}.pts", POINTS)
    (tmp_path / "d" / "b.tem").write_text("3\n1 2\n11 2\n5 40\n")
    (tmp_path / "link").symlink_to(tmp_path / "d", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    one, both = Path("d"), [Path("d/c.png"), Path("d"), tmp_path / "d", Path("d/sub/../sub"), Path("link")]
    alone, twice = find_data([one], SCHEME, MAPS), find_data(both, SCHEME, MAPS)
    assert sorted(s.photo.name for s in twice.samples) == sorted(s.photo.name for s in alone.samples)
    assert {s.photo.name: len(s.read()[0]) for s in twice.samples} == {"a.png": 1, "b.png": 1, "c.png": 1, "c_2.png": 1}
    assert (twice.without, twice.problems) == (alone.without, [])
    face = Face(POINTS, np.ones(68), (0, 0, 50, 50), 1.0)
    result = PhotoResult(PhotoInfo("d/b.png", 60, 60), ModelInfo("m", "ibug68", "1"), (face,))
    write_run(FORMATS["csv"], tmp_path / "t.csv", [result], SCHEME)
    (read,) = find_data([Path("t.csv"), tmp_path / "t.csv"], SCHEME, {}).samples
    assert read.stated == PhotoInfo("d/b.png", 60, 60)


def test_an_unknown_template_is_named(tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    (tmp_path / "a.tem").write_text("2\n1 2\n11 2\n")
    faces, problems = find_data([tmp_path], SCHEME, MAPS).samples[0].read()
    assert faces == []
    assert "a.tem: has 2 points where ibug68 has 68" in problems[0]


def test_a_face_without_size_is_named(tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    pts.write(tmp_path / "a.pts", np.ones((68, 2)))
    faces, problems = find_data([tmp_path], SCHEME, {}).samples[0].read()
    assert faces == []
    assert "coincide" in problems[0]


def test_a_csv_table_names_its_photos(tmp_path: Path) -> None:
    face = Face(POINTS, np.ones(68), (0, 0, 50, 50), 1.0)
    model = ModelInfo("m", "ibug68", "1")
    photos = [
        PhotoResult(PhotoInfo("sub/a.png", 60, 60), model, (face, face)),
        PhotoResult(PhotoInfo("b.png", 60, 60), model, (face,)),
    ]
    write_run(FORMATS["csv"], tmp_path / "truth.csv", photos, SCHEME)
    data = find_data([tmp_path / "truth.csv"], SCHEME, {})
    assert [(s.photo, s.name) for s in data.samples] == [
        (tmp_path / "sub/a.png", PurePath("sub/a.png")),
        (tmp_path / "b.png", PurePath("b.png")),
    ]
    faces, _ = data.samples[0].read()
    assert len({f.source for f in faces}) == 2
    assert faces[1].points == pytest.approx(POINTS)


@pytest.mark.parametrize("hidden", [(), (30, SCHEME.normaliser_index[0])])
def test_coco_keypoints(tmp_path: Path, hidden: tuple[int, ...]) -> None:
    keypoints = [v for i, (x, y) in enumerate(POINTS) for v in (x, y, 1 if i in hidden else 2)]
    coco = {
        "images": [{"id": 1, "file_name": "a.png", "width": 60, "height": 60}],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 1,
                "keypoints": keypoints,
                "num_keypoints": 68,
                "bbox": [0, 0, 9, 9],
            }
        ],
        "categories": [{"id": 1, "name": "face", "keypoints": list(SCHEME.landmarks), "skeleton": []}],
    }
    (tmp_path / "truth.json").write_text(json.dumps(coco))
    ((face,), problems) = find_data([tmp_path / "truth.json"], SCHEME, {}).samples[0].read()
    assert problems == []
    # to the pixel's centre or its corner: the format's own module knows
    assert np.nanmax(np.abs(face.points - POINTS)) <= 0.5 + 1e-9
    # a guess measures nothing, but the normaliser's landmarks must
    assert np.flatnonzero(np.isnan(face.points).any(1)).tolist() == [i for i in hidden if i == 30]


def test_nothing_usable_is_an_error(tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"\.pts"):
        find_data([tmp_path], SCHEME, MAPS)
    with pytest.raises(DataError, match="no such file or folder"):
        find_data([tmp_path / "absent"], SCHEME, MAPS)
