"""Measures of landmark error. A landmark without truth or prediction is NaN and counts nowhere.

Errors are fractions of a distance that measures the face: the normaliser.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from hrlm.schemes import Scheme


def point_errors(predicted: np.ndarray, truth: np.ndarray, scheme: Scheme) -> np.ndarray:
    """Distance of each landmark from its truth over the truth's inter-ocular distance.

    Args:
        predicted: `(..., N, 2)`, in the same pixels as `truth`.
        truth: `(..., N, 2)`, the scheme's two normaliser landmarks apart from each other.

    Returns:
        `(..., N)` fractions.
    """
    return np.linalg.norm(predicted - truth, axis=-1) / scheme.inter_ocular(truth)[..., None]


def nme(
    predicted: np.ndarray, truth: np.ndarray, scheme: Scheme, subset: str | Sequence[int] | None = None
) -> np.ndarray:
    """Normalised mean error `(...)` of faces `(..., N, 2)`: the mean of `point_errors`.

    Args:
        subset: one of the scheme's subsets by name, or landmark indices; all landmarks when None.

    Raises:
        KeyError: the scheme has no subset of that name.
    """
    errors = point_errors(predicted, truth, scheme)
    if subset is None:
        return mean(errors, -1)
    chosen = scheme.subsets[subset] if isinstance(subset, str) else subset
    return mean(errors[..., list(chosen)], -1)


def inter_pupil(truth: np.ndarray, scheme: Scheme) -> np.ndarray:
    """Distance between the eyes' middles `(...)` of faces `(..., N, 2)`: those of each eye's landmarks, as in 300-W.

    The eyes are the two closed contours that pass through the scheme's normaliser; NaN where it has no such contours
    or a landmark of them is unknown.
    """
    eyes = [
        next((c.landmarks for c in scheme.contours if c.closed and i in c.landmarks), ()) for i in scheme.normaliser
    ]
    if not (eyes[0] and eyes[1] and eyes[0] != eyes[1]):
        return np.full(truth.shape[:-2], np.nan)
    right, left = (truth[..., list(eye), :].mean(-2) for eye in eyes)
    return np.linalg.norm(right - left, axis=-1)


def box_diagonal(truth: np.ndarray) -> np.ndarray:
    """Diagonal `(...)` of the bounding box of faces `(..., N, 2)`; NaN where a landmark is unknown."""
    return np.linalg.norm(truth.max(-2) - truth.min(-2), axis=-1)


def ced(errors: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Cumulative error distribution: the share (0 … 1) of `errors` `(F,)` that are at most each limit `(L,)`.

    A missed face counts with an infinite error. NaN where there are no errors.
    """
    if len(errors) == 0:
        return np.full(np.shape(limits), np.nan)
    return np.searchsorted(np.sort(errors), limits, side="right") / len(errors)


def auc(errors: np.ndarray, limit: float) -> float:
    """Area under the cumulative error distribution from 0 to `limit`, over `limit`: 0 (worst) … 1, NaN for no errors.

    Exact: a face of error e adds the part of the way to the limit that lies above e.
    """
    if len(errors) == 0:
        return float("nan")
    return float(np.clip(1 - np.asarray(errors) / limit, 0, 1).mean())


def failure_rate(errors: np.ndarray, limit: float) -> float:
    """Share (0 … 1) of errors beyond `limit`, missed faces (infinite errors) among them; NaN for no errors."""
    if len(errors) == 0:
        return float("nan")
    return float((np.asarray(errors) > limit).mean())


def mean(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Mean of what is known (not NaN); NaN where nothing is."""
    with warnings.catch_warnings():
        # numpy warns of empty means, whose NaN is what is wanted here
        warnings.simplefilter("ignore", RuntimeWarning)
        result: np.ndarray = np.asarray(np.nanmean(values, axis=axis))
    return result
