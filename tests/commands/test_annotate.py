import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from hrlm.commands import annotate
from hrlm.formats import corrections
from hrlm.formats import json as result_json
from hrlm.formats.atomic import WriteError
from hrlm.formats.corrections import CorrectedFace, Correction
from hrlm.photos import Photo
from hrlm.results import Face, ModelInfo, PhotoInfo, PhotoResult
from hrlm.runs.journal import Entry
from hrlm.schemes import load_scheme


def run(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(annotate.command)
    return CliRunner().invoke(app, [str(a) for a in arguments])


def face() -> Face:
    return Face(np.linspace(20, 180, 136).reshape(68, 2), np.ones(68), (20.0, 20.0, 160.0, 160.0), 0.9)


def detected(photos: Path, results: Path, name: str, scheme: str = "ibug68") -> None:
    """A photo, and its result as detect writes it for the folder `photos`."""
    (photos / name).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (200, 210), (90, 90, 90)).save(photos / name)
    info = PhotoInfo(name, 200, 210)
    result = PhotoResult(info, ModelInfo("ibug68", scheme, "0"), (face(),))
    result_json.write((results / name).with_suffix(".json"), result)


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_results_of_a_folder(tmp_path: Path) -> None:
    detected(tmp_path / "in", tmp_path / "results", "a.png")
    detected(tmp_path / "in", tmp_path / "results", "sub/b.png")
    (tmp_path / "results" / "other.json").write_text("{}")
    result = run(tmp_path / "results", "--photos", tmp_path / "in", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert files(tmp_path / "out") == {"a.overlay.jpg", "sub/b.overlay.jpg"}
    drawn = np.asarray(Image.open(tmp_path / "out" / "a.overlay.jpg"))
    assert drawn.shape == (210, 200, 3)
    assert (np.abs(drawn.astype(int) - 90) > 60).any()


def test_photos_are_found_beside_results_and_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detected(tmp_path / "both", tmp_path / "both", "a.png")
    assert run(tmp_path / "both", "--out", tmp_path / "1").exit_code == 0
    detected(tmp_path / "in", tmp_path / "results", "sub/b.png")
    result = run(tmp_path / "results", "--out", tmp_path / "2")
    assert result.exit_code == 1
    assert "--photos" in result.stderr
    monkeypatch.chdir(tmp_path / "in")
    assert run(tmp_path / "results" / "sub" / "b.json", "--out", tmp_path / "3").exit_code == 0
    assert files(tmp_path / "3") == {"b.overlay.jpg"}


def test_styles_numbers_and_png(tmp_path: Path) -> None:
    detected(tmp_path / "in", tmp_path / "in", "a.png")
    seen = []
    styles = ("points", "contours", "mesh", "ellipses", "mesh,ellipses")
    for k, options in enumerate(([], ["--numbers"], *(["--style", style] for style in styles))):
        assert run(tmp_path / "in", "--out", tmp_path / str(k), "--png", *options).exit_code == 0
        seen.append((tmp_path / str(k) / "a.overlay.png").read_bytes())
    assert len(set(seen)) == 7
    assert run(tmp_path / "in", "--out", tmp_path / "x", "--style", "points,spots").exit_code == 2


def test_faults_are_named_and_passed_over(tmp_path: Path) -> None:
    photos, results = tmp_path / "in", tmp_path / "results"
    for name in ("good", "cut", "gone", "broken", "other_size", "other_scheme"):
        detected(photos, results, f"{name}.png", "mine" if name == "other_scheme" else "ibug68")
    (results / "cut.json").write_text((results / "cut.json").read_text()[:150])
    (photos / "gone.png").unlink()
    (photos / "broken.png").write_bytes(b"")
    Image.new("RGB", (20, 21)).save(photos / "other_size.png")
    result = run(results, "--photos", photos, "--out", tmp_path / "out", "--quiet")
    assert result.exit_code == 1
    assert files(tmp_path / "out") == {"good.overlay.jpg"}
    lines = result.stderr.splitlines()
    assert len(lines) == 5
    for line, name in zip(lines, ("broken", "cut", "gone", "other_scheme", "other_size"), strict=True):
        assert name in line


def test_the_photo_itself_is_never_overwritten(tmp_path: Path) -> None:
    detected(tmp_path, tmp_path, "a.png")
    before = (tmp_path / "a.png").read_bytes()
    assert run(tmp_path, "--out", tmp_path, "--png").exit_code == 0
    assert (tmp_path / "a.png").read_bytes() == before
    assert files(tmp_path) == {"a.png", "a.json", "a.overlay.png"}


class FakeDetector:
    seen: ClassVar[list[str]] = []

    def __init__(self, model: str, device: str) -> None:
        self.scheme = load_scheme("ibug68")
        self.info = ModelInfo(model, "ibug68", "0")
        self.weights = Path(__file__)

    def detect_batch(self, photos: Sequence[Photo], faces: str = "all", min_face: float = 0) -> list[list[Face]]:
        self.seen.extend(photo.path for photo in photos)
        return [[face()] for _ in photos]


def test_photos_are_detected_first_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hrlm.detector.Detector", FakeDetector)
    FakeDetector.seen.clear()
    Image.new("RGB", (200, 210), (90, 90, 90)).save(tmp_path / "a.png")
    (tmp_path / "settings.json").write_text("{}")
    result = run(tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert files(tmp_path / "out") == {"a.json", "a.overlay.jpg"}
    assert result_json.read(tmp_path / "out" / "a.json").photo.path == "a.png"
    Image.new("RGB", (200, 210), (20, 90, 90)).save(tmp_path / "b.png")
    again = run(tmp_path, "--out", tmp_path / "out", "--closeups", "--measures")
    assert again.exit_code == 0, again.stderr
    assert [Path(p).name for p in FakeDetector.seen] == ["a.png", "b.png"], "a result that is there is used"
    new = {f"{name}.{kind}" for name in "ab" for kind in ("json", "closeups.jpg")} | {"a.overlay.jpg", "measures.csv"}
    assert files(tmp_path / "out") == new
    rows = (tmp_path / "out" / "measures.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["photo", "a.png", "b.png"]
    os.utime(tmp_path / "a.png")
    assert run(tmp_path, "--out", tmp_path / "out").exit_code == 0
    assert [Path(p).name for p in FakeDetector.seen[2:]] == ["a.png"], "a photo that changed is detected again"


def correct(result: Path) -> Path:
    """A correction ten pixels further right."""
    there = result_json.read(result)
    path = corrections.path_of(result)
    moved = CorrectedFace(there.faces[0].landmarks + np.array([10, 0]), 0)
    corrections.write(path, Correction(there.photo, there.photo.path, there.model, 1, "", True, (moved,)))
    return path


def test_what_was_corrected_stays_corrected_when_all_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hrlm.detector.Detector", FakeDetector)
    Image.new("RGB", (200, 210), (90, 90, 90)).save(tmp_path / "a.png")
    out = tmp_path / "out"
    assert run(tmp_path, "--out", out, "--png", "--measures").exit_code == 0
    predicted = (out / "measures.csv").read_bytes()
    correct(out / "a.json")
    assert run(tmp_path, "--out", out, "--png", "--overlay", "--measures").exit_code == 0
    told, drawn = (out / "measures.csv").read_bytes(), (out / "a.overlay.png").read_bytes()
    assert told != predicted
    assert run(tmp_path, "--out", out, "--png", "--overlay", "--measures", "--overwrite").exit_code == 0
    assert (out / "measures.csv").read_bytes() == told
    assert (out / "a.overlay.png").read_bytes() == drawn


def test_paths_that_are_no_results_are_named(tmp_path: Path) -> None:
    detected(tmp_path / "in", tmp_path / "results", "a.png")
    photo = tmp_path / "in" / "a.png"
    given = (tmp_path / "results", tmp_path / "resultz", photo)
    result = run(*given, "--photos", tmp_path / "in", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "resultz: no such file or folder" in result.stderr
    assert "a.png: is no result" in result.stderr
    # and take no part in where results go
    assert files(tmp_path / "out") == {"a.overlay.jpg"}


def test_the_journal_knows_better_than_a_photo_of_that_name_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detected(tmp_path / "day1", tmp_path / "results", "a.png")
    (tmp_path / "day2").mkdir()
    Image.new("RGB", (200, 210), (200, 200, 200)).save(tmp_path / "day2" / "a.png")
    entry = Entry("a.png", "a", "ok", 1, 1, "f", file=str(tmp_path / "day1" / "a.png"))
    (tmp_path / "results" / "run.jsonl").write_bytes(entry.line())
    monkeypatch.chdir(tmp_path / "day2")
    result = run(tmp_path / "results" / "a.json", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert np.median(np.asarray(Image.open(tmp_path / "out" / "a.overlay.jpg"))) == pytest.approx(90, abs=2)


def test_a_full_disk_is_no_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hrlm.detector.Detector", FakeDetector)
    FakeDetector.seen.clear()
    Image.new("RGB", (200, 210), (90, 90, 90)).save(tmp_path / "a.png")
    assert run(tmp_path, "--out", tmp_path / "out").exit_code == 0
    for name in "bcd":
        Image.new("RGB", (200, 210), (90, 90, 90)).save(tmp_path / f"{name}.png")

    def full(*_: object) -> None:
        raise WriteError(tmp_path, OSError(errno.ENOSPC, "No space left on device"))

    monkeypatch.setattr("hrlm.runs.annotate_run.write_pictures", full)
    result = run(tmp_path, "--out", tmp_path / "out", "--closeups")
    assert result.exit_code == 1
    assert "No space left" in result.stderr
    assert "interrupted" not in result.stderr
    assert [Path(p).name for p in FakeDetector.seen] == ["a.png"]


def test_large_photos_need_their_option(tmp_path: Path) -> None:
    detected(tmp_path / "in", tmp_path / "in", "a.png")
    result = run(tmp_path / "in", "--out", tmp_path / "out", "--max-pixels", "1K")
    assert result.exit_code == 1
    assert "max" in result.stderr
    assert run(tmp_path / "in", "--out", tmp_path / "out", "--max-pixels", "1M").exit_code == 0


def test_nothing_to_do(tmp_path: Path) -> None:
    assert run(tmp_path, "--out", tmp_path / "out").exit_code == 2
    result = run(tmp_path, "--photos", tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "no results" in result.stderr
