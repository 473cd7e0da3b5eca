"""Figures of a measurement: summaries of sets of faces, as tables for people and as data for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from hrlm.evaluation.contours import Split, split_subsets
from hrlm.evaluation.measure import Measured, Measurement
from hrlm.evaluation.metrics import auc, failure_rate
from hrlm.evaluation.speed import Speed
from hrlm.formats.atomic import write_whole
from hrlm.schemes import Scheme

SCHEMA = "hrlm.benchmark/1"
WIDTH_BOUNDS = (256, 512, 1000)
"""Face widths in photo pixels at which faces are split into groups."""


@dataclass(frozen=True)
class Summary:
    """What a system made of a set of annotated faces; all errors and rates are fractions, NaN where nothing tells.

    Args:
        faces: annotated ones.
        missed: those that were not found.
        nme: mean over the found faces.
        subsets: the same over each of the scheme's subsets of landmarks.
        median: of the found faces' errors.
        percentile_90: of the found faces' errors.
        auc_8: area under the cumulative error distribution up to 8 %; a missed face adds nothing.
        failure_8: share of faces missed or off by more than 8 %.
        failure_10: share of faces missed or off by more than 10 %.
    """

    faces: int
    missed: int
    nme: float
    subsets: Mapping[str, float]
    median: float
    percentile_90: float
    auc_8: float
    failure_8: float
    failure_10: float


def summarise(errors: Sequence[np.ndarray | None], scheme: Scheme) -> Summary:
    """Summary of faces' landmark errors, `(N,)` fractions each, None for a missed face."""
    found = np.array([e for e in errors if e is not None]).reshape(-1, len(scheme))
    means = found.mean(1)
    counted = np.array([math.inf if e is None else e.mean() for e in errors])
    return Summary(
        faces=len(errors),
        missed=len(errors) - len(found),
        nme=_of(np.mean, means),
        subsets={name: _of(np.mean, found[:, list(chosen)]) for name, chosen in scheme.subsets.items()},
        median=_of(np.median, means),
        percentile_90=_of(lambda m: np.percentile(m, 90), means),
        auc_8=auc(counted, 0.08),
        failure_8=failure_rate(counted, 0.08),
        failure_10=failure_rate(counted, 0.10),
    )


def _of(statistic: Callable[[np.ndarray], Any], values: np.ndarray) -> float:
    return float(statistic(values)) if values.size else math.nan


def width_groups(faces: Sequence[Measured]) -> dict[str, list[Measured]]:
    """The faces by width in photo pixels, groups without a face left out."""
    bounds = (0.0, *map(float, WIDTH_BOUNDS), math.inf)
    names = [
        f"< {WIDTH_BOUNDS[0]} px",
        *(f"{a} to {b} px" for a, b in pairwise(WIDTH_BOUNDS)),
        f">= {WIDTH_BOUNDS[-1]} px",
    ]
    groups = {
        name: [f for f in faces if low <= f.width < high]
        for name, (low, high) in zip(names, pairwise(bounds), strict=True)
    }
    return {name: group for name, group in groups.items() if group}


@dataclass(frozen=True)
class ResolutionRow:
    """A system on faces reduced to `width` pixels: of all faces that were wider, and of those found at both sizes.

    Args:
        width: of the reduced faces; None for the photos as they are.
        system: its name.
        summary: of the reduced faces.
        both: how many faces were found reduced and in the photo as it is.
        nme: mean error of these, reduced.
        native_nme: mean error of these in the photo as it is.
        splits: errors of the found faces across and along contours, by subset; see `contours.split_subsets`.
    """

    width: int | None
    system: str
    summary: Summary
    both: int
    nme: float
    native_nme: float
    splits: Mapping[str, Split]


def resolution_rows(measurement: Measurement, widths: Iterable[int | None], scheme: Scheme) -> list[ResolutionRow]:
    """A row for each width (None: the photos as they are) and system."""
    native = {f.truth: f for f in measurement.native}
    rows = []
    for width in widths:
        faces = measurement.native if width is None else measurement.reduced[width]
        for system in _systems(measurement.native):
            pairs = [(f.errors[system], native[f.truth].errors[system]) for f in faces]
            both = np.array([(a.mean(), b.mean()) for a, b in pairs if a is not None and b is not None]).reshape(-1, 2)
            summary = summarise([a for a, _ in pairs], scheme)
            means = _of(np.mean, both[:, 0]), _of(np.mean, both[:, 1])
            rows.append(ResolutionRow(width, system, summary, len(both), *means, _splits(faces, system, scheme)))
    return rows


def _splits(faces: Sequence[Measured], system: str, scheme: Scheme) -> Mapping[str, Split]:
    found = [(offsets, f.normals) for f in faces if (offsets := f.offsets[system]) is not None]
    return split_subsets([o for o, _ in found], [n for _, n in found], scheme)


def _systems(faces: Sequence[Measured]) -> list[str]:
    return list(faces[0].errors) if faces else []


class Report:
    """The figures of a measurement.

    Args:
        measurement: at least one face of it.
        scheme: of its landmarks.
        widths: rows of the table by resolution; None for the photos as they are.
        speed: where it was measured.
        about: what was measured: `data`, `model`, `version` and more; goes into the JSON as it is.
    """

    def __init__(
        self,
        measurement: Measurement,
        scheme: Scheme,
        widths: Sequence[int | None],
        speed: Speed | None,
        about: Mapping[str, str],
    ) -> None:
        self._measurement, self._scheme, self._speed, self._about = measurement, scheme, speed, about
        self._rows = resolution_rows(measurement, list(widths) or [None], scheme)
        sets = {"all": measurement.native, **width_groups(measurement.native)}
        self._summaries = {
            label: {s: summarise([f.errors[s] for f in faces], scheme) for s in _systems(faces)}
            for label, faces in sets.items()
        }

    def tables(self) -> list[Table]:
        """All figures for people: errors and rates in %, missed faces counted as failures."""
        made = [self._overall()]
        if self._scheme.subsets:
            made.append(self._subsets())
        if len(self._rows) > len(_systems(self._measurement.native)):
            made.append(self._resolutions())
        if self._scheme.contours:
            made.append(self._contours())
        if self._speed:
            made.append(self._speeds(self._speed))
        return made

    def _overall(self) -> Table:
        about = self._about
        names = " and ".join(self._scheme.landmarks[i] for i in self._scheme.normaliser)
        table = _table(
            f"{about['model']} {about['version']} on {about['data']}",
            f"Errors in % of the distance between {names}, over the found faces. AUC and failure rates over all faces, "
            "missed ones as failures.",
            *("face width", "system", "faces", "missed", "NME", "median", "90th", "AUC@8", "> 8 %", "> 10 %"),
        )
        for label, system, s in self._each():
            figures = (s.nme, s.median, s.percentile_90, s.auc_8, s.failure_8, s.failure_10)
            _add(table, label, system, str(s.faces), str(s.missed), *map(_percent, figures))
        return table

    def _subsets(self) -> Table:
        heads = [f"{name}-{len(chosen)}" for name, chosen in self._scheme.subsets.items()]
        table = _table("By landmarks", "NME in %, over the found faces.", "face width", "system", *heads)
        for label, system, s in self._each():
            _add(table, label, system, *map(_percent, s.subsets.values()))
        return table

    def _each(self) -> Iterator[tuple[str, str, Summary]]:
        """Every summary; the set's name only before its first system."""
        for label, systems in self._summaries.items():
            for i, (system, summary) in enumerate(systems.items()):
                yield "" if i else label, system, summary

    def _resolutions(self) -> Table:
        table = _table(
            "By resolution: photos reduced until the face is so wide",
            "Only faces that were wider than that; NME in % over those found both reduced and native. Compare along a "
            "row and between systems: other rows hold other faces.",
            *("face width", "system", "faces", "missed", "found at both", "NME reduced", "NME native"),
        )
        first = _systems(self._measurement.native)[0]
        for r in self._rows:
            label = "native" if r.width is None else f"{r.width} px"
            counts = (str(r.summary.faces), str(r.summary.missed), str(r.both))
            _add(table, label if r.system == first else "", r.system, *counts, *map(_percent, (r.nme, r.native_nme)))
        return table

    def _contours(self) -> Table:
        names = [n for n, s in self._rows[0].splits.items() if not math.isnan(s.across)]
        table = _table(
            "Across and along contours",
            "Errors in % left after each landmark's mean offset is taken off: labellers' conventions differ by such.",
            *("face width", "system", "error", *names),
        )
        first = _systems(self._measurement.native)[0]
        for r in self._rows:
            label = "native" if r.width is None else f"{r.width} px"
            for part in ("total", "across", "along"):
                begins = part == "total"
                cells = [_percent(getattr(r.splits[n], part)) for n in names]
                _add(table, label if begins and r.system == first else "", r.system if begins else "", part, *cells)
        return table

    def _speeds(self, speed: Speed) -> Table:
        table = _table("Speed", "detect reads ahead, finds landmarks and writes JSON; Pillow only decodes.", "", "")
        table.show_header = False
        _add(table, "photos", f"{speed.photos}, {speed.megapixels:.1f} megapixels in the mean")
        _add(table, "detect", f"{speed.detect_rate:.2f} photos/s")
        _add(table, "Pillow decode", f"{speed.decode_rate:.2f} photos/s")
        _add(table, "detect time over decode time", f"{speed.ratio:.2f}")
        for stage, seconds in self._measurement.seconds.items():
            _add(table, f"{stage}, one photo at a time", f"{1000 * float(np.median(seconds)):.0f} ms, median")
        return table

    def as_data(self) -> dict[str, Any]:
        """Everything for programs, ready for JSON; errors and rates as fractions, None where nothing tells."""
        m, speed = self._measurement, self._speed
        data = {
            "schema": SCHEMA,
            **self._about,
            "scheme": self._scheme.name,
            "summaries": {label: {s: asdict(v) for s, v in each.items()} for label, each in self._summaries.items()},
            "resolutions": [asdict(r) for r in self._rows],
            "speed": None if speed is None else {**asdict(speed), "ratio": speed.ratio},
            "median_seconds": {stage: float(np.median(seconds)) for stage, seconds in m.seconds.items()},
            "faces": [_face(f) for f in m.native],
            "reduced_faces": {str(width): [_face(f) for f in faces] for width, faces in m.reduced.items()},
            "problems": m.problems,
        }
        plain: dict[str, Any] = _plain(data)
        return plain

    def write(self, path: Path) -> None:
        """Write `as_data` as JSON.

        Raises:
            WriteError: the file cannot be written.
        """
        write_whole(path, (json.dumps(self.as_data(), indent=1, allow_nan=False) + "\n").encode())


def _table(title: str, caption: str, *columns: str) -> Table:
    """A table whose first two columns hold words, the others numbers."""
    table = Table(title=escape(title), caption=caption, title_justify="left", caption_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i < 2 else "right", no_wrap=True)
    return table


def _add(table: Table, label: str, *cells: str) -> None:
    """Add a row; one with a label begins a section."""
    if label:
        table.add_section()
    table.add_row(label, *cells)


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{100 * value:.2f}"


def _face(face: Measured) -> dict[str, Any]:
    errors = {s: None if e is None else [round(float(v), 6) for v in e] for s, e in face.errors.items()}
    return {"photo": face.photo, "truth": face.truth, "width": face.width, "errors": errors}


def _plain(value: Any) -> Any:
    """The same with NaN, which JSON does not know, as None."""
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
