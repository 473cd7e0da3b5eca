"""The rendered portraits of examples/ as a small training set: reduced photos with their 68 landmarks."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np

from hrlm.formats import pts
from hrlm.geometry import resize_points
from hrlm.photos import open_photo

FOLDER = Path(__file__).parents[2] / "examples" / "heads"
# whose order and number tests rely on
NUMBERS = (0, 7, 13, 22, 29, 31)
SIDE = 400


@cache
def heads() -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Pixels `(SIDE, SIDE, 3)` and landmarks `(68, 2)` of each."""
    made = []
    for photo in (FOLDER / f"head-2026-{number:04}.jpg" for number in NUMBERS):
        pixels, ratio = open_photo(photo).reduced(SIDE)
        made.append((pixels, np.asarray(resize_points(pts.read(photo.with_suffix(".pts")), ratio))))
    return tuple(made)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))


def write(folder: Path, names: str) -> None:
    """The first few heads as NAME.png and NAME.pts, a letter each."""
    for name, (pixels, points) in zip(names, heads(), strict=False):
        save(folder / f"{name}.png", pixels)
        pts.write(folder / f"{name}.pts", points)
