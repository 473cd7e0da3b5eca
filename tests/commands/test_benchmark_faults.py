import os
from pathlib import Path

import numpy as np
import pytest
from benchmarking import SHAPE, SIDE, FakeDetector, annotated, rows, run

from hrlm.errors import DataError
from hrlm.formats import pts
from hrlm.formats.catalogue import FORMATS, write_run
from hrlm.photos import IsolatedOpener
from hrlm.results import Face, ModelInfo, PhotoInfo, PhotoResult
from hrlm.schemes import load_scheme

MEASURED = ["all", "full", "2", "1", "2.00"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return annotated(tmp_path / "data", monkeypatch)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A number for every time that a photo is looked at."""
    seen: list[int] = []
    monkeypatch.setattr(FakeDetector, "detect_batch", lambda self, photos, *_: seen.append(1) or [[] for _ in photos])
    return seen


def table(path: Path, *faces: Face, size: int = SIDE * 5) -> Path:
    """A CSV table of the photo `seen.png`, a row for each face."""
    photo = PhotoInfo("seen.png", size, size)
    write_run(FORMATS["csv"], path, [PhotoResult(photo, ModelInfo("m", "s", "1"), faces)], load_scheme("ibug68"))
    return path


def spoil(path: Path, row: int, cells: dict[int, str]) -> None:
    lines = path.read_text().splitlines()
    values = lines[row].split(",")
    for number, cell in cells.items():
        values[number] = cell
    lines[row] = ",".join(values)
    path.write_text("\n".join(lines) + "\n")


def face(off: float = 0) -> Face:
    return Face(SHAPE * SIDE - 0.5 + (off * SIDE, 0), np.ones(68), (-0.5, -0.5, SIDE, SIDE), 1.0)


def test_names_that_are_no_text_are_printed_as_escapes(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    name = os.fsdecode(b"a\xff\n$\\x$.png")
    photo = (folder / "seen.png").rename(folder / name)
    pts.write(photo.with_suffix(".pts"), SHAPE * SIDE - 0.5)
    out = folder / "report"
    result = run(photo, "--out", out)
    assert result.exit_code == 0, result.stderr
    assert r"a\udcff\n$" in result.stdout
    assert (out / "worst.png").exists()


def test_faces_that_a_table_of_predictions_loses_are_told(folder: Path) -> None:
    predictions = table(folder.parent / "p.csv", face(0.03), face(9))
    spoil(predictions, 2, {11: "wide"})
    result = run(folder, "--predictions", f"p={predictions}")
    assert result.exit_code == 1
    assert "p.csv: row 3 cannot be read" in result.stderr
    assert ["", "p", "2", "1", "3.00"] in [row[:5] for row in rows(result)]


def test_predictions_of_another_size_are_missed_and_told(folder: Path) -> None:
    result = run(folder, "--predictions", f"p={table(folder.parent / 'p.csv', face(), size=SIDE)}")
    assert result.exit_code == 1
    assert "p.csv: seen.png: states a photo of 80 x 80" in result.stderr
    assert "has 400 x 400" in result.stderr
    assert ["", "p", "2", "2", "–"] in [row[:5] for row in rows(result)]


def test_a_bad_row_of_a_table_of_truth_costs_one_face(folder: Path) -> None:
    truth = table(folder / "truth.csv", face(), face())
    spoil(truth, 2, {1: "many"})
    result = run(truth)
    assert result.exit_code == 1
    assert "truth.csv: row 3 cannot be read" in result.stderr
    assert ["all", "full", "1", "0", "2.00"] in [row[:5] for row in rows(result)]


@pytest.mark.parametrize("option", ["--predictions", "truth"])
def test_a_row_without_a_photo_is_told(folder: Path, option: str) -> None:
    bad = table(folder / "t.csv", face(), face())
    spoil(bad, 2, {0: ""})
    result = run(folder, "--predictions", f"p={bad}") if option == "--predictions" else run(bad)
    assert result.exit_code == 1
    assert "t.csv: row 3 cannot be read (its photo has no name)" in result.stderr
    assert "2.00" in result.stdout


@pytest.mark.parametrize("place", ["seen.png/figures.json", "."])
def test_an_output_that_cannot_be_written_is_refused_before_the_work(
    folder: Path, looks: list[int], place: str
) -> None:
    result = run(folder, "--json", folder / place)
    assert result.exit_code == 2
    assert (result.stdout, looks) == ("", [])
    assert str(folder / place).removesuffix("/figures.json") in result.stderr
    # and is looked at otherwise
    run(folder)
    assert looks


@pytest.mark.parametrize("error", [DataError("disk full: free some space"), RuntimeError("what now")])
def test_figures_that_cannot_be_written_are_still_printed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr("hrlm.evaluation.report.write_whole", fails)
    result = run(folder, "--json", folder / "f.json")
    assert result.exit_code == 1
    assert MEASURED in [row[:5] for row in rows(result)]
    assert str(error) in result.stderr


def test_a_report_that_cannot_be_written_is_told_and_the_json_is_there(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    out = folder.parent / "report"
    (out / "report.html").mkdir(parents=True)
    result = run(folder, "--json", folder / "f.json", "--out", out)
    assert result.exit_code == 1
    assert "report.html: cannot be written" in result.stderr
    assert MEASURED in [row[:5] for row in rows(result)]
    assert (folder / "f.json").exists()


def test_a_map_to_another_scheme_is_refused(folder: Path) -> None:
    (folder / "map.yaml").write_text("points: 3\nscheme: ibug86\npairs: {0: 36, 1: 45}\n")
    result = run(folder, "--map", folder / "map.yaml")
    assert result.exit_code == 2
    assert "'ibug86' where the model's is 'ibug68'" in result.stderr


def test_photos_with_too_many_pixels_are_passed_over(folder: Path) -> None:
    result = run(folder, "--max-pixels", "100K")
    assert result.exit_code == 2
    assert "seen.png" in result.stderr
    assert "nothing to measure" in result.stderr
    assert run(folder, "--max-pixels", "many").exit_code == 2


def test_photos_are_decoded_in_a_process_of_their_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("hrlm.evaluation.stability.SURROUNDINGS", 20)
    opened: list[str] = []

    class Counting(IsolatedOpener):
        def open(self, path: str) -> object:
            opened.append(Path(path).name)
            return super().open(path)

    monkeypatch.setattr("hrlm.photos.IsolatedOpener", Counting)
    monkeypatch.setattr("hrlm.photos.open_photo", None)
    out = folder.parent / "report"
    result = run(folder, "--resolutions", "40", "--stability", "--out", out)
    # of the black photo stability has no face
    assert result.exit_code == 1, result.stderr
    assert result.stderr.count("no face found") == 1
    # for the errors, for stability and for the worst cases
    assert opened.count("seen.png") == 3
    assert (out / "worst.png").exists()
