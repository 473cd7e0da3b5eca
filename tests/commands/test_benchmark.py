import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from benchmarking import SHAPE, SIDE, FakeDetector, annotated, rows, run
from PIL import Image

from hrlm.errors import DataError
from hrlm.evaluation.speed import Memory
from hrlm.formats import pts
from hrlm.formats.catalogue import FORMATS, write_run
from hrlm.results import Face, ModelInfo, PhotoInfo, PhotoResult
from hrlm.schemes import load_scheme

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "weights" / "hrlm-ibug68.safetensors"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return annotated(tmp_path, monkeypatch)


def test_tables_go_to_standard_output_and_talk_to_standard_error(folder: Path) -> None:
    result = run(folder, "--resolutions", "40,native")
    assert result.exit_code == 0, result.stderr
    rates = ["30.00", "37.50", "40.00", "50.00", "50.00", "50.00"]
    assert ["all", "full", "2", "1", "2.00", "2.00", "2.00", *rates] in rows(result)
    assert ["", "global alone", "2", "1", "5.00", "5.00", "5.00"] in [row[:7] for row in rows(result)]
    assert ["40 px", "full", "2", "1", "1", "2.00", "2.00"] in rows(result)
    assert result.stderr == "1 photo without ground truth left aside\n"


def test_quiet_still_prints_the_figures(folder: Path) -> None:
    result = run(folder, "-q")
    assert result.stderr == ""
    assert "2.00" in result.stdout


def test_json_and_speed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def memory(*of: object) -> list[Memory]:
        asked.extend(of[1:])
        return [Memory(1, 3, 400, None)]

    # processes of their own would load the real detector
    monkeypatch.setattr("hrlm.evaluation.speed.measure_memory", memory)
    out = folder / "new" / "figures.json"
    result = run(folder, "--json", out, "--speed", "--model", "mine", "--levels", "1")
    assert asked == ["mine", "cpu", "best", 1]
    assert result.exit_code == 0, result.stderr
    data = json.loads(out.read_text())
    assert (data["model"], data["version"], data["device"], data["scheme"]) == ("mine", "7", "cpu", "ibug68")
    assert data["summaries"]["all"]["full"]["nme"] == pytest.approx(0.02, abs=1e-4)
    assert data["speed"]["photos"] == 2
    assert data["speed"]["detect_seconds"] > 0
    assert set(data["median_seconds"]) == {"decode, Pillow", "decode", "find", "global", "regional", "write"}
    assert data["memory"][0]["peak"] == 400
    assert not list(folder.rglob("seen.json")), "results of the timing must not stay"


def test_time_that_cannot_be_taken_leaves_the_errors(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(*_: object) -> list[Memory]:
        raise DataError("out of memory")

    monkeypatch.setattr("hrlm.evaluation.speed.measure_memory", ended)
    result = run(folder, "--speed")
    assert result.exit_code == 1
    assert "no memory: out of memory" in result.stderr
    assert ["all", "full", "2", "1", "2.00"] in [row[:5] for row in rows(result)]
    assert "photos/s" in result.stdout
    monkeypatch.setattr("hrlm.evaluation.speed.files_to_time", lambda files: [])
    result = run(folder, "--speed")
    assert result.exit_code == 1
    assert "no speed" in result.stderr


def test_no_figure_is_cut_off_on_a_narrow_terminal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = rows(run(folder))
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = run(folder)
    narrow = [[re.sub("\x1b\\[[0-9;]*m", "", cell) for cell in row] for row in rows(shown)]
    assert narrow == wide


def test_one_width_has_its_table_and_one_that_is_too_large_none(folder: Path) -> None:
    assert ["40 px", "full", "2", "1", "1", "2.00", "2.00"] in rows(run(folder, "--resolutions", "40"))
    result = run(folder, "--resolutions", "4000")
    assert result.exit_code == 0, result.stderr
    assert ["all", "full", "2", "1", "2.00"] in [row[:5] for row in rows(result)]
    assert "By resolution" not in result.stdout


def test_a_report_where_every_face_is_missed(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    (folder / "seen_1.pts").unlink()
    out = folder / "report"
    result = run(folder, "--out", out)
    assert result.exit_code == 0, result.stderr
    assert (out / "report.html").exists()
    assert ["all", "full", "1", "1", "–"] in [row[:5] for row in rows(result)]


def test_a_report_folder(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    out = folder / "report"
    result = run(folder, "--out", out, "--calibration", "-q")
    assert result.exit_code == 0, result.stderr
    assert json.loads((out / "report.json").read_text())["calibration"]["groups"]["all"]["full"]["landmarks"] == 68
    assert (out / "report.html").stat().st_size > (out / "ced.png").stat().st_size > 1000


def test_peers_stand_in_the_same_tables(folder: Path) -> None:
    peers = folder / "peers"
    pts.write(peers / "all" / "seen.pts", SHAPE * SIDE - 0.5 + np.array([0.03 * SIDE, 0]))
    pts.write(peers / "small" / "seen.pts", SHAPE * 40 - 0.5 + np.array([0.04 * 40, 0]))
    given = [f"--predictions=p={peers / 'all'}", f"--predictions=p@40={peers / 'small'}"]
    data = folder / "data"
    data.mkdir()
    for name in ("seen.png", "seen_1.pts", "dark.png", "dark.pts"):
        shutil.copy(folder / name, data / name)
    result = run(data, "--resolutions", "40,native", *given)
    assert result.exit_code == 0, result.stderr
    assert ["", "p", "2", "1", "3.00"] in [row[:5] for row in rows(result)]
    assert ["", "p", "2", "1", "1", "4.00", "3.00"] in rows(result)


def test_reduced_photos_are_kept_with_their_truth(folder: Path) -> None:
    kept = folder.with_name("kept")
    assert run(folder, "--resolutions", "40", "--save-reduced", kept).exit_code == 0
    assert sorted(p.name for p in (kept / "40").iterdir()) == ["dark.png", "dark.pts", "seen.png", "seen.pts"]
    with Image.open(kept / "40" / "seen.png") as image:
        assert image.width == pytest.approx(200, abs=3)
    assert np.ptp(pts.read(kept / "40" / "seen.pts")[:, 0]) == pytest.approx(40, abs=0.5)
    # which is annotated data itself
    assert run(kept / "40").exit_code == 0


def test_photos_of_a_table_are_kept_inside_the_folder(folder: Path) -> None:
    face = FakeDetector("m", "cpu").face(SIDE)
    photo = folder / "seen.png"
    before = photo.read_bytes()
    photos = [
        PhotoResult(PhotoInfo(name, SIDE * 5, SIDE * 5), ModelInfo("m", "ibug68", "7"), (face,))
        for name in (str(photo), "../seen.png")
    ]
    kept = folder / "tables" / "kept"
    for number, result in enumerate(photos):
        (folder / "tables").mkdir(exist_ok=True)
        table = folder / "tables" / f"{number}.csv"
        write_run(FORMATS["csv"], table, [result], load_scheme("ibug68"))
        ran = run(table, "--resolutions", "40", "--save-reduced", kept / str(number))
        assert ran.exit_code == 0, ran.stderr
    assert photo.read_bytes() == before
    assert len(list(kept.rglob("seen.png"))) == len(list(kept.rglob("seen.pts"))) == 2


def test_photos_of_one_name_in_two_folders_are_not_mixed(folder: Path) -> None:
    other = folder.with_name("other")
    shutil.copytree(folder, other)
    result = run(folder, other, "--resolutions", "40", "--save-reduced", folder.with_name("kept"))
    assert result.exit_code == 2
    assert "would be kept as one" in result.stderr
    pts.write(folder.with_name("peer") / "seen.pts", SHAPE * SIDE)
    result = run(folder, other, "--predictions", f"p={folder.with_name('peer')}")
    assert result.exit_code == 2
    assert "cannot be told" in result.stderr


def test_stability_of_photos_that_only_a_table_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hrlm.evaluation.stability.SURROUNDINGS", 20)
    face = FakeDetector("m", "cpu").face(SIDE)
    result = PhotoResult(PhotoInfo("../seen.png", SIDE * 5, SIDE * 5), ModelInfo("m", "ibug68", "7"), (face,))
    (folder / "tables").mkdir()
    write_run(FORMATS["csv"], folder / "tables" / "t.csv", [result], load_scheme("ibug68"))
    ran = run(folder / "tables" / "t.csv", "--stability", "--json", folder / "s.json")
    assert ran.exit_code == 0, ran.stderr
    assert json.loads((folder / "s.json").read_text())["stability"]


def test_a_detector_may_have_a_number_for_its_name(folder: Path) -> None:
    pts.write(folder.with_name("peer") / "seen.pts", SHAPE * SIDE - 0.5)
    result = run(folder, "--predictions", f"300={folder.with_name('peer')}")
    assert result.exit_code == 0, result.stderr
    assert ["", "300", "2", "1", "0.00"] in [row[:5] for row in rows(result)]


@pytest.mark.parametrize("given", ["a\nb=x", "nothing", "=x", "p=", "full=x", "p@64=x", "p@40=x"])
def test_predictions_that_make_no_sense_are_wrong_usage(folder: Path, given: str) -> None:
    result = run(folder, "--resolutions", "40", "--predictions", given)
    assert result.exit_code == 2
    assert "--predictions" in result.stderr


def test_a_detector_has_one_place_for_each_width(folder: Path) -> None:
    result = run(folder, "--predictions", "p=x", "--predictions", "p=y")
    assert result.exit_code == 2
    assert "--predictions" in result.stderr


def test_true_boxes_need_no_finder(folder: Path) -> None:
    result = run(folder, "--boxes", "truth")
    assert ["all", "full", "2", "0", "2.00"] in [row[:5] for row in rows(result)]


def test_stability_needs_no_truth(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # the fake's face follows the size of the picture: let it see the whole
    monkeypatch.setattr("hrlm.evaluation.stability.SURROUNDINGS", 20)
    bare = folder / "bare"
    bare.mkdir()
    shutil.copy(folder / "seen.png", bare / "a.png")
    assert run(bare).exit_code == 2
    result = run(bare, "--stability", "--json", folder / "s.json")
    assert result.exit_code == 0, result.stderr
    figures = json.loads((folder / "s.json").read_text())
    assert {r["system"] for r in figures["stability"]} == {"full", "global alone"}
    assert figures["summaries"] == {"all": {}}
    assert run(folder, "--frames").exit_code == 2


def test_templates_of_another_laboratory(folder: Path) -> None:
    (folder / "dark.pts").unlink()
    (folder / "seen_1.pts").unlink()
    template = (SHAPE * SIDE - 0.5)[[36, 45, 8]]
    (folder / "seen.tem").write_text("3\n" + "".join(f"{x} {y}\n" for x, y in template))
    (folder / "map.yaml").write_text("points: 3\nscheme: ibug68\npairs: {0: 36, 1: 45, 2: chin}\n")
    result = run(folder, "--map", folder / "map.yaml")
    assert result.exit_code == 0, result.stderr
    assert ["8", "chin", "1", "2.00", "2.00", "0.00", "–"] in [row[:7] for row in rows(result)]


def test_bad_files_are_named_and_passed_over(folder: Path) -> None:
    (folder / "bad.jpg").write_bytes(b"no photo")
    pts.write(folder / "bad.pts", SHAPE)
    (folder / "plain.pts").write_text("version: 1\nn_points: 2\n{\n1 1\n}\n")
    result = run(folder)
    assert result.exit_code == 1
    assert rows(result)[0][:3] == ["all", "full", "2"]
    lines = [line for line in result.stderr.splitlines() if "without ground truth" not in line]
    assert len(lines) == 2
    assert "bad.jpg" in lines[0]
    assert "plain.pts" in lines[1]


@pytest.mark.parametrize("resolutions", ["12,x", "-64", "", ",", "4", "64.5"])
def test_widths_that_are_none_are_wrong_usage(folder: Path, resolutions: str) -> None:
    result = run(folder, "--resolutions", resolutions)
    assert result.exit_code == 2
    assert "--resolutions" in result.stderr


def test_nothing_to_measure_is_wrong_usage(folder: Path) -> None:
    empty = folder / "empty"
    empty.mkdir()
    for paths, said in ((empty, "no photo with a .pts"), (folder / "absent", "no such file or folder")):
        result = run(paths)
        assert result.exit_code == 2
        assert said in result.stderr
    (folder / "dark.pts").unlink()
    (folder / "seen_1.pts").write_text("nothing")
    result = run(folder)
    assert result.exit_code == 2
    assert "nothing to measure" in result.stderr


def test_an_interrupt_has_its_exit_code(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> list[list[Face]]:
        raise KeyboardInterrupt

    monkeypatch.setattr(FakeDetector, "detect_batch", interrupted)
    assert run(folder).exit_code == 130


@pytest.mark.skipif(not WEIGHTS.exists(), reason="the shipped weights are not here")
def test_real_photos_are_measured(shared: Path) -> None:
    photos = sorted((shared / "helen_dev").glob("*.jpg"))
    result = run(photos[0], photos[40], "--resolutions", "100", "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    table = rows(result)
    assert table[0][:4] == ["all", "full", "2", "0"]
    assert table[1][:4] == ["", "global alone", "2", "0"]
    assert 0.5 < float(table[0][4]) < 8
    assert 0.5 < float(table[1][4]) < 8
