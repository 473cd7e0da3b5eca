"""Everything that a benchmark found, as figures for tables, pictures and programs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hrlm.evaluation.calibration import LEVELS, Calibration, calibrate
from hrlm.evaluation.figures import (
    Errors,
    LandmarkFigures,
    ResolutionRow,
    Summary,
    errors_of,
    landmark_figures,
    resolution_rows,
    summarise,
    systems_of,
    width_groups,
)
from hrlm.evaluation.measure import Measured, Measurement
from hrlm.evaluation.speed import Timing
from hrlm.evaluation.stability import StabilityRow
from hrlm.formats.atomic import write_whole
from hrlm.schemes import Scheme

SCHEMA = "hrlm.benchmark/2"


@dataclass(frozen=True, eq=False)
class Report:
    """The figures of a benchmark.

    Args:
        scheme: of the landmarks.
        about: what was measured: `data`, `model`, `version` and more; goes into the JSON as it is.
        measurement: of accuracy; without a face where there was no truth.
        widths: of the table by resolution; None for the photos as they are.
        calibrated: whether stated deviations are to be compared with real errors.
        stability: where it was measured.
        timing: where it was measured.
    """

    scheme: Scheme
    about: Mapping[str, str]
    measurement: Measurement
    widths: Sequence[int | None] = ()
    calibrated: bool = False
    stability: Sequence[StabilityRow] = ()
    timing: Timing | None = None
    problems: Sequence[str] = field(default=())

    @cached_property
    def systems(self) -> list[str]:
        """What was measured on ground truth."""
        return systems_of(self.measurement.native)

    @cached_property
    def errors(self) -> Mapping[str, Errors]:
        """By system, on the photos as they are."""
        return {s: errors_of(self.measurement.native, s, self.scheme) for s in self.systems}

    @cached_property
    def groups(self) -> Mapping[str, np.ndarray]:
        """Masks of all faces and of those of each size."""
        return width_groups(np.array([f.width for f in self.measurement.native]))

    @cached_property
    def summaries(self) -> Mapping[str, Mapping[str, Summary]]:
        """By group of faces and system."""
        return {
            group: {s: summarise(e.of(mask), self.scheme) for s, e in self.errors.items()}
            for group, mask in self.groups.items()
        }

    @cached_property
    def landmarks(self) -> Mapping[str, Sequence[LandmarkFigures]]:
        """By system, over all faces."""
        return {s: landmark_figures(e, self.scheme) for s, e in self.errors.items()}

    @cached_property
    def rows(self) -> Sequence[ResolutionRow]:
        """By resolution and system; only the photos as they are where no widths were asked for."""
        return resolution_rows(self.measurement, list(self.widths) or [None], self.scheme)

    @cached_property
    def calibrations(self) -> Mapping[str, Mapping[str, Calibration]]:
        """By group of faces and system, where deviations are stated; empty when not asked for."""
        made: dict[str, dict[str, Calibration]] = {}
        for group, mask in self.groups.items() if self.calibrated else ():
            for system, every in self.errors.items():
                errors = every.of(mask)
                found = calibrate(errors.pixels, errors.deviation, self.scheme.inter_ocular(errors.truth))
                if found:
                    made.setdefault(group, {})[system] = found
        return made

    @cached_property
    def subset_sizes(self) -> Mapping[str, int]:
        """How many landmarks of each of the scheme's subsets have truth; subsets without any left out."""
        truth = [f.points for f in self.measurement.native]
        known = ~np.isnan(np.array(truth).reshape(-1, len(self.scheme), 2)[..., 0]).all(0)
        sizes = {name: int(known[list(s)].sum()) for name, s in self.scheme.subsets.items()}
        return {name: size for name, size in sizes.items() if size}

    def as_data(self) -> dict[str, Any]:
        """Everything for programs, ready for JSON; errors and rates as fractions, None where nothing tells."""
        m, t = self.measurement, self.timing
        data = {
            "schema": SCHEMA,
            **self.about,
            "scheme": self.scheme.name,
            "summaries": {group: {s: asdict(v) for s, v in each.items()} for group, each in self.summaries.items()},
            "resolutions": [asdict(r) for r in self.rows],
            "landmarks": {s: [asdict(v) for v in each] for s, each in self.landmarks.items()},
            "calibration": {
                "levels": LEVELS.tolist(),
                "groups": {g: {s: asdict(v) for s, v in each.items()} for g, each in self.calibrations.items()},
            },
            "stability": [asdict(r) for r in self.stability],
            "speed": None if t is None else {**asdict(t.speed), "ratio": t.speed.ratio},
            "median_seconds": {} if t is None else {s: float(np.median(v)) for s, v in t.stages.items() if len(v)},
            "memory": [] if t is None else [asdict(m) for m in t.memory],
            "faces": [
                {**_face(f), "errors": {s: _rounded(e.fractions[i]) for s, e in self.errors.items()}}
                for i, f in enumerate(m.native)
            ],
            "reduced_faces": {str(width): self._reduced(faces) for width, faces in m.reduced.items()},
            "problems": list(self.problems),
        }
        plain: dict[str, Any] = _plain(data)
        return plain

    def write(self, path: Path) -> None:
        """Write `as_data` as JSON.

        Raises:
            WriteError: the file cannot be written.
        """
        write_whole(path, (json.dumps(self.as_data(), indent=1, allow_nan=False) + "\n").encode())

    def _reduced(self, faces: Sequence[Measured]) -> list[dict[str, Any]]:
        """The faces with each system's mean error."""
        nme = {s: errors_of(faces, s, self.scheme).nme for s in systems_of(faces)}
        return [{**_face(f), "nme": {s: float(e[i]) for s, e in nme.items()}} for i, f in enumerate(faces)]


def _face(face: Measured) -> dict[str, Any]:
    return {"photo": face.photo, "truth": face.truth, "width": face.width}


def _rounded(errors: np.ndarray) -> list[float] | None:
    """None for a missed face."""
    return None if np.isnan(errors).all() else [round(float(v), 6) for v in errors]


def _plain(value: Any) -> Any:
    """The same with what JSON does not know, NaN and infinity, as None."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
