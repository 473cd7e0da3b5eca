"""Figures of sets of measured faces. Errors and rates are fractions, NaN where nothing tells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np

from hrlm.evaluation.contours import Split, contour_normals, face_offsets, split, split_subsets
from hrlm.evaluation.measure import Measured, Measurement
from hrlm.evaluation.metrics import auc, box_diagonal, failure_rate, inter_pupil, mean
from hrlm.schemes import Scheme

WIDTH_BOUNDS = (256, 512, 1024)
"""Face widths in photo pixels at which faces are split into groups."""
LIMITS = (5, 8, 10)
"""Errors in % up to which the AUC runs and beyond which a face is a failure."""


@dataclass(frozen=True, eq=False)
class Errors:
    """What a system made of F annotated faces; a missed face is NaN throughout.

    Args:
        pixels: `(F, N)` distances from the truth in the pixels that were looked at.
        truth: `(F, N, 2)`.
        fractions: `(F, N)`, `pixels` over the inter-ocular distance.
        offsets: `(F, N, 2)` as `contours.face_offsets`.
        normals: `(F, N, 2)` as `contours.contour_normals`.
        deviation: `(F, N)` stated standard deviations in pixels.
    """

    pixels: np.ndarray
    truth: np.ndarray
    fractions: np.ndarray
    offsets: np.ndarray
    normals: np.ndarray
    deviation: np.ndarray

    def of(self, faces: np.ndarray) -> Errors:
        """The errors of some of the faces, by mask or index."""
        return Errors(*(getattr(self, f.name)[faces] for f in fields(self)))

    @property
    def nme(self) -> np.ndarray:
        """`(F,)` mean errors of the faces, infinite where one was missed."""
        means = mean(self.fractions, 1)
        return np.where(np.isnan(means), np.inf, means)


def errors_of(faces: Sequence[Measured], system: str, scheme: Scheme) -> Errors:
    """The errors of a system on faces that it was measured on."""
    n = len(scheme)
    unknown = np.full((n, 2), np.nan)
    truth = np.array([f.points for f in faces], np.float64).reshape(-1, n, 2)
    shown = [unknown if (p := f.predicted[system]) is None else p for f in faces]
    predicted = np.array(shown, np.float64).reshape(-1, n, 2)
    pixels = np.linalg.norm(predicted - truth, axis=-1)
    deviation = [f.deviation.get(system, unknown[:, 0]) for f in faces]
    return Errors(
        pixels,
        truth,
        pixels / scheme.inter_ocular(truth)[:, None],
        np.array([face_offsets(p, t, scheme) for p, t in zip(predicted, truth, strict=True)]).reshape(-1, n, 2),
        np.array([contour_normals(t, scheme) for t in truth]).reshape(-1, n, 2),
        np.array(deviation, np.float64).reshape(-1, n),
    )


@dataclass(frozen=True)
class Summary:
    """What a system made of a set of annotated faces.

    Args:
        faces: annotated ones.
        missed: those that were not found.
        landmarks: how many the system has, of those with truth.
        nme: mean over the found faces, normalised by the inter-ocular distance.
        nme_pupil, nme_box: the same normalised by the distance of the eyes' middles and by the box's diagonal.
        pixels: mean error in the pixels that were looked at.
        subsets: `nme` over each of the scheme's subsets of landmarks.
        median, percentile_90: of the found faces' errors.
        auc: by limit in %, area under the cumulative error distribution up to it; a missed face adds nothing.
        failure: by limit in %, share of faces missed or off by more.
    """

    faces: int
    missed: int
    landmarks: int
    nme: float
    nme_pupil: float
    nme_box: float
    pixels: float
    subsets: Mapping[str, float]
    median: float
    percentile_90: float
    auc: Mapping[int, float]
    failure: Mapping[int, float]


def summarise(errors: Errors, scheme: Scheme) -> Summary:
    """Summary of a system's errors on a set of faces."""
    every = errors.nme
    means = every[np.isfinite(every)]
    pixels = mean(errors.pixels, 1)
    return Summary(
        faces=len(every),
        missed=len(every) - len(means),
        landmarks=int((~np.isnan(errors.fractions)).any(0).sum()),
        nme=float(mean(means)),
        nme_pupil=float(mean(pixels / inter_pupil(errors.truth, scheme))),
        nme_box=float(mean(pixels / box_diagonal(errors.truth))),
        pixels=float(mean(pixels)),
        subsets={name: float(mean(mean(errors.fractions[:, list(s)], 1))) for name, s in scheme.subsets.items()},
        median=float(np.median(means)) if len(means) else math.nan,
        percentile_90=float(np.percentile(means, 90)) if len(means) else math.nan,
        auc={limit: auc(every, limit / 100) for limit in LIMITS},
        failure={limit: failure_rate(every, limit / 100) for limit in LIMITS},
    )


@dataclass(frozen=True)
class LandmarkFigures:
    """A system's error at one landmark, as fractions of the inter-ocular distance.

    Args:
        index, name: of the landmark.
        faces: how many tell of it.
        nme: mean error.
        offset: mean offset in the face's frame, to the right of the picture and down on an upright face: systematic,
            such as two labellers' conventions leave.
        random: mean distance from that offset, and its parts across and along the contour; see `contours.Split`.
        pixels: mean error in the pixels that were looked at.
    """

    index: int
    name: str
    faces: int
    nme: float
    offset: tuple[float, float]
    random: Split
    pixels: float


def landmark_figures(errors: Errors, scheme: Scheme) -> list[LandmarkFigures]:
    """A row for each landmark that any face tells of."""
    counts = (~np.isnan(errors.fractions)).sum(0)
    offsets = mean(errors.offsets, 0)
    return [
        LandmarkFigures(
            i,
            scheme.landmarks[i],
            int(counts[i]),
            float(mean(errors.fractions[:, i])),
            (float(offsets[i, 0]), float(offsets[i, 1])),
            split(errors.offsets, errors.normals, [i]),
            float(mean(errors.pixels[:, i])),
        )
        for i in np.flatnonzero(counts).tolist()
    ]


def width_groups(widths: np.ndarray) -> dict[str, np.ndarray]:
    """Masks `(F,)` of all faces and of those of each size, by width in photo pixels `(F,)`; empty groups left out."""
    masks = {name: (widths >= low) & (widths < high) for name, low, high in width_bounds()}
    return {"all": np.ones(len(widths), bool), **{name: mask for name, mask in masks.items() if mask.any()}}


def width_bounds() -> list[tuple[str, float, float]]:
    """Name, lowest width and the width that is too large of each group."""
    bounds = (0.0, *map(float, WIDTH_BOUNDS), math.inf)
    names = [
        f"< {WIDTH_BOUNDS[0]} px",
        *(f"{a} to {b} px" for a, b in pairwise(WIDTH_BOUNDS)),
        f">= {WIDTH_BOUNDS[-1]} px",
    ]
    return [(name, low, high) for name, (low, high) in zip(names, pairwise(bounds), strict=True)]


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


def resolution_rows(measurement: Measurement, widths: Sequence[int | None], scheme: Scheme) -> list[ResolutionRow]:
    """A row for each width (None: the photos as they are) and system that was measured at it."""
    rows = []
    for system in systems_of(measurement.native):
        native = errors_of(measurement.native, system, scheme)
        of_face = dict(zip((f.truth for f in measurement.native), native.nme, strict=True))
        for width in widths:
            faces = measurement.native if width is None else measurement.reduced[width]
            faces = [f for f in faces if system in f.predicted]
            if not faces:
                continue
            errors = native if width is None else errors_of(faces, system, scheme)
            pairs = np.array([errors.nme, [of_face[f.truth] for f in faces]])
            pairs = pairs[:, np.isfinite(pairs).all(0)]
            here, there = map(float, mean(pairs, 1))
            splits = split_subsets(errors.offsets, errors.normals, scheme)
            rows.append(ResolutionRow(width, system, summarise(errors, scheme), pairs.shape[1], here, there, splits))
    order = {width: i for i, width in enumerate(widths)}
    return sorted(rows, key=lambda r: order[r.width])


def systems_of(faces: Sequence[Measured]) -> list[str]:
    """The systems that were measured, in their order."""
    return list(faces[0].predicted) if faces else []
