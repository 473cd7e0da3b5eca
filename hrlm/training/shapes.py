"""The mean shape of faces some of which lack landmarks, similarity fits to it, and where missing landmarks would be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hrlm.results import Box
from hrlm.schemes import Scheme

# so many faces, evenly out of all, settle the mean shape
ENOUGH = 2000
ROUNDS = 6


def mean_shape(faces: Sequence[np.ndarray], scheme: Scheme) -> np.ndarray:
    """The median of the faces' shapes after similarity alignment (generalised Procrustes).

    A face need not have every landmark: shapes grow together over the landmarks that they share.

    Args:
        faces: `(N, 2)` each, NaN where a landmark is missing.

    Returns:
        `(N, 2)` in units of the normaliser's distance, its line level and its middle at 0; NaN for landmarks that no
        face has, and in units of the shape's spread where the normaliser is one of them.
    """
    step = max(1, -(-len(faces) // ENOUGH))
    every = np.stack([_complex(f) for f in faces[::step]])
    counts = np.isfinite(every).sum(1)
    full = np.flatnonzero(counts == counts.max())
    template = every[full[len(full) // 2]]
    for _ in range(ROUNDS):
        aligned = align(every, template)
        usable = np.isfinite(aligned).any(1)
        template = _median(aligned[usable]) if usable.any() else template
        known = np.isfinite(template)
        template = template - template[known].mean()
        template = template / max(np.sqrt((np.abs(template[known]) ** 2).mean()), 1e-9)
    a, b = scheme.normaliser
    axis = template[b] - template[a]
    if np.isfinite(axis) and abs(axis) > 1e-6:
        template = (template - (template[a] + template[b]) / 2) / axis
    return np.stack([template.real, template.imag], -1)


def align(faces: np.ndarray, template: np.ndarray) -> np.ndarray:
    """Faces moved onto the template by the similarity that fits the landmarks that both have.

    Args:
        faces: `(F, N)` complex, x + i y, NaN where missing.
        template: `(N,)` complex, likewise.

    Returns:
        `(F, N)`; all NaN for faces that share fewer than two places with the template.
    """
    shared = np.isfinite(faces) & np.isfinite(template)
    count = np.maximum(shared.sum(1, keepdims=True), 1)
    ours, theirs = np.where(shared, faces, 0), np.where(shared, template, 0)
    from_, to = ours.sum(1, keepdims=True) / count, theirs.sum(1, keepdims=True) / count
    off, goal = np.where(shared, faces - from_, 0), np.where(shared, template - to, 0)
    size = (np.abs(off) ** 2).sum(1, keepdims=True)
    usable = (shared.sum(1, keepdims=True) >= 2) & (size > 1e-9)
    with np.errstate(invalid="ignore"):
        turn = np.where(usable, (off.conj() * goal).sum(1, keepdims=True) / np.where(size > 0, size, 1), np.nan)
        moved: np.ndarray = (faces - from_) * turn + to
    return moved


def complete(points: np.ndarray, shape: np.ndarray, box: Box | None = None) -> np.ndarray | None:
    """The face with its missing landmarks where the mean shape puts them: near enough to place a crop, not to teach.

    The shape is fitted to the landmarks that the face has, to the box where there are fewer than two.

    Args:
        points: `(N, 2)`, NaN where missing.
        shape: `(N, 2)` the mean shape.

    Returns:
        `(N, 2)` finite; None where nothing says where the face lies.
    """
    known = np.isfinite(points).all(1)
    if known.all():
        return points
    fitted = align(_complex(shape)[None], _complex(points))[0]
    if np.isfinite(fitted).all():
        guess = np.stack([fitted.real, fitted.imag], -1)
    elif box is not None and np.isfinite(shape).all():
        low, high = shape.min(0), shape.max(0)
        scale = max(box[2], box[3]) / (high - low).max()
        guess = (shape - (low + high) / 2) * scale + (box[0] + box[2] / 2, box[1] + box[3] / 2)
    else:
        return None
    whole: np.ndarray = np.where(known[:, None], points, guess)
    return whole


def _complex(points: np.ndarray) -> np.ndarray:
    # NaN in one coordinate is NaN in both
    return points[..., 0] + 1j * points[..., 1]


def _median(aligned: np.ndarray) -> np.ndarray:
    """Median of each column, NaN where it is all NaN: a few faces with exchanged landmarks must not bend it."""
    middle = np.full(aligned.shape[1], np.nan, complex)
    some = np.isfinite(aligned).any(0)
    middle[some] = np.nanmedian(aligned[:, some].real, 0) + 1j * np.nanmedian(aligned[:, some].imag, 0)
    return middle
