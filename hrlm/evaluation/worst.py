"""The worst cases of a measurement as a sheet of pictures: the whole face, and the worst place close up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hrlm.errors import HrlmError
from hrlm.evaluation.data import known_box
from hrlm.evaluation.plots import STYLE, png
from hrlm.evaluation.report import Report
from hrlm.evaluation.tables import printable
from hrlm.photos import Photo
from hrlm.schemes import Scheme

CASES = 8
COLUMNS = 2
# pixels a side that a printed picture shows
SHOWN = 480
TRUE_COLOUR, FOUND_COLOUR = "#56B4E9", "#FFB000"
# side of the close-up in units of the inter-ocular distance
CLOSE = 0.5


def worst_sheet(report: Report, open_photo: Callable[[str], Photo]) -> tuple[str, bytes] | None:
    """A caption and the PNG of the faces on which the first system is worst; None where no photo can be shown."""
    if not report.systems:
        return None
    system = report.systems[0]
    nme = report.errors[system].nme
    cases = []
    for i in np.argsort(-nme, kind="stable")[:CASES].tolist():
        try:
            cases.append((i, open_photo(report.measurement.native[i].photo)))
        except HrlmError:
            # it could be read before: gone meanwhile, and named then
            continue
    if not cases:
        return None
    rows = -(-len(cases) // COLUMNS)
    with mpl.rc_context(STYLE):
        figure = Figure((7.2, 1.95 * rows))
        grid = figure.subplots(rows, 2 * COLUMNS, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for place, (i, photo) in enumerate(cases):
            left = grid[place // COLUMNS, 2 * (place % COLUMNS)]
            right = grid[place // COLUMNS, 2 * (place % COLUMNS) + 1]
            _case(left, right, photo, i, report, system, float(nme[i]))
        data = png(figure)
    caption = (
        f"The worst faces of {system}. Blue: truth; orange: found; a line joins the two. Right of each face the place "
        "of its largest error, half an inter-ocular distance wide, in the photo's own pixels."
    )
    return caption, data


def _case(left: Axes, right: Axes, photo: Photo, index: int, report: Report, system: str, nme: float) -> None:
    face = report.measurement.native[index]
    truth, found = face.points.astype(float), face.predicted[system]
    everything = truth if found is None else np.concatenate([truth, found.astype(float)[~np.isnan(truth[:, 0])]])
    x, y, width, height = known_box(everything)
    side = 1.2 * max(width, height)
    _show(left, photo, np.array([x + width / 2, y + height / 2]), side)
    _marks(left, truth, found, report.scheme, 1.2)
    name = printable(Path(face.photo).name)
    left.set_title(f"{name if len(name) <= 26 else name[:12] + '…' + name[-12:]}", fontsize=6.5, fontweight="normal")
    if found is None:
        right.set_title("missed", fontsize=6.5, fontweight="normal")
        return
    errors = report.errors[system].fractions[index]
    worst = int(np.nanargmax(errors))
    _show(right, photo, (truth[worst] + found[worst]) / 2, CLOSE * float(report.scheme.inter_ocular(truth)))
    _marks(right, truth, found, report.scheme, 4)
    told = f"NME {100 * nme:.1f} %, {report.scheme.landmarks[worst]} {100 * errors[worst]:.1f} %"
    right.set_title(told, fontsize=6.5, fontweight="normal")


def _show(axes: Axes, photo: Photo, centre: np.ndarray, side: float) -> None:
    """A square of the photo; axes in photo pixels."""
    low = np.floor(centre - side / 2).astype(int)
    high = np.ceil(centre + side / 2).astype(int) + 1
    pixels = photo.window(int(low[0]), int(low[1]), int(high[0]), int(high[1]))
    low = low.clip(0)
    end = low + pixels.shape[1::-1]
    if pixels.size and max(pixels.shape) > 2 * SHOWN:
        ratio = SHOWN / max(pixels.shape)
        size = max(1, round(pixels.shape[1] * ratio)), max(1, round(pixels.shape[0] * ratio))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    if pixels.size:
        # the first pixel's centre is its coordinate, so its edge lies half a pixel before
        axes.imshow(pixels, extent=(low[0] - 0.5, end[0] - 0.5, end[1] - 0.5, low[1] - 0.5), interpolation="nearest")
    axes.set(xlim=(centre[0] - side / 2, centre[0] + side / 2), ylim=(centre[1] + side / 2, centre[1] - side / 2))
    axes.set_aspect("equal")


def _marks(axes: Axes, truth: np.ndarray, found: np.ndarray | None, scheme: Scheme, size: float) -> None:
    for points, colour in ((truth, TRUE_COLOUR), (found, FOUND_COLOUR)):
        if points is None:
            continue
        for contour in scheme.contours:
            line: Sequence[int] = [*contour.landmarks, contour.landmarks[0]] if contour.closed else contour.landmarks
            axes.plot(*points[list(line)].T, color=colour, linewidth=0.15 * size + 0.15, alpha=0.8, clip_on=True)
        axes.plot(*points.T, "o", color=colour, markersize=size, markeredgewidth=0.2, markeredgecolor="black")
    if found is not None:
        axes.plot(*np.stack([truth, found]).transpose(2, 0, 1), color="white", linewidth=0.1 * size + 0.2)
