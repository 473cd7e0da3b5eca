"""Errors split across and along contours, free of the constant offsets between two labellers' conventions.

What an edge in the picture fixes is the error **across** a contour; where along the edge a landmark lies is a
convention. Both are told as fractions of the normaliser's distance. Landmarks without truth are NaN throughout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hrlm.evaluation.metrics import mean
from hrlm.schemes import Scheme

# a contour that turns by more than this at a landmark has a corner there, which has no direction across
CORNER = np.radians(60)


@dataclass(frozen=True)
class Split:
    """Mean errors of a set of landmarks after each landmark's mean offset is taken off.

    The mean of few faces follows each of them: what is left of F faces is longer by sqrt(F / (F - 1)) in truth, and is
    told so.

    Args:
        total: length of the remaining error, over all landmarks of the set.
        across: its part across the contour, over those landmarks that have a contour and are no corner of it.
        along: its part along the contour, over the same.
    """

    total: float
    across: float
    along: float


def face_offsets(predicted: np.ndarray, truth: np.ndarray, scheme: Scheme) -> np.ndarray:
    """Offsets `(N, 2)` of a face's landmarks from their truth in the truth's `Scheme.face_frame`.

    Args:
        predicted, truth: `(N, 2)` in the same pixels.
    """
    return (predicted - truth) @ scheme.face_frame(truth)


def contour_normals(truth: np.ndarray, scheme: Scheme) -> np.ndarray:
    """Unit vectors `(N, 2)` across the contour at each landmark, in the face's frame of `face_offsets`.

    The contour's direction at a landmark is that between its neighbours. NaN at corners, at ends, off contours and
    where a neighbour is unknown.

    Args:
        truth: `(N, 2)`.
    """
    frame = scheme.face_frame(truth)
    normals = np.full((len(truth), 2), np.nan)
    for contour in scheme.contours:
        line = truth[list(contour.landmarks)] @ frame
        ahead, behind = np.roll(line, -1, 0) - line, line - np.roll(line, 1, 0)
        turn = np.abs(_angle(ahead) - _angle(behind))
        turn = np.minimum(turn, 2 * np.pi - turn)
        chord = ahead + behind
        length = np.linalg.norm(chord, axis=1)
        fits = (turn < CORNER) & (length > 1e-9)
        if not contour.closed:
            fits[[0, -1]] = False
        across = np.stack([-chord[:, 1], chord[:, 0]], 1) / np.maximum(length, 1e-9)[:, None]
        for landmark, normal, fit in zip(contour.landmarks, across, fits, strict=True):
            if fit:
                normals[landmark] = normal
    return normals


def split(offsets: np.ndarray, normals: np.ndarray, landmarks: Sequence[int]) -> Split:
    """The split error of F faces over some landmarks; NaN where nothing tells.

    A landmark of a single face tells nothing, for its offset is all there is.

    Args:
        offsets: `(F, N, 2)` as `face_offsets`.
        normals: `(F, N, 2)` as `contour_normals`.
    """
    chosen = list(landmarks)
    told = (~np.isnan(offsets[:, chosen, 0])).sum(0)
    few = np.where(told > 1, np.sqrt(told / np.maximum(told - 1, 1)), np.nan)
    left = (offsets[:, chosen] - mean(offsets[:, chosen], 0)) * few[:, None]
    across_axis = normals[:, chosen]
    across = np.abs((left * across_axis).sum(-1))
    along = np.abs(left[..., 0] * across_axis[..., 1] - left[..., 1] * across_axis[..., 0])
    return Split(float(mean(np.linalg.norm(left, axis=-1))), float(mean(across)), float(mean(along)))


def split_subsets(offsets: np.ndarray, normals: np.ndarray, scheme: Scheme) -> Mapping[str, Split]:
    """`split` over all landmarks and over each of the scheme's subsets, by name."""
    sets = {"all": tuple(range(len(scheme))), **scheme.subsets}
    return {name: split(offsets, normals, chosen) for name, chosen in sets.items()}


def _angle(vectors: np.ndarray) -> np.ndarray:
    return np.arctan2(vectors[:, 1], vectors[:, 0])
