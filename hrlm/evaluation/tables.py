"""A report's figures as tables of text, for the terminal and for the page alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from rich.markup import escape
from rich.table import Table

from hrlm.evaluation.calibration import Calibration
from hrlm.evaluation.figures import LIMITS, Summary
from hrlm.evaluation.metrics import mean
from hrlm.evaluation.report import Report
from hrlm.evaluation.speed import Timing

T = TypeVar("T")
# with so few landmarks, each has its row on the terminal too
FEW_LANDMARKS = 20


@dataclass
class Sheet:
    """A table: the first `words` columns hold words, the others numbers; a row with a first cell begins a section.

    Args:
        long: of more rows than a terminal is read for.
    """

    title: str
    caption: str
    columns: Sequence[str]
    words: int = 2
    long: bool = False
    rows: list[Sequence[str]] = field(default_factory=list)


def printable(text: str) -> str:
    """`text` with what is no character to print (line ends, broken bytes of a file's name) as Python escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def sheets(report: Report) -> list[Sheet]:
    """All tables of a report: errors and rates in %, missed faces counted as failures."""
    made: list[Sheet] = []
    if report.systems:
        made += [_overall(report), _normalised(report)]
        if report.subset_sizes:
            made.append(_subsets(report))
        if any(row.width is not None for row in report.rows):
            made.append(_resolutions(report))
        if report.scheme.contours:
            made.append(_contours(report))
        made += [_landmarks(report, system) for system in report.systems]
    if report.calibrations:
        made.append(_calibration(report))
    if report.stability:
        made.append(_stability(report))
    if report.timing:
        made += [_speed(report.timing), _memory(report.timing)]
    return [sheet for sheet in made if sheet.rows]


def for_terminal(sheet: Sheet) -> Table:
    """The table as rich draws it."""
    table = Table(
        title=escape(sheet.title), caption=escape(sheet.caption), title_justify="left", caption_justify="left"
    )
    for i, column in enumerate(sheet.columns):
        table.add_column(escape(column), justify="left" if i < sheet.words else "right", no_wrap=True)
    grouped = not all(row[0] for row in sheet.rows)
    for row in sheet.rows:
        if grouped and row[0]:
            table.add_section()
        table.add_row(*map(escape, row))
    return table


def percent(value: float) -> str:
    """A fraction in % with two decimals; a dash where nothing tells."""
    return number(100 * value)


def number(value: float) -> str:
    """With two decimals; a dash where nothing tells."""
    # + 0.0 turns -0.0 into 0.0
    return "–" if math.isnan(value) else f"{round(value, 2) + 0.0:.2f}"


def unit_of(report: Report) -> str:
    """What errors are told in."""
    return " and ".join(report.scheme.landmarks[i] for i in report.scheme.normaliser)


def _by_group(groups: Mapping[str, Mapping[str, T]], cells: Callable[[T], Sequence[str]]) -> list[Sequence[str]]:
    """Rows of cells by group and system; the group's name only before its first system."""
    return [
        ["" if i else group, system, *cells(value)]
        for group, systems in groups.items()
        for i, (system, value) in enumerate(systems.items())
    ]


def _overall(report: Report) -> Sheet:
    about, most = report.about, max(s.landmarks for s in report.summaries["all"].values())
    fewer = {name: s.landmarks for name, s in report.summaries["all"].items() if 0 < s.landmarks < most}
    told = [f" {name} has {n} of the {most} landmarks: its errors are over these alone." for name, n in fewer.items()]
    sheet = Sheet(
        printable(f"{about['model']} {about['version']} on {about['data']}"),
        f"Errors in % of the distance between {unit_of(report)}, over the found faces. AUC and failure rates over all "
        f"faces, missed ones as failures.{''.join(told)}",
        [
            *("face width", "system", "faces", "missed", "NME", "median", "90th"),
            *(f"AUC@{limit}" for limit in LIMITS),
            *(f"> {limit} %" for limit in LIMITS),
        ],
    )

    def cells(v: Summary) -> list[str]:
        parts = (v.nme, v.median, v.percentile_90, *v.auc.values(), *v.failure.values())
        return [str(v.faces), str(v.missed), *map(percent, parts)]

    sheet.rows = _by_group(report.summaries, cells)
    return sheet


def _normalised(report: Report) -> Sheet:
    sheet = Sheet(
        "By normaliser",
        "NME in % of the inter-ocular distance, of that of the eyes' middles and of the diagonal of the true "
        "landmarks' box; mean error in photo pixels.",
        ["face width", "system", "inter-ocular", "inter-pupil", "box diagonal", "pixels"],
    )
    sheet.rows = _by_group(
        report.summaries, lambda v: [*map(percent, (v.nme, v.nme_pupil, v.nme_box)), number(v.pixels)]
    )
    return sheet


def _subsets(report: Report) -> Sheet:
    sizes = report.subset_sizes
    heads = [f"{name}-{size}" for name, size in sizes.items()]
    sheet = Sheet("By landmarks", "NME in %, over the found faces.", ["face width", "system", *heads])
    sheet.rows = _by_group(report.summaries, lambda v: [percent(v.subsets[name]) for name in sizes])
    return sheet


def _resolutions(report: Report) -> Sheet:
    sheet = Sheet(
        "By resolution: photos reduced until the face is so wide",
        "Only faces that were wider than that; NME in % over those found both reduced and native. Compare along a row "
        "and between systems: other rows hold other faces.",
        ["face width", "system", "faces", "missed", "found at both", "NME reduced", "NME native"],
    )
    last: int | str | None = ""
    for r in report.rows:
        label = "" if r.width == last else width_name(r.width)
        counts = (str(r.summary.faces), str(r.summary.missed), str(r.both))
        sheet.rows.append([label, r.system, *counts, percent(r.nme), percent(r.native_nme)])
        last = r.width
    return sheet


def width_name(width: int | None) -> str:
    """A face width for people."""
    return "native" if width is None else f"{width} px"


def _contours(report: Report) -> Sheet:
    every = [r.splits for r in report.rows]
    names = [n for n in (every[0] if every else ()) if any(not math.isnan(splits[n].across) for splits in every)]
    sheet = Sheet(
        "Across and along contours",
        "Errors in % left after each landmark's mean offset is taken off: labellers' conventions differ by such.",
        ["face width", "system", "error", *names],
        words=3,
    )
    last: int | str | None = ""
    for r in report.rows if names else ():
        for part in ("total", "across", "along"):
            begins = part == "total"
            label = "" if r.width == last else width_name(r.width)
            cells = [percent(getattr(r.splits[n], part)) for n in names]
            sheet.rows.append([label, r.system if begins else "", part, *cells])
            last = r.width
    return sheet


def _landmarks(report: Report, system: str) -> Sheet:
    rows = report.landmarks[system]
    sheet = Sheet(
        f"By landmark: {system}",
        "In % of the inter-ocular distance. Systematic: the mean offset, to the right and down in the upright face; "
        "random: the mean distance from it, and its parts across and along the contour. Pixels: mean error.",
        ["", "landmark", "faces", "error", "right", "down", "random", "across", "along", "pixels"],
        long=len(rows) > FEW_LANDMARKS,
    )
    for r in rows:
        parts = (r.nme, *r.offset, r.random.total, r.random.across, r.random.along)
        sheet.rows.append([str(r.index), r.name, str(r.faces), *map(percent, parts), number(r.pixels)])
    if rows:
        error, left = (float(mean(np.array(v), 0)) for v in ([r.nme for r in rows], [r.random.total for r in rows]))
        sheet.rows.append(["mean", "", "", percent(error), "", "", percent(left), "", "", ""])
    return sheet


def _calibration(report: Report) -> Sheet:
    sheet = Sheet(
        "Calibration of the stated deviation",
        "Share of landmarks in %, whose error lies within the region that the stated deviation gives so much "
        "confidence. Expected calibration error: mean difference of the two, 0 to 1.",
        ["face width", "system", "landmarks", "50 %", "80 %", "95 %", "expected calibration error"],
    )

    def cells(c: Calibration) -> list[str]:
        return [str(c.landmarks), *(percent(c.coverage[i]) for i in (9, 15, 18)), f"{c.expected_error:.3f}"]

    sheet.rows = _by_group(report.calibrations, cells)
    return sheet


def _stability(report: Report) -> Sheet:
    sheet = Sheet(
        "Stability: how far a system's own landmarks move",
        "In photo pixels and in % of the inter-ocular distance, over all landmarks of the found faces.",
        ["face width", "change", "system", "faces", "lost", "median px", "mean px", "90th px", "median %", "mean %"],
        words=3,
    )
    group = change = ""
    for r in report.stability:
        labels = ["" if r.group == group else r.group, "" if (r.group, r.change) == (group, change) else r.change]
        counts = (str(r.faces), str(r.missed))
        pixels = map(number, (r.median_pixels, r.mean_pixels, r.percentile_90_pixels))
        sheet.rows.append([*labels, r.system, *counts, *pixels, percent(r.median), percent(r.mean)])
        group, change = r.group, r.change
    return sheet


def _speed(timing: Timing) -> Sheet:
    speed = timing.speed
    sheet = Sheet(
        "Speed", "detect reads ahead, finds landmarks and writes JSON; Pillow only decodes.", ["what", "how much"], 1
    )
    sheet.rows = [
        ["photos", f"{speed.photos}, {speed.megapixels:.1f} megapixels in the mean"],
        ["detect", f"{speed.detect_rate:.2f} photos/s"],
        ["Pillow decode", f"{speed.decode_rate:.2f} photos/s"],
        ["detect time over Pillow's decode time", f"{speed.ratio:.2f}"],
    ]
    medians = {stage: float(np.median(seconds)) for stage, seconds in timing.stages.items() if len(seconds)}
    own = sum(v for stage, v in medians.items() if stage != "decode, Pillow")
    for stage, seconds in medians.items():
        sheet.rows.append([f"{stage}, one photo at a time", f"{1000 * seconds:.1f} ms, median"])
    if medians:
        sheet.rows.append(["all of ours, one photo at a time", f"{1000 * own:.0f} ms"])
        sheet.rows.append(["over our own decoding", f"{own / medians['decode']:.2f}"])
    return sheet


def _memory(timing: Timing) -> Sheet:
    sheet = Sheet(
        "Peak memory of a process that detects on one photo",
        "The photo enlarged or reduced; Python, the networks and the decoder included. MB of 10⁶ bytes.",
        ["megapixels", "picture", "peak", "beyond the picture", "GPU peak"],
        words=1,
    )
    for m in timing.memory:
        known = [m.peak, None if m.peak is None else m.peak - m.picture, m.gpu_peak]
        sheet.rows.append(
            [f"{m.megapixels:.0f}", f"{m.picture:.0f}", *("–" if v is None else f"{v:.0f}" for v in known)]
        )
    return sheet
