"""Two labellers mean slightly different points: labels moved into the convention that a model has learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hrlm.schemes import Scheme

# how many ways of varying of the faces' shape (pose, expression) an offset may depend on
MODES = 6
# faces' worth of pull towards no dependence
RIDGE = 10.0
# faces that the model is this far off on (of the normaliser's distance, in the mean) teach it nothing about labels
LOST = 0.10


@dataclass(frozen=True)
class Convention:
    """The offset of one labeller's landmarks from another's: an affine function of the face's shape.

    Lengths are in units of the normaliser's distance, directions those of `Scheme.face_frame`.

    Args:
        shape: `(N, 2)` the mean shape.
        modes: `(M, 2 N)` orthonormal ways of varying.
        spread: `(M,)` their standard deviations.
        offsets: `(1 + M, N, 2)` the mean offset, then what one standard deviation of each mode adds.
    """

    scheme: Scheme
    shape: np.ndarray
    modes: np.ndarray
    spread: np.ndarray
    offsets: np.ndarray

    def apply(self, points: np.ndarray) -> np.ndarray:
        """One face's landmarks `(N, 2)` in the other convention, in the same pixels."""
        frame = self.scheme.face_frame(points)
        features = _features(_shape(points, self.scheme), self.shape, self.modes, self.spread)
        moved: np.ndarray = points + np.tensordot(features, self.offsets, 1) @ np.linalg.inv(frame)
        return moved


def fit_convention(
    predicted: Sequence[np.ndarray],
    labelled: Sequence[np.ndarray],
    scheme: Scheme,
    visible: Sequence[np.ndarray | None] = (),
) -> Convention:
    """The offset from labels to what a model that learnt another convention predicts on the same faces.

    By ridge regression: what is systematic is convention, what is left is the model's error.

    Args:
        predicted, labelled: F arrays `(N, 2)`, in each face's own pixels.
        visible: which labels of each face count, `(N,)` bool or None for all; empty for all of all faces. A landmark
            that no face has stays where it is.
    """
    shapes = np.stack([_shape(p, scheme) for p in labelled])
    pairs = zip(predicted, labelled, strict=True)
    residuals = np.stack([(p - t) @ scheme.face_frame(t) for p, t in pairs])
    seen = np.ones(residuals.shape[:2], bool)
    for i, own in enumerate(visible):
        seen[i] = True if own is None else own
    off = np.where(seen, np.linalg.norm(residuals, axis=-1), 0).sum(-1) / np.maximum(seen.sum(-1), 1)
    kept = (off < LOST) & seen.any(-1)
    if kept.any():
        shapes, residuals, seen = shapes[kept], residuals[kept], seen[kept]
    mean = shapes.mean(0)
    _, strength, modes = np.linalg.svd((shapes - mean).reshape(len(shapes), -1), full_matrices=False)
    modes = modes[: min(MODES, len(shapes) - 1)]
    spread = np.maximum(strength[: len(modes)] / np.sqrt(len(shapes)), 1e-6)
    features = np.stack([_features(s, mean, modes, spread) for s in shapes])
    penalty = np.diag([0.0] + [RIDGE] * len(modes))
    offsets = np.zeros((features.shape[1], *mean.shape))
    for n in np.flatnonzero(seen.any(0)):
        own = features[seen[:, n]]
        offsets[:, n] = np.linalg.solve(own.T @ own + penalty, own.T @ residuals[seen[:, n], n])
    return Convention(scheme, mean, modes, spread, offsets)


def mean_move(before: Sequence[np.ndarray], after: Sequence[np.ndarray], scheme: Scheme) -> np.ndarray:
    """How far a model's landmarks have moved since an earlier one, `(N, 2)`: the median over the same faces.

    Args:
        before, after: F arrays `(N, 2)`, in each face's own pixels.

    Returns:
        in units of the normaliser's distance and the directions of `Scheme.face_frame`.
    """
    moves = [(now - then) @ scheme.face_frame(then) for then, now in zip(before, after, strict=True)]
    median: np.ndarray = np.median(moves, axis=0)
    return median


def _shape(points: np.ndarray, scheme: Scheme) -> np.ndarray:
    shape: np.ndarray = (points - points[list(scheme.normaliser)].mean(0)) @ scheme.face_frame(points)
    return shape


def _features(shape: np.ndarray, mean: np.ndarray, modes: np.ndarray, spread: np.ndarray) -> np.ndarray:
    # an odd face must not be moved further than the faces that the offsets were fitted on
    return np.concatenate([[1.0], np.clip(modes @ (shape - mean).ravel() / spread, -3, 3)])
