"""Every kind of source gives the same faces, in the model's scheme, and its own split."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from heads import SIDE, heads, save, write

from hrlm.errors import ConfigError, DataError
from hrlm.formats import corrections, pts
from hrlm.formats import json as result_json
from hrlm.formats.catalogue import FORMATS, write_photo, write_run
from hrlm.formats.values import box_of
from hrlm.results import Face, ModelInfo, PhotoInfo, PhotoResult
from hrlm.schemes import load_scheme, parse_scheme
from hrlm.training.config import Source, read_config
from hrlm.training.shapes import mean_shape
from hrlm.training.sources import UNCHECKED, LabelledFace, SourceFaces, landmark_pairs, read_source, told_format

SCHEME = load_scheme("ibug68")
NAMES = "abc"
EXAMPLES = Path(__file__).parents[2] / "examples" / "train"


def results() -> list[PhotoResult]:
    made = []
    for name, (_, points) in zip(NAMES, heads(), strict=False):
        face = Face(points, np.full(68, np.nan), box_of(points), 1.0)
        made.append(PhotoResult(PhotoInfo(f"{name}.png", SIDE, SIDE), ModelInfo("m", "ibug68", "1"), (face,)))
    return made


def as_run(format: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / f"table{Path(FORMATS[format].suffix).suffix}"
        write_run(FORMATS[format], path, results(), SCHEME)
        return path

    return make


def as_tem(folder: Path) -> Path:
    for result in results():
        lines = [f"{x} {y}" for x, y in result.faces[0].landmarks]
        (folder / result.photo.path).with_suffix(".tem").write_text("\n".join(["68", *lines, "1", "0", "2", "0 1"]))
    return folder


def as_labelme(folder: Path) -> Path:
    for result in results():
        name = Path(result.photo.path).stem
        write_photo(FORMATS["labelme"], folder / f"{name}.json", result, SCHEME, folder / result.photo.path)
    return folder


def as_hrlm(folder: Path) -> Path:
    for result in results():
        result_json.write(folder / f"{Path(result.photo.path).stem}.json", result)
    return folder


def as_pts(folder: Path) -> Path:
    write(folder, NAMES)
    return folder


def as_wflw(folder: Path) -> Path:
    rows = []
    for result in results():
        points, (x, y, w, h) = result.faces[0].landmarks, result.faces[0].box
        words = [*points.ravel(), x, y, x + w, y + h, *[0] * 6, result.photo.path]
        rows.append(" ".join(map(str, words)))
    (folder / "list_98pt_rect_attr_train.txt").write_text("\n".join(rows))
    return folder / "list_98pt_rect_attr_train.txt"


@pytest.mark.parametrize(
    ("format", "make", "tolerance", "box"),
    [
        ("pts", as_pts, 0.001, False),
        ("tem", as_tem, 1e-9, False),
        ("labelme", as_labelme, 0.001, True),
        ("hrlm", as_hrlm, 0.001, True),
        ("coco", as_run("coco"), 0.001, True),
        ("csv", as_run("csv"), 0.001, True),
        ("dlib", as_run("dlib"), 0.51, True),
        ("cvat", as_run("cvat"), 0.01, True),
        ("wflw", as_wflw, 1e-9, True),
    ],
)
def test_every_format_is_told_and_gives_the_same_faces(
    tmp_path: Path, format: str, make: Callable[[Path], Path], tolerance: float, box: bool
) -> None:
    for name, (pixels, _) in zip(NAMES, heads(), strict=False):
        save(tmp_path / f"{name}.png", pixels)
    path = make(tmp_path)
    if format != "hrlm":
        assert told_format(path) == format
    found = read_source(Source(path, format=format if format == "hrlm" else ""), SCHEME)
    assert not found.problems
    assert [f.photo.name for f in found.training] == ["a.png", "b.png", "c.png"]
    for face, (_, points) in zip(found.training, heads(), strict=False):
        assert np.abs(face.points - points).max() <= tolerance
        assert face.visible.all()
        if box:
            assert face.box is not None
            assert face.box == pytest.approx(box_of(points), abs=1.01)


def one(found: SourceFaces) -> LabelledFace:
    assert len(found.training) == 1
    return found.training[0]


def test_landmarks_that_labelme_marks_as_invisible_do_not_teach(tmp_path: Path) -> None:
    pixels, points = heads()[0]
    save(tmp_path / "a.png", pixels)
    result = results()[0]
    face = replace(result.faces[0], visibility={7: False, 8: True})
    write_photo(FORMATS["labelme"], tmp_path / "a.json", replace(result, faces=(face,)), SCHEME, tmp_path / "a.png")
    found = one(read_source(Source(tmp_path), SCHEME))
    assert np.flatnonzero(~found.visible).tolist() == [7]
    assert found.points[7] == pytest.approx(points[7], abs=0.001)


@pytest.mark.parametrize("format", ["cvat", "coco"])
def test_landmarks_that_a_data_set_marks_as_hidden_do_not_teach(tmp_path: Path, format: str) -> None:
    pixels, points = heads()[0]
    save(tmp_path / "a.png", pixels)
    result = results()[0]
    face = replace(result.faces[0], visibility={3: False, 40: False})
    path = tmp_path / f"set{Path(FORMATS[format].suffix).suffix}"
    write_run(FORMATS[format], path, [replace(result, faces=(face,))], SCHEME)
    found = one(read_source(Source(path), SCHEME))
    assert np.flatnonzero(~found.visible).tolist() == [3, 40]
    assert found.points[3] == pytest.approx(points[3], abs=0.01)


def test_landmarks_that_are_not_set_are_missing_and_hidden_ones_do_not_teach(tmp_path: Path) -> None:
    pixels, points = heads()[0]
    save(tmp_path / "a.png", pixels)
    keypoints = [[x, y, 2] for x, y in points.tolist()]
    keypoints[3], keypoints[5][2] = [0, 0, 0], 1
    data = {
        "images": [{"id": 1, "file_name": "a.png", "width": SIDE, "height": SIDE}],
        "categories": [{"id": 7, "keypoints": list(SCHEME.landmarks)}],
        "annotations": [
            {"image_id": 1, "category_id": 7, "keypoints": [v for k in keypoints for v in k], "bbox": [10, 20, 30, 40]}
        ],
    }
    (tmp_path / "coco.json").write_text(json.dumps(data))
    face = one(read_source(Source(tmp_path / "coco.json"), SCHEME))
    assert np.flatnonzero(~np.isfinite(face.points).all(1)).tolist() == [3]
    assert np.flatnonzero(~face.visible).tolist() == [3, 5]
    assert face.box == (9.5, 19.5, 30, 40)
    head = ",".join(["photo", *(f"{n}_{k}" for n in SCHEME.landmarks for k in "xy")])
    cells = [f"{v:.2f}" for v in points.ravel()]
    cells[6] = cells[7] = ""
    (tmp_path / "own.csv").write_text(f"{head}\na.png,{','.join(cells)}\n")
    face = one(read_source(Source(tmp_path / "own.csv"), SCHEME))
    assert np.flatnonzero(~face.visible).tolist() == [3]


def test_names_that_agree_are_shared_and_a_map_adds_and_removes() -> None:
    frl, wflw = load_scheme("frl189"), load_scheme("wflw98")
    pairs = dict(landmark_pairs(frl, SCHEME, {}, Path("x")))
    # as ../evaluation/maps has them
    known = {18: 36, 22: 39, 23: 42, 27: 45, 55: 33, 87: 48, 89: 50, 90: 51, 91: 52, 93: 54, 96: 62, 101: 66, 106: 57}
    assert pairs == known | {129: 8}
    assert len(landmark_pairs(SCHEME, wflw, {}, Path("x"))) == 60
    changed = dict(landmark_pairs(frl, SCHEME, {"chin": None, 129: None, 133: "jaw_left_3"}, Path("x")))
    assert changed == known | {133: 13}
    for entries, message in (
        ({"ear": 3}, "has no landmark 'ear'"),
        ({0: 68}, "has no landmark 68"),
        ({19: "chin"}, "two landmarks for chin"),
    ):
        with pytest.raises(ConfigError, match=message):
            landmark_pairs(frl, SCHEME, entries, Path("x"))
    other = parse_scheme("{name: s, landmarks: [p, q], regions: {r: {landmarks: [0-1]}}, normaliser: [0, 1]}")
    with pytest.raises(ConfigError, match="no landmark of s bears a name of ibug68"):
        landmark_pairs(other, SCHEME, {}, Path("x"))


def test_a_map_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text("pairs: {0: nose_tip, 1: chin}\n")
    other = parse_scheme("{name: s, landmarks: [p, q], regions: {r: {landmarks: [0-1]}}, normaliser: [0, 1]}")
    assert landmark_pairs(other, SCHEME, str(tmp_path / "map.yaml"), Path("x")) == [(0, 30), (1, 8)]


def test_splits_by_list_and_number_never_share_a_photo(tmp_path: Path) -> None:
    write(tmp_path / "p", "abcdef")
    (tmp_path / "test.txt").write_text("# held back\nb\ne.png\n")
    (tmp_path / "val.txt").write_text("f\n")

    def names(**kind: object) -> tuple[str, str]:
        found = read_source(Source(tmp_path / "p", **kind), SCHEME)  # type: ignore[arg-type]
        return tuple("".join(f.photo.stem for f in g) for g in (found.training, found.validation))  # type: ignore[return-value]

    assert names() == ("abcdef", "")
    assert names(validate=True) == ("", "abcdef")
    assert names(validation_every=2) == ("bdf", "ace")
    assert names(exclude=tmp_path / "test.txt", validation_list=tmp_path / "val.txt") == ("acd", "f")
    assert names(exclude=tmp_path / "test.txt", validation_every=2) == ("cf", "ad")
    assert names(validation_every=3, limit=2) == ("be", "ad")
    (tmp_path / "test.txt").write_text("b\ngg\n")
    with pytest.raises(DataError, match="names gg, which"):
        names(exclude=tmp_path / "test.txt")


def test_what_cannot_be_told_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "p", "a")
    as_tem_file = tmp_path / "p" / "a.tem"
    as_tem_file.write_text("2\n1 1\n2 2\n")
    with pytest.raises(ConfigError, match="holds landmarks as pts and tem: add format"):
        read_source(Source(tmp_path / "p"), SCHEME)
    assert len(read_source(Source(tmp_path / "p", format="pts"), SCHEME).training) == 1
    with pytest.raises(ConfigError, match="no format 'pst'"):
        read_source(Source(tmp_path / "p", format="pst"), SCHEME)
    with pytest.raises(DataError, match="no face of it can be used"):
        read_source(Source(tmp_path / "p", format="tem"), SCHEME)


def test_a_tables_photos_are_found_elsewhere_by_folder_or_lone_name(tmp_path: Path) -> None:
    write(tmp_path / "photos" / "deep", "abc")
    (tmp_path / "tables").mkdir()
    table = as_run("coco")(tmp_path / "tables")
    with pytest.raises(DataError, match="no face of it can be used"):
        read_source(Source(table), SCHEME)
    assert len(read_source(Source(table, photos=tmp_path / "photos"), SCHEME).training) == 3


@pytest.mark.parametrize("make", [as_pts, as_tem, as_labelme])
def test_photos_and_labels_are_taken_as_detection_takes_photos(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    """Links are followed, a raw file beside its JPEG is the same shot, pictures that hrlm made are none."""
    real, folder = tmp_path / "real", tmp_path / "data"
    for name, (pixels, _) in zip(NAMES, heads(), strict=False):
        save(real / f"{name}.png", pixels)
        (real / f"{name.upper()}.CR2").touch()
        (real / f"{name}.nef").touch()
    (real / "a.overlay.jpg").touch()
    make(real)
    folder.mkdir()
    (folder / "linked").symlink_to(real, target_is_directory=True)
    (real / "round").symlink_to(folder, target_is_directory=True)
    found = read_source(Source(folder), SCHEME)
    assert [f.photo for f in found.training] == [folder / "linked" / f"{name}.png" for name in NAMES]
    assert found.problems == []


def test_a_template_of_two_photos_is_told(tmp_path: Path) -> None:
    write(tmp_path, "ab")
    for name in "ab":
        (tmp_path / f"{name}.pts").unlink()
    as_tem(tmp_path)
    (tmp_path / "c.tem").unlink()
    save(tmp_path / "b.jpg", heads()[0][0])
    found = read_source(Source(tmp_path), SCHEME)
    assert one(found).photo.name == "a.png"
    assert any("b.tem: b.jpg and b.png beside it has its name" in p.message for p in found.problems)


def test_labelme_is_told_however_many_photos_there_are(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for number in range(2001):
        (tmp_path / "images" / f"{number}.jpg").touch()
    (tmp_path / "labels").mkdir()
    as_labelme(tmp_path / "labels")
    assert told_format(tmp_path) == "labelme"


def test_what_was_detected_and_not_checked_is_no_truth_unless_it_is_said_to_be(tmp_path: Path) -> None:
    as_hrlm(tmp_path)
    refusal = r"holds results, none of them checked.*: mark photos as checked on the review page.*or say format: hrlm"
    with pytest.raises(DataError, match=refusal):
        read_source(Source(tmp_path), SCHEME)
    # the files of a run with --format pts, of a photo with two faces
    for name in ("a", "a_2", "b", "c"):
        pts.write(tmp_path / f"{name}.pts", heads()[0][1])
    with pytest.raises(DataError, match=refusal):
        read_source(Source(tmp_path), SCHEME)


def test_corrections_that_nobody_marked_as_checked_are_told(tmp_path: Path) -> None:
    write(tmp_path, NAMES)
    for name, (pixels, points) in zip(NAMES, heads(), strict=False):
        (tmp_path / f"{name}.pts").unlink()
        info = PhotoInfo(f"{name}.png", pixels.shape[1], pixels.shape[0])
        faces, model = (corrections.CorrectedFace(points),), ModelInfo("m", "ibug68", "1")
        made = corrections.Correction(info, f"{name}.png", model, 1, "", name == "a", faces)
        corrections.write(tmp_path / f"{name}.corrected.json", made)
    found = read_source(Source(tmp_path), SCHEME)
    assert one(found).size == heads()[0][0].shape[1::-1]
    (problem,) = found.problems
    assert problem.kind == UNCHECKED
    assert "2 corrected photos are not marked as checked: mark photos as checked on the review page" in problem.message


def test_real_templates_are_read_in_their_own_scheme(shared: Path) -> None:
    found = read_source(Source(shared / "london189", scheme="frl189"), SCHEME)
    assert len(found.training) == 102
    assert not found.problems
    assert found.training[0].visible.sum() == 14


def test_the_dense_templates_test_faces_can_never_train(shared: Path) -> None:
    config = read_config(EXAMPLES / "frl189.yaml")
    (source,) = config.data
    found = read_source(replace(source, path=shared / "london189"), load_scheme(config.scheme))
    test = {line for line in (EXAMPLES / "frl189_test.txt").read_text().splitlines() if not line.startswith("#")}
    assert len(test) == 22
    assert len(found.training) + len(found.validation) == 80
    assert not test & {f.photo.stem for f in (*found.training, *found.validation)}
    assert {p.stem for p in found.excluded} == test


def test_the_dense_templates_mirror_pairs_are_those_of_its_mean_face(shared: Path) -> None:
    """Each landmark's twin is the one that lies nearest to its mirror image on the mean face."""
    scheme = load_scheme("frl189")
    found = read_source(Source(shared / "london189"), scheme)
    mean = mean_shape([f.points for f in found.training], scheme)
    flipped = mean * [-1, 1]
    cost = np.linalg.norm(mean[:, None] - flipped[None], axis=-1)
    twins = cost[np.arange(189), list(scheme.mirror)]
    assert twins.max() < 0.1
    # closed lips lie on one another: what is as near as the twin may be its neighbour
    assert (twins - cost.min(1)).max() < 0.04
    for i, j in enumerate(scheme.mirror):
        assert scheme.landmarks[j] == swap(scheme.landmarks[i])


@pytest.mark.parametrize("name", ["frl189", "wflw98"])
def test_names_of_twins_differ_by_their_side_alone(name: str) -> None:
    scheme = load_scheme(name)
    assert tuple(swap(n) for n in scheme.landmarks) == tuple(scheme.landmarks[j] for j in scheme.mirror)


def swap(name: str) -> str:
    return name.replace("right", "@").replace("left", "right").replace("@", "left")
