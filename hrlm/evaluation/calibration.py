"""Does a stated deviation of 3 px mean 3 px?

A landmark with the standard deviation s per axis is taken to lie in a round two-dimensional normal distribution, so
that a share 1 - exp(-t²/2) of all errors should be at most t·s (Rayleigh's distribution). Coverage compares each such
share with the one that was met. The expected calibration error is the mean difference of the two over the confidence
levels, after V. Kuleshov, N. Fenner and S. Ermon, *Accurate Uncertainties for Deep Learning Using Calibrated
Regression*, ICML 2018 (whose error sums squares; here the mean absolute difference, in the unit of the shares). Stated
against real size is compared in groups of like deviation, after D. Levi et al., *Evaluating and Calibrating Uncertainty
Prediction in Regression Tasks*, Sensors 22 (15), 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVELS = np.arange(1, 20) / 20
"""Confidence levels at which coverage is told."""
GROUPS = 10


@dataclass(frozen=True)
class Calibration:
    """How well stated deviations fit the real errors of the same landmarks.

    Args:
        landmarks: how many landmarks of all faces tell.
        expected_error: mean absolute difference between level and coverage: 0 (perfect) … 1.
        coverage: at each of `LEVELS`, the share of landmarks within the stated region of that confidence.
        stated, real: root mean square of the stated deviation and of the error per axis, in groups of like stated
            deviation, from the smallest up; fractions of the inter-ocular distance.
    """

    landmarks: int
    expected_error: float
    coverage: Sequence[float]
    stated: Sequence[float]
    real: Sequence[float]


def calibrate(pixels: np.ndarray, deviation: np.ndarray, inter_ocular: np.ndarray) -> Calibration | None:
    """Compare stated deviations with real errors; None where no deviation is stated.

    Args:
        pixels: `(F, N)` errors in pixels, NaN where unknown.
        deviation: `(F, N)` stated standard deviations per axis in pixels, NaN where unknown.
        inter_ocular: `(F,)` pixels.
    """
    known = np.isfinite(pixels) & np.isfinite(deviation) & (deviation > 0)
    if not known.any():
        return None
    error, stated = pixels[known], deviation[known]
    unit = np.broadcast_to(inter_ocular[:, None], pixels.shape)[known]
    reach = np.sqrt(-2 * np.log(1 - LEVELS))
    coverage = np.searchsorted(np.sort(error / stated), reach, side="right") / len(error)
    groups = [g for g in np.array_split(np.argsort(stated / unit, kind="stable"), GROUPS) if len(g)]
    return Calibration(
        len(error),
        float(np.abs(coverage - LEVELS).mean()),
        coverage.tolist(),
        [_root_mean_square((stated / unit)[g]) for g in groups],
        # an error has two axes
        [_root_mean_square((error / unit)[g]) / 2**0.5 for g in groups],
    )


def _root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).mean()))
