import io
import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from hrlm.errors import PhotoError
from hrlm.evaluation.figures import errors_of, landmark_figures, resolution_rows, summarise, width_groups
from hrlm.evaluation.measure import Measured, Measurement
from hrlm.evaluation.report import Report
from hrlm.evaluation.speed import Memory, Speed, Timing
from hrlm.evaluation.stability import StabilityRow
from hrlm.evaluation.tables import for_terminal, sheets
from hrlm.photos import Photo
from hrlm.schemes import load_scheme

SCHEME = load_scheme("ibug68")
TRUTH = np.random.default_rng(2).uniform(10, 90, (68, 2))
# an inter-ocular distance of 100
TRUTH[[36, 45]] = [[0.0, 50.0], [100.0, 50.0]]
UP = np.array([0.0, -1.0])


def measured(name: str, width: float, full: float | None, alone: float | None) -> Measured:
    """A face whose points are off by fractions of the inter-ocular distance, upwards."""
    predicted = {s: None if e is None else TRUTH + 100 * e * UP for s, e in (("full", full), ("alone", alone))}
    deviation = {s: np.full(68, 1.0) for s, p in predicted.items() if p is not None}
    return Measured(f"{name}.jpg", f"{name}.pts", width, TRUTH, predicted, deviation)


def test_missed_faces_fail_but_have_no_error() -> None:
    eyes_only = measured("c", 300, 0, None)
    points = eyes_only.predicted["full"]
    assert points is not None
    points[36:48] += 34 * UP
    faces = [measured("a", 300, 0.02, None), measured("m", 300, None, None), measured("b", 300, 0.09, None), eyes_only]
    s = summarise(errors_of(faces, "full", SCHEME), SCHEME)
    eyes = 0.34 * 12 / 68
    assert (s.faces, s.missed) == (4, 1)
    assert s.nme == pytest.approx((0.02 + 0.09 + eyes) / 3)
    assert s.pixels == pytest.approx(100 * s.nme)
    pupils = np.linalg.norm(TRUTH[36:42].mean(0) - TRUTH[42:48].mean(0))
    assert s.nme_pupil == pytest.approx(s.pixels / pupils)
    assert s.nme_box == pytest.approx(s.pixels / np.linalg.norm(np.ptp(TRUTH, 0)))
    assert s.subsets["jaw"] == pytest.approx((0.02 + 0.09) / 3)
    assert s.subsets["eyes"] == pytest.approx((0.02 + 0.09 + 0.34) / 3)
    assert s.median == pytest.approx(eyes)
    assert s.percentile_90 == pytest.approx(np.percentile([0.02, 0.09, eyes], 90))
    assert s.auc[8] == pytest.approx((0.75 + 1 - eyes / 0.08) / 4)
    assert s.auc[5] == pytest.approx(0.6 / 4)
    assert s.failure == {5: 0.75, 8: 0.5, 10: 0.25}


def test_where_all_are_missed_there_is_no_error() -> None:
    s = summarise(errors_of([measured("a", 300, None, 0)] * 2, "full", SCHEME), SCHEME)
    assert (s.missed, s.failure[8], s.auc[8]) == (2, 1, 0)
    assert math.isnan(s.nme)
    assert math.isnan(s.subsets["eyes"])


def test_landmarks_have_a_systematic_and_a_random_part() -> None:
    faces = [measured("a", 300, 0.02, None), measured("b", 300, 0.04, None), measured("c", 300, None, None)]
    rows = landmark_figures(errors_of(faces, "full", SCHEME), SCHEME)
    assert [r.index for r in rows] == list(range(68))
    assert rows[30].name == "nose_tip"
    assert (rows[30].faces, rows[30].nme, rows[30].pixels) == (2, pytest.approx(0.03), pytest.approx(3))
    assert rows[30].offset == pytest.approx((0, -0.03))
    # of two faces, whose mean lies between them
    assert rows[30].random.total == pytest.approx(0.01 * math.sqrt(2))


def test_landmarks_without_truth_have_no_row() -> None:
    points = TRUTH.copy()
    points[1:30] = np.nan
    face = replace(measured("a", 300, 0.02, None), points=points)
    rows = landmark_figures(errors_of([face], "full", SCHEME), SCHEME)
    assert [r.index for r in rows] == [0, *range(30, 68)]
    assert report([face]).subset_sizes == {"inner": 38, "jaw": 1, "nose": 6, "eyes": 12, "mouth": 20}


def test_faces_are_grouped_by_width() -> None:
    widths = np.array([100, 255.9, 256, 700, 1000, 1024, 2000])
    assert {label: widths[mask].tolist() for label, mask in width_groups(widths).items()} == {
        "all": widths.tolist(),
        "< 256 px": [100, 255.9],
        "256 to 512 px": [256],
        "512 to 1024 px": [700, 1000],
        ">= 1024 px": [1024, 2000],
    }
    assert list(width_groups(widths[:1])) == ["all", "< 256 px"]


def test_resolutions_compare_the_same_faces() -> None:
    measurement = Measurement(
        native=[measured("a", 500, 0.02, 0.03), measured("b", 500, 0.04, 0.05), measured("c", 90, 0.5, 0.5)],
        reduced={128: [measured("a", 500, 0.03, 0.06), measured("b", 500, None, 0.08)]},
    )
    full, alone, native, _ = resolution_rows(measurement, [128, None], SCHEME)
    assert (full.width, full.system, full.summary.faces, full.summary.missed, full.both) == (128, "full", 2, 1, 1)
    assert (full.nme, full.native_nme) == (pytest.approx(0.03), pytest.approx(0.02))
    assert (alone.nme, alone.native_nme) == (pytest.approx(0.07), pytest.approx(0.04))
    assert (native.width, native.both) == (None, 3)
    assert native.nme == native.native_nme == pytest.approx(0.56 / 3)


def test_a_peer_without_files_at_a_width_has_no_row_there() -> None:
    peerless = measured("a", 500, 0.03, 0.06)
    peerless = replace(peerless, predicted={"full": peerless.predicted["full"]})
    rows = resolution_rows(Measurement([measured("a", 500, 0.02, 0.03)], {128: [peerless]}), [128, None], SCHEME)
    assert [(r.width, r.system) for r in rows] == [(128, "full"), (None, "full"), (None, "alone")]


def report(faces: Sequence[Measured]) -> Report:
    measurement = Measurement(list(faces), {64: list(faces[:1])})
    speed = Speed(photos=4, megapixels=12.5, detect_seconds=2.0, decode_seconds=0.5)
    timing = Timing(speed, {"decode": [0.02, 0.04], "find": [0.01, 0.01]}, [Memory(12, 36, 500, None)])
    about = {"data": "da[ta] <b>", "model": "m", "version": "1"}
    moved = [StabilityRow("all", "turn 3°", "full", 2, 0, 0.5, 0.7, 1.5, 0.004, 0.006)]
    return Report(SCHEME, about, measurement, [64, None], True, moved, timing, ["<x>.jpg: damaged"])


def test_data_is_strict_json_with_everything(tmp_path: Path) -> None:
    path = tmp_path / "new" / "figures.json"
    report([measured("a", 300, 0.025, None), measured("b", 300, 0.035, None)]).write(path)
    data = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert data["schema"] == "hrlm.benchmark/2"
    assert data["summaries"]["256 to 512 px"]["full"]["nme"] == pytest.approx(0.03)
    assert data["summaries"]["all"]["alone"]["nme"] is None
    assert data["summaries"]["all"]["full"]["failure"] == {"5": 0, "8": 0, "10": 0}
    assert data["resolutions"][0]["native_nme"] == pytest.approx(0.025)
    # two faces, half a percent from their mean
    assert data["resolutions"][2]["splits"]["eyes"]["total"] == pytest.approx(0.005 * math.sqrt(2))
    assert data["landmarks"]["full"][8]["name"] == "chin"
    assert data["calibration"]["groups"]["all"]["full"]["landmarks"] == 2 * 68
    assert "alone" not in data["calibration"]["groups"]["all"]
    assert data["stability"][0]["median_pixels"] == 0.5
    assert data["speed"]["ratio"] == 4
    assert data["median_seconds"] == {"decode": pytest.approx(0.03), "find": 0.01}
    assert data["memory"][0]["gpu_peak"] is None
    assert [len(f["errors"]["full"]) for f in data["faces"]] == [68, 68]
    assert data["faces"][0]["errors"]["alone"] is None
    assert data["reduced_faces"]["64"][0]["nme"] == {"full": pytest.approx(0.025), "alone": None}
    assert data["problems"] == ["<x>.jpg: damaged"]


def test_tables_show_percent_and_whole_titles() -> None:
    console = Console(width=150, record=True, file=io.StringIO())
    for sheet in sheets(report([measured("a", 300, 0.0257, None)])):
        console.print(for_terminal(sheet))
    text = console.export_text()
    assert "m 1 on da[ta] <b>" in text
    rows = [[cell.strip() for cell in line.strip("│\n").split("│")] for line in text.splitlines() if "│" in line]
    rates = ["48.60", "67.88", "74.30", "0.00", "0.00", "0.00"]
    assert ["all", "full", "1", "0", "2.57", "2.57", "2.57", *rates] in rows
    assert ["", "alone", "1", "1", "–", "–", "–", "0.00", "0.00", "0.00", "100.00", "100.00", "100.00"] in rows
    assert ["64 px", "full", "1", "0", "1", "2.57", "2.57"] in rows
    assert ["8", "chin", "1", "2.57", "0.00", "-2.57", "–"] in [row[:7] for row in rows]
    assert ["all", "turn 3°", "full", "2", "0", "0.50", "0.70", "1.50", "0.40", "0.60"] in rows
    assert ["detect", "2.00 photos/s"] in rows
    assert ["detect time over Pillow's decode time", "4.00"] in rows
    assert ["12", "36", "500", "464", "–"] in rows


def test_without_truth_only_what_was_measured_is_shown() -> None:
    whole = report([])
    only = Report(SCHEME, whole.about, Measurement(), stability=whole.stability)
    assert [s.title.split(":")[0] for s in sheets(only)] == ["Stability"]
    json.dumps(only.as_data(), allow_nan=False)


def opened(path: str) -> Photo:
    if path == "gone.jpg":
        raise PhotoError("gone.jpg: gone")
    return Photo.from_array(np.full((120, 120, 3), 90, np.uint8), path)


def test_the_page_needs_no_other_file_and_escapes_names(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from hrlm.evaluation.page import write_report

    names = ("<script>$x_y", "gone", "missed")
    faces = [measured(n, 300, 0.02 + i / 100 if n != "missed" else None, 0.04) for i, n in enumerate(names)]
    write_report(report(faces), tmp_path, opened)
    files = {p.name for p in tmp_path.iterdir()}
    pictures = {"ced", "resolutions", "regions", "landmarks", "calibration", "stability", "memory", "worst"}
    assert files == {"report.json", "report.html", *(f"{p}.png" for p in pictures)}
    html = (tmp_path / "report.html").read_text()
    assert html.count('src="data:image/png;base64,') == len(pictures)
    assert not re.search(r"<script|(src|href)=\"(?!data:)|<b>|<x>", html)
    assert "da[ta] &lt;b&gt;" in html
    assert "&lt;x&gt;.jpg: damaged" in html


def test_a_report_without_truth_has_its_page_too(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from hrlm.evaluation.page import write_report

    whole = report([])
    write_report(Report(SCHEME, whole.about, Measurement(), stability=whole.stability), tmp_path, opened)
    assert {p.name for p in tmp_path.iterdir()} == {"report.json", "report.html", "stability.png"}
