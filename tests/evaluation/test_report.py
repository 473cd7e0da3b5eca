import io
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from hrlm.evaluation.measure import Measured, Measurement
from hrlm.evaluation.report import Report, resolution_rows, summarise, width_groups
from hrlm.evaluation.speed import Speed
from hrlm.schemes import load_scheme

SCHEME = load_scheme("ibug68")


def flat(error: float) -> np.ndarray:
    return np.full(68, error)


def measured(name: str, width: float, full: float | None, alone: float | None) -> Measured:
    errors = {s: None if e is None else flat(e) for s, e in (("full", full), ("alone", alone))}
    offsets = {s: None if e is None else np.stack([flat(e), flat(0)], 1) for s, e in (("full", full), ("alone", alone))}
    normals = np.stack([flat(1), flat(0)], 1)
    return Measured(f"{name}.jpg", f"{name}.pts", width, errors, offsets, normals)


def test_missed_faces_fail_but_have_no_error() -> None:
    eyes_only = np.zeros(68)
    eyes_only[36:48] = 0.34
    s = summarise([flat(0.02), None, flat(0.09), eyes_only], SCHEME)
    eyes = 0.34 * 12 / 68
    assert (s.faces, s.missed) == (4, 1)
    assert s.nme == pytest.approx((0.02 + 0.09 + eyes) / 3)
    assert s.subsets["jaw"] == pytest.approx((0.02 + 0.09) / 3)
    assert s.subsets["eyes"] == pytest.approx((0.02 + 0.09 + 0.34) / 3)
    assert s.median == pytest.approx(eyes)
    assert s.percentile_90 == pytest.approx(np.percentile([0.02, 0.09, eyes], 90))
    assert s.auc_8 == pytest.approx((0.75 + 1 - eyes / 0.08) / 4)
    assert (s.failure_8, s.failure_10) == (0.5, 0.25)


def test_where_all_are_missed_there_is_no_error() -> None:
    s = summarise([None, None], SCHEME)
    assert (s.missed, s.failure_8, s.auc_8) == (2, 1, 0)
    assert math.isnan(s.nme)
    assert math.isnan(s.subsets["eyes"])


def test_faces_are_grouped_by_width() -> None:
    widths = [100, 255.9, 256, 700, 1000, 2000]
    groups = width_groups([measured(str(w), w, 0, 0) for w in widths])
    assert {label: [f.width for f in faces] for label, faces in groups.items()} == {
        "< 256 px": [100, 255.9],
        "256 to 512 px": [256],
        "512 to 1000 px": [700],
        ">= 1000 px": [1000, 2000],
    }


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


def report(faces: Sequence[Measured]) -> Report:
    measurement = Measurement(list(faces), {64: list(faces[:1])}, {"decode": [0.02, 0.04]}, ["x.jpg: damaged"])
    speed = Speed(photos=4, megapixels=12.5, detect_seconds=2.0, decode_seconds=0.5)
    return Report(measurement, SCHEME, [64, None], speed, {"data": "da[ta]", "model": "m", "version": "1"})


def test_data_is_strict_json_with_everything(tmp_path: Path) -> None:
    path = tmp_path / "new" / "figures.json"
    report([measured("a", 300, 0.025, None), measured("b", 300, 0.035, None)]).write(path)
    data = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert data["schema"] == "hrlm.benchmark/1"
    assert data["summaries"]["256 to 512 px"]["full"]["nme"] == pytest.approx(0.03)
    assert data["summaries"]["all"]["alone"]["nme"] is None
    assert data["resolutions"][0]["native_nme"] == pytest.approx(0.025)
    # the errors lie across the contours; their mean is a convention's
    split = data["resolutions"][0]["splits"]["eyes"]
    assert split["total"] == pytest.approx(split["across"])
    assert split["along"] == 0
    assert data["speed"]["ratio"] == 4
    assert data["median_seconds"] == {"decode": pytest.approx(0.03)}
    assert [len(f["errors"]["full"]) for f in data["faces"]] == [68, 68]
    assert data["reduced_faces"]["64"][0]["errors"]["alone"] is None
    assert data["problems"] == ["x.jpg: damaged"]


def test_tables_show_percent_and_whole_titles() -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    for table in report([measured("a", 300, 0.0257, None)]).tables():
        console.print(table)
    text = console.export_text()
    assert "m 1 on da[ta]" in text
    rows = [[cell.strip() for cell in line.strip("│\n").split("│")] for line in text.splitlines() if "│" in line]
    assert ["all", "full", "1", "0", "2.57", "2.57", "2.57", "67.88", "0.00", "0.00"] in rows
    assert ["", "alone", "1", "1", "–", "–", "–", "0.00", "100.00", "100.00"] in rows
    assert ["64 px", "full", "1", "0", "1", "2.57", "2.57"] in rows
    assert ["detect", "2.00 photos/s"] in rows
    assert ["detect time over decode time", "4.00"] in rows
