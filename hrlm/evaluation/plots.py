"""Pictures of a report as they would stand in a paper, in colours that the colour-blind tell apart."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hrlm.errors import DependencyError
from hrlm.evaluation.calibration import LEVELS
from hrlm.evaluation.metrics import ced, mean
from hrlm.evaluation.report import Report
from hrlm.evaluation.stability import StabilityRow
from hrlm.evaluation.tables import unit_of, width_name

try:
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter, NullLocator
except ImportError as e:
    raise DependencyError("reports need matplotlib: pip install 'hrlm[report]', or leave out --out") from e

DPI = 200
WIDTH = 6.4
# M. Okabe and K. Ito, Color Universal Design, 2008
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (3, 1)), (0, (1, 1)))
STYLE: Any = {
    "font.size": 8.5,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.5,
    "figure.constrained_layout.use": True,
    # file names are no formulas
    "text.parse_math": False,
}


def pictures(report: Report) -> dict[str, tuple[str, bytes]]:
    """By file name without suffix: a caption and the PNG, of everything that was measured."""
    with mpl.rc_context(STYLE):
        made: dict[str, tuple[str, Figure]] = {}
        if report.systems:
            made["ced"] = _ced(report)
            if any(r.width is not None for r in report.rows):
                made["resolutions"] = _resolutions(report)
            if report.subset_sizes:
                made["regions"] = _regions(report)
            made["landmarks"] = _landmarks(report)
        if report.calibrations:
            made["calibration"] = _calibration(report)
        if report.stability:
            made["stability"] = _stability(report.stability)
        if report.timing and any(m.peak is not None for m in report.timing.memory):
            made["memory"] = _memory(report)
        return {name: (caption, png(figure)) for name, (caption, figure) in made.items()}


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI, metadata={"Software": "hrlm"})
    return file.getvalue()


def _look(number: int) -> dict[str, Any]:
    """Colour, marker and dashes of the system of that number."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number % len(DASHES)],
    }


def _ced(report: Report) -> tuple[str, Figure]:
    figure = Figure((WIDTH * 0.72, 3.0))
    axes = figure.subplots()
    limits = np.linspace(0, 0.1, 1001)
    for i, (system, errors) in enumerate(report.errors.items()):
        share = ced(errors.nme, limits)
        label = f"{system} (AUC@8 {100 * report.summaries['all'][system].auc[8]:.1f})"
        axes.plot(100 * limits, 100 * share, label=label, **{**_look(i), "marker": None})
    axes.set(xlim=(0, 10), ylim=(0, 101), xlabel="NME in % of the inter-ocular distance", ylabel="faces, %")
    axes.legend(loc="lower right")
    return f"Cumulative error distribution; errors in % of the distance between {unit_of(report)}.", figure


def _resolutions(report: Report) -> tuple[str, Figure]:
    widths = sorted({r.width for r in report.rows if r.width is not None})
    ticks = [*widths, *([None] if any(r.width is None for r in report.rows) else [])]
    figure = Figure((WIDTH, 2.8))
    left, right = figure.subplots(1, 2)
    for i, system in enumerate(report.systems):
        rows = {r.width: r for r in report.rows if r.system == system}
        at = [w for w in ticks if w in rows]
        places = [ticks.index(w) for w in at]
        left.plot(places, [100 * rows[w].nme for w in at], label=system, **_look(i))
        right.plot(places, [100 * rows[w].splits["all"].across for w in at], label=system, **_look(i))
    for axes, what in ((left, "NME, %"), (right, "error across contours, %")):
        faces = {r.width: r.summary.faces for r in report.rows}
        labels = [f"{width_name(w).removesuffix(' px')}\n({faces[w]})" for w in ticks]
        axes.set(xlabel="face width, pixels (faces)", ylabel=what, xticks=range(len(ticks)), xticklabels=labels)
        axes.set_ylim(0, axes.get_ylim()[1] * 1.08)
    left.legend(loc="lower left")
    caption = (
        "Error against resolution: photos reduced until the face is so wide, in % of the inter-ocular distance. "
        "Each point holds the faces that were wider than that; those across contours are free of constant offsets."
    )
    return caption, figure


def _regions(report: Report) -> tuple[str, Figure]:
    names = list(report.subset_sizes)
    systems = report.systems
    figure = Figure((WIDTH * 0.8, 0.5 + len(names) * (0.16 + 0.12 * len(systems))))
    axes = figure.subplots()
    height = 0.8 / len(systems)
    for i, system in enumerate(systems):
        values = [100 * report.summaries["all"][system].subsets[name] for name in names]
        places = np.arange(len(names)) + (i - (len(systems) - 1) / 2) * height
        bars = axes.barh(places, values, height * 0.92, color=COLOURS[i % len(COLOURS)], label=system)
        axes.bar_label(bars, fmt="%.2f", padding=2, fontsize=7)
    axes.set_yticks(range(len(names)), [f"{name} ({report.subset_sizes[name]})" for name in names])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.1)
    axes.set_xlabel("NME, %")
    axes.legend(loc="best")
    return "Error by region, in % of the inter-ocular distance; in brackets the number of landmarks.", figure


def _landmarks(report: Report) -> tuple[str, Figure]:
    """The mean face, each landmark as large and dark as its error."""
    scheme = report.scheme
    truth = next(iter(report.errors.values())).truth
    frames = np.array([(p - p[list(scheme.normaliser)].mean(0)) @ scheme.face_frame(p) for p in truth])
    face = mean(frames, 0)
    worst = max((100 * r.nme for rows in report.landmarks.values() for r in rows), default=1.0)
    systems = report.systems[:3]
    figure = Figure((1.0 + 2.2 * len(systems), 2.9))
    row = figure.subplots(1, len(systems), squeeze=False)[0]
    shown: Any = None
    for axes, system in zip(row, systems, strict=True):
        _contour_lines(axes, face, report)
        error = np.full(len(scheme), np.nan)
        for r in report.landmarks[system]:
            error[r.index] = 100 * r.nme
        shown = axes.scatter(*face.T, s=4 + 60 * error / worst, c=error, cmap="cividis_r", vmin=0, vmax=worst, zorder=3)
        axes.set(title=system, aspect="equal")
        axes.invert_yaxis()
        axes.set_axis_off()
    figure.colorbar(shown, ax=list(row), label="error, %", shrink=0.7)
    return "Error of each landmark, in % of the inter-ocular distance, on the mean face.", figure


def _contour_lines(axes: Axes, face: np.ndarray, report: Report) -> None:
    for contour in report.scheme.contours:
        line = [*contour.landmarks, contour.landmarks[0]] if contour.closed else contour.landmarks
        axes.plot(*face[list(line)].T, color="#bbbbbb", linewidth=0.8, zorder=1)


def _calibration(report: Report) -> tuple[str, Figure]:
    figure = Figure((WIDTH, 3.1))
    left, right = figure.subplots(1, 2)
    systems = report.calibrations["all"]
    left.plot([0, 100], [0, 100], color="#999999", linewidth=0.8)
    for i, (system, c) in enumerate(systems.items()):
        label = f"{system} (error {c.expected_error:.3f})"
        left.plot(100 * LEVELS, 100 * np.array(c.coverage), label=label, **_look(i), markevery=3)
        right.plot(100 * np.array(c.stated), 100 * np.array(c.real), label=system, **_look(i))
    left.set(xlabel="stated confidence, %", ylabel="landmarks within, %", xlim=(0, 100), ylim=(0, 100), aspect="equal")
    left.legend(loc="upper left", fontsize=7.5)
    both = np.concatenate([100 * np.array(v) for c in systems.values() for v in (c.stated, c.real)])
    ends = np.array([both[both > 0].min() * 0.8, both.max() * 1.25])
    right.plot(ends, ends, color="#999999", linewidth=0.8)
    right.set(xscale="log", yscale="log", xlim=ends, ylim=ends, aspect="equal")
    right.set(xlabel="stated deviation, % of inter-ocular", ylabel="real deviation, % of inter-ocular")
    ticks = [t for t in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if ends[0] <= t <= ends[1]]
    for axis in (right.xaxis, right.yaxis):
        axis.set_ticks(ticks, [f"{t:g}" for t in ticks])
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())
    caption = (
        "Calibration. Left: share of landmarks whose error lies within the region of a stated confidence. Right: real "
        "against stated deviation per axis, in ten groups of like stated deviation. The grey lines are perfect."
    )
    return caption, figure


def _stability(rows: Sequence[StabilityRow]) -> tuple[str, Figure]:
    rows = [r for r in rows if r.group == "all"]
    names = list(dict.fromkeys(r.change for r in rows))
    systems = list(dict.fromkeys(r.system for r in rows))
    figure = Figure((WIDTH, 2.8))
    axes = figure.subplots()
    width = 0.8 / len(systems)
    for i, system in enumerate(systems):
        values: Mapping[str, StabilityRow] = {r.change: r for r in rows if r.system == system}
        places = [names.index(n) + (i - (len(systems) - 1) / 2) * width for n in values]
        heights = [r.median_pixels for r in values.values()]
        bars = axes.bar(places, heights, width * 0.92, color=COLOURS[i % len(COLOURS)], label=system)
        axes.bar_label(bars, fmt="%.2f", padding=1, fontsize=7)
    axes.set_xticks(range(len(names)), names)
    axes.grid(axis="x", visible=False)
    axes.margins(y=0.1)
    axes.set_ylabel("median movement, photo pixels")
    axes.legend(loc="best")
    return "Stability: how far a system's own landmarks move when the picture changes and the face does not.", figure


def _memory(report: Report) -> tuple[str, Figure]:
    memory = report.timing.memory if report.timing else []
    known = [(m.megapixels, m.picture, m.peak) for m in memory if m.peak is not None]
    sizes, pictures, peaks = np.array(known).T
    figure = Figure((WIDTH * 0.72, 2.8))
    axes = figure.subplots()
    for i, (label, values) in enumerate(
        {"whole process": peaks, "beyond the picture": peaks - pictures, "the picture": pictures}.items()
    ):
        axes.plot(sizes, values, label=label, **_look(i))
    axes.set(xlabel="photo, megapixels", ylabel="peak memory, MB", xlim=(0, None), ylim=(0, None))
    axes.legend(loc="best")
    return "Peak memory of a process that detects on one photo, against the photo's size.", figure
