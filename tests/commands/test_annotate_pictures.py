import csv
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from PIL.PdfParser import PdfParser
from typer.testing import CliRunner, Result

from hrlm.commands import annotate
from hrlm.commands.annotate import STYLES
from hrlm.evaluation.metrics import nme
from hrlm.formats import json as result_json
from hrlm.formats import pts
from hrlm.measures import header
from hrlm.photos import PHOTO_SUFFIXES, IsolatedOpener, Photo
from hrlm.render import overlay, sheet
from hrlm.results import Face, ModelInfo, PhotoInfo, PhotoResult
from hrlm.runs.discovery import find_photos
from hrlm.schemes import load_scheme

HEADS = Path(__file__).parents[2] / "examples" / "heads"
SCHEME = load_scheme("ibug68")
MASKS = ["brow_left", "brow_right", "eye_left", "eye_right", "lip_lower", "lip_upper", "lips", "mouth"]
MASKS += ["mouth_opening", "nose", "skin"]


def run(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(annotate.command)
    return CliRunner().invoke(app, [str(a) for a in arguments])


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def points(size: float = 100.0, corner: tuple[float, float] = (60.0, 60.0)) -> np.ndarray:
    """The landmarks of a rendered portrait, scaled to `size` between the outer eye corners."""
    true = pts.read(HEADS / "head-2026-0007.pts")
    return (true - true.min(0)) * (size / float(SCHEME.inter_ocular(true))) + corner


def detected(photos: Path, results: Path, name: str, faces: tuple[Face, ...] | None = None) -> None:
    photos.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (400, 420), (90, 90, 90)).save(photos / name)
    if faces is None:
        faces = (Face(points(), np.ones(68), (60.0, 60.0, 200.0, 200.0), 0.9),)
    result = PhotoResult(PhotoInfo(name, 400, 420), ModelInfo("ibug68", "ibug68", "0"), faces)
    result_json.write((results / name).with_suffix(".json"), result)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The photos that were opened."""
    opened: list[str] = []
    open_photo = IsolatedOpener.open

    def note(opener: IsolatedOpener, path: str) -> Photo:
        opened.append(Path(path).name)
        return open_photo(opener, path)

    monkeypatch.setattr(IsolatedOpener, "open", note)
    return opened


def test_the_command_s_styles_are_those_that_can_be_drawn() -> None:
    assert STYLES == overlay.STYLES


def test_everything_in_one_run_decodes_each_photo_once(tmp_path: Path, decoded: list[str]) -> None:
    photos, results, out = tmp_path / "in", tmp_path / "results", tmp_path / "out"
    two = tuple(Face(points(60, c), np.ones(68), (*c, 90.0, 120.0), 0.9) for c in ((20.0, 20.0), (200.0, 200.0)))
    detected(photos, results, "a.jpg", two)
    detected(photos, results, "b.jpg")
    detected(photos, results, "none.jpg", ())
    everything = ["--overlay", "--closeups", "--masks", "--crops", "--measures", "--sheet", "jpeg"]
    done = run(results, "--photos", photos, "--out", out, *everything, "--compare", results)
    assert done.exit_code == 0, done.stderr
    assert sorted(decoded) == ["a.jpg", "b.jpg", "none.jpg"]
    each = {"overlay.jpg", "compare.jpg", *(f"mask_{m}.png" for m in MASKS)}
    faces = {f"{kind}.jpg" for kind in ("closeups", "ffhq", "upright")}
    expected = {f"{name}.{kind}" for name in ("a", "b", "none") for kind in each}
    expected |= {f"{name}.{kind}" for name in ("a", "b") for kind in faces}
    expected |= {f"a.{kind}_2.jpg" for kind in ("closeups", "ffhq", "upright")}
    expected |= {"measures.csv", "sheet_001.jpg", *(f".thumbnails/{n}.jpg" for n in ("a", "b", "none"))}
    assert files(out) == expected
    assert Image.open(out / "a.mask_skin.png").mode == "L"
    assert Image.open(out / "a.mask_skin.png").size == (400, 420)

    before = {name: (out / name).stat().st_mtime_ns for name in expected}
    decoded.clear()
    again = run(results, "--photos", photos, "--out", out, *everything, "--compare", results)
    assert again.exit_code == 0
    assert not decoded, "pictures that are newer than their result stay"
    changed = {name for name in expected if (out / name).stat().st_mtime_ns != before[name]}
    assert changed == {"measures.csv", "sheet_001.jpg"}

    os.utime(results / "b.json", ns=(2 * 10**18, 2 * 10**18))
    (out / "a.upright_2.jpg").unlink()
    run(results, "--photos", photos, "--out", out, "--crops", "--quiet")
    assert sorted(decoded) == ["a.jpg", "b.jpg"]
    decoded.clear()
    assert run(results, "--photos", photos, "--out", out, "--overwrite").exit_code == 0
    assert sorted(decoded) == ["a.jpg", "b.jpg", "none.jpg"]


def test_photos_done_before_are_counted(tmp_path: Path) -> None:
    detected(tmp_path / "in", tmp_path / "results", "a.jpg")
    arguments = (tmp_path / "results", "--photos", tmp_path / "in", "--out", tmp_path / "out")
    assert run(*arguments).exit_code == 0
    assert "1 already done" in run(*arguments).stderr


def test_measures_need_no_photo(tmp_path: Path, decoded: list[str]) -> None:
    for name in ("b.jpg", "a.jpg"):
        detected(tmp_path / "in", tmp_path / "results", name)
    assert run(tmp_path / "results", "--out", tmp_path / "out", "--measures").exit_code == 0
    assert not decoded
    with (tmp_path / "out" / "measures.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["photo"] for row in rows] == ["a.jpg", "b.jpg"]
    assert set(header()) < set(rows[0])
    assert float(rows[0]["inter_ocular_px"]) == pytest.approx(100, abs=0.01)


def test_no_name_in_the_measures_is_a_formula(tmp_path: Path) -> None:
    detected(tmp_path / "in", tmp_path / "results", "=1+1.jpg")
    assert run(tmp_path / "results", "--out", tmp_path / "out", "--measures").exit_code == 0
    with (tmp_path / "out" / "measures.csv").open() as file:
        assert [row["photo"] for row in csv.DictReader(file)] == ["./=1+1.jpg"]


@pytest.mark.parametrize("truth", ["pts", "results", "corrected"])
def test_comparison_writes_the_metric_s_nme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, truth: str) -> None:
    texts: list[str] = []
    monkeypatch.setattr(
        "hrlm.render.comparison.write_text", lambda _, places, *rest: texts.extend(p[2] for p in places)
    )
    detected(tmp_path / "in", tmp_path / "results", "a.jpg")
    other = points() + np.random.default_rng(0).normal(0, 2, (68, 2)).round(3)
    folder = tmp_path / "truth"
    if truth == "results":
        detected(tmp_path / "in", folder, "a.jpg", (Face(other, np.ones(68), (60.0, 60.0, 200.0, 200.0), 0.9),))
    else:
        pts.write(folder / "a_1.pts", other if truth == "pts" else points())
        if truth == "corrected":
            pts.write(folder / "a.corrected.pts", other)
    done = run(tmp_path / "results", "--photos", tmp_path / "in", "--out", tmp_path / "out", "--compare", folder)
    assert done.exit_code == 0, done.stderr
    assert files(tmp_path / "out") == {"a.compare.jpg"}
    assert texts == [f"NME {100 * float(nme(points(), other, SCHEME)):.2f} %"]


def test_nothing_to_compare_with_is_told(tmp_path: Path) -> None:
    detected(tmp_path / "in", tmp_path / "results", "a.jpg")
    empty = tmp_path / "empty"
    empty.mkdir()
    arguments = (tmp_path / "results", "--photos", tmp_path / "in", "--out", tmp_path / "out")
    done = run(*arguments, "--compare", empty, "--quiet")
    assert done.exit_code == 1
    assert re.search(r"a\.jpg: nothing to compare with: put a\.json or a\.pts into", done.stderr)
    assert run(*arguments, "--compare", tmp_path / "absent").exit_code == 2
    # what else is wanted of the photo is made all the same
    done = run(*arguments, "--compare", empty, "--overlay", "--measures", "--sheet", "jpeg")
    assert done.exit_code == 1
    made = {"a.overlay.jpg", "measures.csv", "sheet_001.jpg", ".thumbnails/a.jpg"}
    assert files(tmp_path / "out") == made
    with (tmp_path / "out" / "measures.csv").open() as file:
        assert [row["photo"] for row in csv.DictReader(file)] == ["a.jpg"]


def test_a_photo_is_not_compared_with_anothers_landmarks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`shot_2` is a photo of its own here, so `shot_2.pts` is no second face of `shot`."""
    texts: list[str] = []
    monkeypatch.setattr(
        "hrlm.render.comparison.write_text", lambda _, places, *rest: texts.extend(p[2] for p in places)
    )
    for name in ("shot.jpg", "shot_2.jpg"):
        detected(tmp_path / "in", tmp_path / "results", name)
    pts.write(tmp_path / "truth" / "shot.pts", points() + 3)
    pts.write(tmp_path / "truth" / "shot_2.pts", points())
    folders = ("--photos", tmp_path / "in", "--out", tmp_path / "out", "--compare", tmp_path / "truth")
    assert run(tmp_path / "results", *folders).exit_code == 0
    assert sorted(texts) == ["NME 0.00 %", f"NME {100 * float(nme(points(), points() + 3, SCHEME)):.2f} %"]


def test_a_comparison_stays_in_its_folder(tmp_path: Path) -> None:
    """Results of a photo that was given by its whole path state that path; its own `.pts` lies beside it."""
    detected(tmp_path / "in", tmp_path / "results", "a.jpg")
    result = result_json.read(tmp_path / "results" / "a.json")
    whole = str(tmp_path / "in" / "a.jpg")
    result_json.write(tmp_path / "results" / "a.json", replace(result, photo=replace(result.photo, path=whole)))
    pts.write(tmp_path / "in" / "a.pts", points())
    (tmp_path / "empty").mkdir()
    done = run(tmp_path / "results", "--out", tmp_path / "out", "--compare", tmp_path / "empty")
    assert done.exit_code == 1
    assert "nothing to compare with" in done.stderr


def test_sheets_are_sorted_by_certainty_or_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, deviation in (("a", 1.0), ("b", 5.0), ("c", 3.0)):
        face = Face(points(), np.full(68, deviation), (60.0, 60.0, 200.0, 200.0), 0.9)
        detected(tmp_path / "in", tmp_path / "results", f"{name}.jpg", (face,))
    detected(tmp_path / "in", tmp_path / "results", "none.jpg", ())
    pages: list[list[str]] = []
    make = sheet.pages
    monkeypatch.setattr(sheet, "pages", lambda entries: pages.append([e.name[0] for e in entries]) or make(entries))
    for order in ("worst", "best", "name"):
        arguments = ("--photos", tmp_path / "in", "--out", tmp_path / "out", "--sheet", "pdf", "--sort", order)
        assert run(tmp_path / "results", *arguments).exit_code == 0
    assert pages == [list("nbca"), list("acbn"), list("abcn")]
    assert files(tmp_path / "out") == {"sheet.pdf", *(f".thumbnails/{n}.jpg" for n in ("a", "b", "c", "none"))}


def test_pdf_sheets_have_all_pages_and_jpeg_sheets_no_old_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "ROWS", 1)
    for i in range(9):
        detected(tmp_path / "in", tmp_path / "results", f"{i}.jpg")
    arguments = ("--photos", tmp_path / "in", "--out", tmp_path / "out", "--sheet")
    assert run(tmp_path / "results", *arguments, "pdf").exit_code == 0
    with (tmp_path / "out" / "sheet.pdf").open("rb") as file:
        assert len(PdfParser(f=file).pages) == 3
    assert run(tmp_path / "results", *arguments, "jpeg").exit_code == 0
    (tmp_path / "results" / "0.json").unlink()
    assert run(tmp_path / "results", *arguments, "jpeg").exit_code == 0
    assert {f for f in files(tmp_path / "out") if "sheet" in f} == {"sheet.pdf", "sheet_001.jpg", "sheet_002.jpg"}


def test_colour_and_camera_data_are_kept(tmp_path: Path) -> None:
    detected(tmp_path / "in", tmp_path / "results", "a.jpg")
    exif = Image.Exif()
    exif[0x0112], exif[0x0110] = 6, "Camera"
    Image.new("RGB", (420, 400), (90, 90, 90)).save(tmp_path / "in" / "a.jpg", exif=exif)
    for options in ([], ["--png"]):
        arguments = ("--photos", tmp_path / "in", "--out", tmp_path / "out", *options)
        assert run(tmp_path / "results", *arguments).exit_code == 0
        written = Image.open(tmp_path / "out" / f"a.overlay.{'png' if options else 'jpg'}")
        assert written.size == (400, 420)
        assert (written.getexif()[0x0112], written.getexif()[0x0110]) == (1, "Camera")


def test_one_bad_photo_costs_only_itself_on_the_sheet(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        detected(tmp_path / "in", tmp_path / "results", name)
    (tmp_path / "in" / "a.jpg").write_bytes(b"\xff\xd8 broken")
    done = run(
        tmp_path / "results", "--photos", tmp_path / "in", "--out", tmp_path / "out", "--sheet", "jpeg", "--masks", "-q"
    )
    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 1
    assert "a.jpg" in done.stderr
    assert "sheet_001.jpg" in files(tmp_path / "out")
    assert "b.mask_skin.png" in files(tmp_path / "out")


def test_a_damaged_thumbnail_costs_only_itself_and_an_empty_one_is_made_again(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        detected(tmp_path / "in", tmp_path / "in", name)
    out = tmp_path / "out"
    assert run(tmp_path / "in", "--out", out, "--sheet", "jpeg").exit_code == 0
    whole = (out / "sheet_001.jpg").read_bytes()
    thumbnail = out / ".thumbnails" / "b.jpg"
    thumbnail.write_bytes(b"")
    assert run(tmp_path / "in", "--out", out, "--sheet", "jpeg").exit_code == 0
    assert (out / "sheet_001.jpg").read_bytes() == whole
    thumbnail.write_bytes(b"no picture")
    assert run(tmp_path / "in", "--out", out, "--sheet", "jpeg").exit_code == 0
    assert (out / "sheet_001.jpg").read_bytes() != whole


def test_pages_of_sheets_are_no_photos(tmp_path: Path) -> None:
    detected(tmp_path, tmp_path, "a.png")
    assert run(tmp_path, "--out", tmp_path / "made", "--sheet", "jpeg").exit_code == 0
    shutil.copy(tmp_path / "a.png", tmp_path / "sheet_001.png")
    shutil.copy(tmp_path / "made" / "sheet_001.jpg", tmp_path / "sheet_002.jpg")
    found = find_photos([str(tmp_path)], PHOTO_SUFFIXES)
    assert [s.name for s in found.sources] == ["a.png", "sheet_001.png", "sheet_002.jpg"]
