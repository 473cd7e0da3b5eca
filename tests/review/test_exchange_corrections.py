from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from hrlm.commands import annotate
from hrlm.formats import corrections
from hrlm.formats import json as result_json
from hrlm.formats.catalogue import FORMATS, read_any, write_photo, write_run
from hrlm.formats.truth import find_truth
from hrlm.results import Face, ModelInfo, PhotoInfo, PhotoResult
from hrlm.review.exchange import export_results, import_corrections
from hrlm.review.storage import Store
from hrlm.runs.annotate_run import find_results
from hrlm.schemes import load_scheme

SCHEME = load_scheme("ibug68")
TOOLS = ("labelme", "coco", "cvat", "label-studio", "dlib", "csv")


def face(left: float) -> Face:
    rng = np.random.default_rng(int(left))
    points = rng.uniform((left, 30), (left + 150, 180), (68, 2)).round(3)
    return Face(points, np.ones(68), (left, 30.0, 150.0, 150.0), 0.9)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Three photos in `in`, with two faces, one and none, and their results."""
    for name, faces in (("a.jpg", (face(20), face(300))), ("sub/b.jpg", (face(100),)), ("c.jpg", ())):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (500, 240), (90, 90, 90)).save(tmp_path / "in" / name)
        info = PhotoInfo(name, 500, 240)
        result = PhotoResult(info, ModelInfo("ibug68", "ibug68", "0"), faces)
        result_json.write((tmp_path / "results" / name).with_suffix(".json"), result)
    return tmp_path / "results"


def run(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(annotate.command)
    return CliRunner().invoke(app, [str(a) for a in arguments])


def corrected_elsewhere(tool: str, folder: Path, moved: np.ndarray) -> None:
    """As if the person had moved landmark 30 of the largest face of `a.jpg` by `moved` in the other tool."""
    format = FORMATS[tool]
    paths = sorted(folder.rglob(f"*{format.suffix}")) if format.per_photo else [folder / format.suffix]
    for path in paths:
        changed = []
        for result in read_any(format, path, SCHEME):
            faces = list(result.faces)
            if result.photo.path.endswith("a.jpg"):
                first = int(np.argmin([f.landmarks[:, 0].min() for f in faces]))
                points = faces[first].landmarks.copy()
                points[30] += moved
                faces[first] = replace(faces[first], landmarks=points)
            changed.append(replace(result, faces=tuple(faces)))
        if format.per_photo:
            write_photo(format, path, changed[0], SCHEME)
        else:
            write_run(format, path, changed, SCHEME)


@pytest.mark.parametrize("tool", TOOLS)
def test_what_was_moved_elsewhere_comes_back_as_a_correction_and_nothing_else_moves(
    results: Path, tmp_path: Path, tool: str
) -> None:
    before = result_json.read(results / "a.json")
    assert run(results, "--photos", tmp_path / "in", "--export", tool, "--out", tmp_path / "out").exit_code == 0
    corrected_elsewhere(tool, tmp_path / "out", np.array([7.0, -5.0]))
    done = run(results, "--photos", tmp_path / "in", "--import", tool, tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert "1 photo corrected" in done.stderr
    saved = corrections.read(results / "a.corrected.json")
    assert saved.checked
    assert [f.predicted for f in saved.faces] == [0, 1]
    assert [f.moved for f in saved.faces] == [(30,), ()]
    away = saved.faces[0].landmarks - before.faces[0].landmarks
    np.testing.assert_allclose(away[30], (7, -5), atol=FORMATS[tool].tolerance)
    assert not np.delete(away, 30, axis=0).any()
    assert not (results / "sub/b.corrected.json").exists()
    # the prediction is kept, and the correction is ground truth for benchmark and train
    np.testing.assert_array_equal(result_json.read(results / "a.json").faces[0].landmarks, before.faces[0].landmarks)
    assert [a.photo.name for a in find_truth([results]).annotated] == ["a.jpg"]


def test_the_same_import_again_changes_nothing(results: Path, tmp_path: Path) -> None:
    format, out = FORMATS["cvat"], tmp_path / "out"
    files = find_results([str(results)])
    assert export_results(files, format, out, tmp_path / "in", SCHEME, []) == 3
    corrected_elsewhere("cvat", out, np.array([3.0, 0.0]))
    problems: list[str] = []
    first = import_corrections(files, format, out, results, tmp_path / "in", SCHEME, problems)
    second = import_corrections(files, format, out, results, tmp_path / "in", SCHEME, problems)
    assert ((first.corrected, second.corrected), problems) == ((1, 0), [])
    assert corrections.read(results / "a.corrected.json").revision == 1


def test_a_face_deleted_elsewhere_is_gone_and_invisible_landmarks_stay_so(results: Path, tmp_path: Path) -> None:
    files = find_results([str(results)])
    item = next(f for f in files if f.file.name == "a.json")
    predicted = result_json.read(item.file)
    one = corrections.CorrectedFace(predicted.faces[0].landmarks, 0, (), (3, 4))
    other = corrections.CorrectedFace(predicted.faces[1].landmarks, 1)
    saved = corrections.Correction(predicted.photo, "../in/a.jpg", predicted.model, 1, "", False, (one, other))
    Store(results).save(item.file, saved, 0)
    without = replace(predicted, faces=predicted.faces[:1])
    write_run(FORMATS["coco"], tmp_path / "coco.json", [without], SCHEME)
    done = import_corrections(files, FORMATS["coco"], tmp_path / "coco.json", results, tmp_path / "in", SCHEME, [])
    assert done.corrected == 1
    again = corrections.read(results / "a.corrected.json")
    assert (again.revision, len(again.faces), again.faces[0].invisible) == (2, 1, (3, 4))


def test_exports_and_pictures_show_what_was_corrected(results: Path, tmp_path: Path) -> None:
    assert run(results, "--photos", tmp_path / "in", "--out", tmp_path / "drawn").exit_code == 0
    before = (tmp_path / "drawn" / "a.overlay.jpg").read_bytes()
    predicted = result_json.read(results / "a.json")
    points = predicted.faces[0].landmarks.copy()
    points[8] = (250.0, 10.0)
    moved = corrections.CorrectedFace(points, 0, (8,))
    saved = corrections.Correction(predicted.photo, "../in/a.jpg", predicted.model, 1, "", True, (moved,))
    Store(results).save(results / "a.json", saved, 0)
    assert run(results, "--photos", tmp_path / "in", "--out", tmp_path / "drawn").exit_code == 0
    assert (tmp_path / "drawn" / "a.overlay.jpg").read_bytes() != before
    assert run(results, "--photos", tmp_path / "in", "--export", "csv", "--out", tmp_path / "out").exit_code == 0
    rows = list(read_any(FORMATS["csv"], tmp_path / "out" / "landmarks.csv", SCHEME))
    face_a = next(r for r in rows if r.photo.path == "a.jpg").faces
    assert len(face_a) == 1
    np.testing.assert_allclose(face_a[0].landmarks[8], (250, 10))


def test_what_cannot_be_matched_is_named_and_the_rest_is_taken(results: Path, tmp_path: Path) -> None:
    stranger = PhotoResult(PhotoInfo("elsewhere.jpg", 10, 10), ModelInfo("x", "ibug68", "0"), (face(20),))
    own = replace(result_json.read(results / "a.json"), faces=(face(40),))
    write_run(FORMATS["coco"], tmp_path / "coco.json", [stranger, own], SCHEME)
    done = run(results, "--import", "coco", tmp_path / "coco.json")
    assert done.exit_code == 1
    assert "elsewhere.jpg" in done.stderr
    assert "1 photo corrected" in done.stderr


def test_wrong_usage_is_told(results: Path, tmp_path: Path) -> None:
    assert run(results, "--export", "nonsense", "--out", tmp_path / "x").exit_code == 2
    assert "--out" in run(results, "--export", "csv").stderr
    assert run(results, "--serve", "--export", "csv", "--out", tmp_path / "x").exit_code == 2
    assert "--out" in run(results).stderr
