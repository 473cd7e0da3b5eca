"""The rest of a face's landmarks, placed to go with the few that a person has moved."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# how far a moved landmark is felt by its neighbours, as a share of the face's extent
REACH = 0.25


def fit_rest(shape: np.ndarray, placed: Sequence[int], places: np.ndarray) -> np.ndarray:
    """Landmarks `(N, 2)` where the `placed` ones stand at `places` `(K, 2)` and the others go with them.

    The whole `shape` `(N, 2)` follows by the similarity transform that suits the placed landmarks best (a shift for
    one, exact for two). What that leaves over, each landmark takes from the placed ones near to it: a Gaussian
    process with the kernel exp(-distance / reach), which is smooth, exact at the placed landmarks and fades away.

    Raises:
        ValueError: none placed, one twice, or another number of places.
    """
    chosen = list(placed)
    if not chosen or len(set(chosen)) != len(chosen) or places.shape != (len(chosen), 2):
        raise ValueError("give at least one landmark, each once and with its place")
    moved = _similarity(shape[chosen], places)(shape)
    left = places - moved[chosen]
    extent = float(np.ptp(moved, axis=0).max())
    if extent > 0:
        kernel = np.exp(-np.linalg.norm(moved[:, None] - moved[None, chosen], axis=-1) / (REACH * extent))
        # landmarks that coincide make the kernel singular: the least squares solution shares between them
        moved = moved + kernel @ np.linalg.lstsq(kernel[chosen], left, rcond=None)[0]
    moved[chosen] = places
    return moved


class _similarity:
    """The least squares similarity transform from points `(K, 2)` to points `(K, 2)`."""

    def __init__(self, source: np.ndarray, target: np.ndarray) -> None:
        self.source, self.target = source.mean(0), target.mean(0)
        # in the plane a turn with a scale is one complex factor
        a, b = (_complex(p - m) for p, m in ((source, self.source), (target, self.target)))
        power = float((a.conj() @ a).real)
        self.factor = complex(a.conj() @ b) / power if power > 1e-9 else 1.0 + 0.0j

    def __call__(self, points: np.ndarray) -> np.ndarray:
        turned = _complex(points - self.source) * self.factor
        return np.stack([turned.real, turned.imag], -1) + self.target


def _complex(points: np.ndarray) -> np.ndarray:
    values: np.ndarray = points[:, 0] + 1j * points[:, 1]
    return values


def mean_shape(shapes: Sequence[np.ndarray]) -> np.ndarray:
    """The mean `(N, 2)` of faces' landmarks, each brought upright by nothing but a shift and a scale to its box.

    It lies in the box 0, 0 to about 1, 1.

    Raises:
        ValueError: no shapes.
    """
    if not shapes:
        raise ValueError("no faces to take a shape from")
    boxed = [(s - s.min(0)) / max(float(np.ptp(s, axis=0).max()), 1e-9) for s in shapes]
    mean = np.mean(boxed, axis=0)
    placed: np.ndarray = (mean - mean.min(0)) / max(float(np.ptp(mean, axis=0).max()), 1e-9)
    return placed


def shape_in_box(shape: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """`shape` `(N, 2)` from `mean_shape`, as large as fits a box x, y, width, height, in its middle."""
    x, y, width, height = box
    low, high = shape.min(0), shape.max(0)
    scale = float(min(np.array([width, height]) / np.maximum(high - low, 1e-9)))
    placed: np.ndarray = (shape - (low + high) / 2) * scale + (x + width / 2, y + height / 2)
    return placed
