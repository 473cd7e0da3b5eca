"""What hrlm finds: validated dataclasses without any drawing, file or network code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Face:
    """One face of a photo.

    Args:
        landmarks: `(N, 2)` x, y in photo pixels.
        deviation: `(N,)` standard deviation of each landmark per axis, in photo pixels.
        box: x, y, width, height of the face in photo pixels.
        score: the face finder's certainty, 0 … 1.
        flags: what deserves a person's look, such as `cut` or `small`.
        covariance: `(N, 2, 2)` in photo pixels², where known; result files carry only the deviation.
        visibility: whether a landmark can be seen, by its number, where a person has said so; predictions say nothing.
    """

    landmarks: np.ndarray
    deviation: np.ndarray
    box: Box
    score: float
    flags: tuple[str, ...] = ()
    covariance: np.ndarray | None = field(default=None, repr=False)
    visibility: Mapping[int, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.landmarks)
        if self.landmarks.shape != (n, 2) or n == 0:
            raise ValueError(f"landmarks must be (N, 2), not {self.landmarks.shape}")
        if self.deviation.shape != (n,):
            raise ValueError(f"deviation must be ({n},), not {self.deviation.shape}")
        if self.covariance is not None and self.covariance.shape != (n, 2, 2):
            raise ValueError(f"covariance must be ({n}, 2, 2), not {self.covariance.shape}")
        if not all(0 <= i < n for i in self.visibility):
            raise ValueError(f"visibility must be of landmarks, 0 to {n - 1}")
        if len(self.box) != 4:
            raise ValueError("box must be x, y, width, height")
        if not (np.isfinite(self.landmarks).all() and np.isfinite(self.box).all()):
            raise ValueError("landmarks and box must be finite")

    @property
    def invisible(self) -> tuple[int, ...]:
        """The landmarks that a person has said cannot be seen."""
        return tuple(number for number, seen in self.visibility.items() if not seen)

    @property
    def area(self) -> float:
        """Photo pixels² of the box."""
        return self.box[2] * self.box[3]


@dataclass(frozen=True)
class PhotoInfo:
    """Which photo a result speaks of: path as the user gave it, size as a person sees it, EXIF orientation 1 … 8."""

    path: str
    width: int
    height: int
    orientation: int = 1


@dataclass(frozen=True)
class ModelInfo:
    """Which model found the landmarks."""

    name: str
    scheme: str
    version: str


@dataclass(frozen=True)
class PhotoResult:
    """A photo's faces, largest first."""

    photo: PhotoInfo
    model: ModelInfo
    faces: tuple[Face, ...]
