"""Parts of a portrait that are rendered by themselves: detail at a cost of its own, not of the whole picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hrlm.synthetic.camera import Camera

WHOLE = "portrait"
# the 68 landmarks that a view shows, and how far it reaches beyond them in inter-ocular distances
VIEWS = {"face": (range(68), 0.3), "eyes": (range(36, 48), 0.35), "mouth": (range(48, 68), 0.3)}
NAMES = (WHOLE, *VIEWS)


@dataclass(frozen=True)
class Window:
    """A rectangle of a picture's whole pixels.

    Args:
        left, top: the first column and row.
        width, height: pixels.
    """

    left: int
    top: int
    width: int
    height: int

    @property
    def corner(self) -> np.ndarray:
        """`(2,)` what is taken off picture coordinates to get the window's."""
        return np.array([self.left, self.top], np.float64)


def window(view: str, points: np.ndarray, camera: Camera) -> Window:
    """What a view shows of a picture, within the picture.

    Args:
        view: one of `NAMES`.
        points: `(68, 2)` photo pixels.

    Raises:
        ValueError: none of it is in the picture.
    """
    if view == WHOLE:
        return Window(0, 0, camera.width, camera.height)
    shown, reach = VIEWS[view]
    # of a head turned to the side, eyes lie close together in the picture
    unit = max(np.linalg.norm(points[45] - points[36]), 0.6 * np.linalg.norm(points[27] - points[8]))
    inside = points[list(shown)]
    size = (camera.width, camera.height)
    low = np.clip(np.floor(inside.min(0) - reach * unit), 0, size).astype(int)
    high = np.clip(np.ceil(inside.max(0) + reach * unit) + 1, 0, size).astype(int)
    if (high - low).min() < 1:
        raise ValueError(f"the picture does not show the {view}")
    return Window(*low.tolist(), *(high - low).tolist())
