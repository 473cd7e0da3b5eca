import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from hrlm.commands import annotate
from hrlm.formats import corrections, pts
from hrlm.formats import json as result_json
from hrlm.formats.catalogue import FORMATS, read_any, write_photo, write_run
from hrlm.formats.truth import find_truth
from hrlm.results import Face, ModelInfo, PhotoInfo, PhotoResult
from hrlm.review.exchange import Imported, export_results, import_corrections
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
    # which cannot tell of the landmarks' visibility
    write_run(FORMATS["dlib"], tmp_path / "dlib.xml", [without], SCHEME)
    done = import_corrections(files, FORMATS["dlib"], tmp_path / "dlib.xml", results, tmp_path / "in", SCHEME, [])
    assert done.corrected == 1
    again = corrections.read(results / "a.corrected.json")
    assert (again.revision, len(again.faces), again.faces[0].invisible) == (2, 1, (3, 4))


def correct_a(results: Path, *invisible: int, **moved: np.ndarray) -> None:
    predicted = result_json.read(results / "a.json")
    landmarks = [f.landmarks for f in predicted.faces]
    first = corrections.CorrectedFace(moved.get("first", landmarks[0]), 0, (), invisible)
    faces = (first, corrections.CorrectedFace(landmarks[1], 1))
    saved = corrections.Correction(predicted.photo, "../in/a.jpg", predicted.model, 1, "", True, faces)
    Store(results).save(results / "a.json", saved, 0)


def toggled_in_coco(text: str, number: int) -> str:
    data = json.loads(text)
    face = min(data["annotations"], key=lambda a: (a["image_id"], a["keypoints"][0]))
    face["keypoints"][3 * number + 2] = 3 - face["keypoints"][3 * number + 2]
    return json.dumps(data)


def toggled_in_cvat(text: str, number: int) -> str:
    parts = text.split(" occluded=")
    parts[number + 1] = f'"{1 - int(parts[number + 1][1])}' + parts[number + 1][2:]
    return " occluded=".join(parts)


def toggled_in_labelme(text: str, number: int) -> str:
    data = json.loads(text)
    flags = data["shapes"][number + 1]["flags"]
    flags["invisible"] = not flags["invisible"]
    return json.dumps(data)


@pytest.mark.parametrize(
    ("tool", "name", "toggled"),
    [
        ("coco", "coco.json", toggled_in_coco),
        ("cvat", "cvat.xml", toggled_in_cvat),
        ("labelme", "a.labelme.json", toggled_in_labelme),
    ],
)
@pytest.mark.parametrize("corrected", [True, False])
def test_what_is_marked_visible_or_invisible_elsewhere_comes_back(
    results: Path, tmp_path: Path, tool: str, name: str, toggled: Callable[[str, int], str], corrected: bool
) -> None:
    if corrected:
        correct_a(results, 3, 4)
    files, out, problems = find_results([str(results)]), tmp_path / "out", list[str]()
    assert export_results(files, FORMATS[tool], out, tmp_path / "in", SCHEME, problems) == 3

    def back() -> Imported:
        return import_corrections(files, FORMATS[tool], out, results, tmp_path / "in", SCHEME, problems)

    assert back() == Imported(0, 3)
    # one landmark, of which only its visibility is another now: marked, then unmarked again
    for number, left in (
        [(4, (3,)), (7, (3, 7)), (3, (7,)), (7, ())] if corrected else [(67, (67,)), (0, (0, 67)), (67, (0,))]
    ):
        (out / name).write_text(toggled((out / name).read_text(), number))
        assert back() == Imported(1, 2)
        assert back() == Imported(0, 3)
        saved = corrections.read(results / "a.corrected.json")
        assert saved.checked
        assert [(f.predicted, f.moved, f.invisible) for f in saved.faces] == [(0, (), left), (1, (), ())]
    assert problems == []


@pytest.mark.parametrize("tool", ["label-studio", "dlib", "csv"])
def test_tools_that_know_of_no_visibility_leave_it(results: Path, tmp_path: Path, tool: str) -> None:
    correct_a(results, 3, 4)
    files, out = find_results([str(results)]), tmp_path / "out"
    export_results(files, FORMATS[tool], out, tmp_path / "in", SCHEME, [])
    assert import_corrections(files, FORMATS[tool], out, results, tmp_path / "in", SCHEME, []).corrected == 0
    assert corrections.read(results / "a.corrected.json").faces[0].invisible == (3, 4)


def test_beyond_the_frame_coco_cannot_tell_invisible_from_outside(results: Path, tmp_path: Path) -> None:
    beyond = result_json.read(results / "a.json").faces[0].landmarks.copy()
    beyond[[3, 5], 1] = -20.0
    correct_a(results, 3, 4, first=beyond)
    files, out = find_results([str(results)]), tmp_path / "out"
    export_results(files, FORMATS["coco"], out, tmp_path / "in", SCHEME, [])
    done = import_corrections(files, FORMATS["coco"], out, results, tmp_path / "in", SCHEME, [])
    assert done == Imported(0, 3)
    (out / "coco.json").write_text(toggled_in_coco((out / "coco.json").read_text(), 4))
    import_corrections(files, FORMATS["coco"], out, results, tmp_path / "in", SCHEME, [])
    # 5 is beyond the frame too, and nobody marked it
    assert corrections.read(results / "a.corrected.json").faces[0].invisible == (3,)


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


def test_two_results_that_state_one_path_are_not_mixed_up(results: Path, tmp_path: Path) -> None:
    for run_name in ("one", "two"):
        target = results / run_name / "x.json"
        result_json.write(target, PhotoResult(PhotoInfo("x.jpg", 500, 240), ModelInfo("m", "ibug68", "0"), (face(50),)))
    own = replace(result_json.read(results / "a.json"), faces=(face(40),))
    twice = replace(own, photo=PhotoInfo("x.jpg", 500, 240), faces=(face(60),))
    write_run(FORMATS["coco"], tmp_path / "coco.json", [twice, own], SCHEME)
    problems: list[str] = []
    done = import_corrections(
        find_results([str(results)]), FORMATS["coco"], tmp_path / "coco.json", results, None, SCHEME, problems
    )
    assert done.corrected == 1
    assert [c.name for c in results.rglob("*.corrected.json")] == ["a.corrected.json"]
    assert len(problems) == 1
    assert all(str(results / name / "x.json") in problems[0] for name in ("one", "two"))


def test_a_face_that_cannot_be_read_is_not_taken_for_deleted(results: Path, tmp_path: Path) -> None:
    files, out = find_results([str(results)]), tmp_path / "out"
    export_results(files, FORMATS["cvat"], out, None, SCHEME, [])
    corrected_elsewhere("cvat", out, np.array([3.0, 0.0]))
    text = (out / "cvat.xml").read_text()
    # somebody deletes a landmark of the second face, and moves one of the photo that follows
    begin = text.index("<points", text.index("<skeleton", text.index("</skeleton>")))
    end = text.index("</points>", begin) + len("</points>")
    (out / "cvat.xml").write_text(text[:begin] + text[end:])
    problems: list[str] = []
    done = import_corrections(files, FORMATS["cvat"], out, results, None, SCHEME, problems)
    assert (done.corrected, done.unchanged) == (0, 2)
    assert not list(results.rglob("*.corrected.json"))
    assert len(problems) == 2
    assert "a.jpg is left out" in problems[1]


def test_a_result_of_another_scheme_is_named_and_the_rest_is_taken(results: Path, tmp_path: Path) -> None:
    other = Face(face(20).landmarks[:5], np.ones(5), (20.0, 30.0, 150.0, 150.0), 0.9)
    path = results / "sub" / "b.json"
    result_json.write(path, replace(result_json.read(path), faces=(other,)))
    b = replace(result_json.read(path), faces=(face(60),))
    own = replace(result_json.read(results / "a.json"), faces=(face(40),))
    write_run(FORMATS["coco"], tmp_path / "coco.json", [b, own], SCHEME)
    problems: list[str] = []
    files = find_results([str(results)])
    done = import_corrections(files, FORMATS["coco"], tmp_path / "coco.json", results, None, SCHEME, problems)
    assert done.corrected == 1
    assert len(problems) == 1
    assert f"{path}: is of another scheme" in problems[0]


def test_a_correction_of_another_photo_is_neither_exported_nor_built_upon(results: Path, tmp_path: Path) -> None:
    old = PhotoInfo("a.jpg", 240, 500)
    made = corrections.Correction(old, "../in/a.jpg", ModelInfo("m", "ibug68", "0"), 1, "", True, ())
    Store(results).save(results / "a.json", made, 0)
    files, problems = find_results([str(results)]), list[str]()
    assert export_results(files, FORMATS["coco"], tmp_path / "out", None, SCHEME, problems) == 2
    assert "240 x 500" in problems.pop()
    own = replace(result_json.read(results / "a.json"), faces=(face(40),))
    write_run(FORMATS["coco"], tmp_path / "coco.json", [own], SCHEME)
    done = import_corrections(files, FORMATS["coco"], tmp_path / "coco.json", results, None, SCHEME, problems)
    assert (done.corrected, len(problems)) == (0, 1)
    assert corrections.read(results / "a.corrected.json").revision == 1


def test_exported_points_of_further_faces_do_not_take_another_photos_name(results: Path, tmp_path: Path) -> None:
    second = replace(result_json.read(results / "sub" / "b.json"), photo=PhotoInfo("A_2.jpg", 500, 240))
    result_json.write(results / "A_2.json", second)
    files, problems = find_results([str(results)]), list[str]()
    export_results(files, FORMATS["pts"], tmp_path / "out", None, SCHEME, problems)
    assert {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.pts")} == {
        "a.pts",
        "a.jpg_2.pts",
        "A_2.pts",
        "sub/b.pts",
    }
    np.testing.assert_allclose(pts.read(tmp_path / "out" / "A_2.pts"), second.faces[0].landmarks, atol=1e-3)
    # a file of one face cannot say what became of the other
    done = import_corrections(files, FORMATS["pts"], tmp_path / "out", results, None, SCHEME, problems)
    assert done.corrected == 0
    assert any("a.json: has 2 faces" in p for p in problems)


def test_two_folders_with_results_of_one_name_do_not_overwrite_each_other(results: Path, tmp_path: Path) -> None:
    result_json.write(tmp_path / "more" / "a.json", result_json.read(results / "a.json"))
    done = run(results, tmp_path / "more", "--export", "labelme", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    written = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("a.labelme.json")}
    assert written == {"results/a.labelme.json", "more/a.labelme.json"}


@pytest.mark.parametrize("tool", ["labelme", "coco", "pts"])
def test_what_was_changed_in_an_exported_file_is_not_overwritten_by_the_next_export(
    results: Path, tmp_path: Path, tool: str
) -> None:
    def export(*more: str) -> Result:
        return run(results, "--photos", tmp_path / "in", "--export", tool, "--out", tmp_path / "out", *more)

    def contents() -> dict[Path, bytes]:
        return {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}

    export()
    exported = contents()
    assert export().exit_code == 0
    path = sorted(exported)[0]
    path.write_bytes(path.read_bytes().replace(b".", b".1", 1))
    changed = contents()
    again = export()
    assert again.exit_code != 0
    assert path.name in again.stderr
    assert "--overwrite" in again.stderr
    assert contents() == changed != exported
    assert export("--overwrite").exit_code == 0
    assert contents() == exported


def test_what_was_corrected_here_after_the_export_stays(results: Path, tmp_path: Path) -> None:
    files, out = find_results([str(results)]), tmp_path / "out"
    export_results(files, FORMATS["coco"], out, tmp_path / "in", SCHEME, [])
    corrected_elsewhere("coco", out, np.array([7.0, -5.0]))
    predicted = result_json.read(results / "a.json")
    first, second = (f.landmarks for f in predicted.faces)
    here = first.copy()
    here[8] += (0.0, 9.0)
    faces = (corrections.CorrectedFace(here, 0, (8,), (2, 8)), corrections.CorrectedFace(second, 1))
    saved = corrections.Correction(predicted.photo, "../in/a.jpg", predicted.model, 1, "", True, faces)
    Store(results).save(results / "a.json", saved, 0)
    done = import_corrections(files, FORMATS["coco"], out, results, tmp_path / "in", SCHEME, [])
    assert done.corrected == 1
    made = corrections.read(results / "a.corrected.json").faces
    assert [f.moved for f in made] == [(8, 30), ()]
    # the file says that it is visible, but it is older than the mark
    assert [f.invisible for f in made] == [(2, 8), ()]
    np.testing.assert_allclose(made[0].landmarks[8], here[8], atol=1e-6)
    np.testing.assert_allclose(made[0].landmarks[30], first[30] + (7, -5), atol=0.01)


def test_a_face_twice_instead_of_two_is_a_change(results: Path, tmp_path: Path) -> None:
    own = result_json.read(results / "a.json")
    write_run(FORMATS["coco"], tmp_path / "coco.json", [replace(own, faces=own.faces[:1] * 2)], SCHEME)
    files = find_results([str(results)])
    done = import_corrections(files, FORMATS["coco"], tmp_path / "coco.json", results, None, SCHEME, [])
    assert done.corrected == 1


def test_a_correction_that_cannot_be_saved_does_not_stop_the_others(results: Path, tmp_path: Path) -> None:
    other = PhotoResult(PhotoInfo("a.corrected.jpg", 500, 240), ModelInfo("ibug68", "ibug68", "0"), (face(50),))
    result_json.write(results / "a.corrected.json", other)
    back = [replace(result_json.read(results / name), faces=(face(40),)) for name in ("a.json", "sub/b.json")]
    write_run(FORMATS["coco"], tmp_path / "coco.json", back, SCHEME)
    files, problems = find_results([str(results)]), list[str]()
    done = import_corrections(files, FORMATS["coco"], tmp_path / "coco.json", results, None, SCHEME, problems)
    assert (done.corrected, len(problems)) == (1, 1)
    assert "result of another photo" in problems[0]
    assert (results / "sub" / "b.corrected.json").is_file()


@pytest.mark.parametrize("tool", ["coco", "cvat", "label-studio"])
def test_work_that_was_done_here_after_the_export_is_never_undone(results: Path, tmp_path: Path, tool: str) -> None:
    """Whatever was corrected before the export: a file that nobody touched changes nothing."""
    files, format, problems = find_results([str(results)]), FORMATS[tool], list[str]()
    first, second = (f.landmarks for f in result_json.read(results / "a.json").faces)
    once, twice = first.copy(), first.copy()
    once[5] += (70.0, 0.0)
    twice[5] += (30.0, 0.0)
    correct_a(results, first=once)
    export_results(files, format, tmp_path / "out", tmp_path / "in", SCHEME, problems)
    store, before = Store(results), corrections.read(results / "a.corrected.json")
    kept = corrections.CorrectedFace(second, 1)
    added = corrections.CorrectedFace(first + np.array([0.0, 400.0]), None)
    moved = corrections.CorrectedFace(twice, 0, (5,))
    for revision, faces in enumerate([(moved, kept), (moved, kept, added), (moved,), (moved, added)], start=1):
        store.save(results / "a.json", replace(before, faces=faces), revision)
        saved = (results / "a.corrected.json").read_bytes()
        done = import_corrections(files, format, tmp_path / "out", results, tmp_path / "in", SCHEME, problems)
        assert (done.corrected, problems) == (0, [])
        assert (results / "a.corrected.json").read_bytes() == saved
