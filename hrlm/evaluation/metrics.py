"""Measures of landmark error. Errors are fractions of the distance between the scheme's two normaliser landmarks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hrlm.schemes import Scheme


def point_errors(predicted: np.ndarray, truth: np.ndarray, scheme: Scheme) -> np.ndarray:
    """Distance of each landmark from its truth over the truth's normaliser distance.

    Args:
        predicted: `(..., N, 2)`, in the same pixels as `truth`.
        truth: `(..., N, 2)`, its two normaliser landmarks apart from each other.

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
        return errors.mean(-1)
    chosen = scheme.subsets[subset] if isinstance(subset, str) else subset
    return errors[..., list(chosen)].mean(-1)


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
