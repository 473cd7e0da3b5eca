"""Annotated photos at lower resolution."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from hrlm.geometry import resize_points
from hrlm.photos import Photo


def reduced(photo: Photo, points: np.ndarray, width: float) -> tuple[Photo, np.ndarray]:
    """The photo reduced by area averaging until the bounding box of `points` `(N, 2)` is `width` pixels wide.

    Returns:
        the photo and the points in its pixels; as wide as asked to within half a pixel of the photo's size.

    Raises:
        ValueError: the box is narrower than `width` already.
    """
    ratio = width / float(np.ptp(points[:, 0]))
    if ratio > 1:
        raise ValueError(f"the face is only {np.ptp(points[:, 0]):.0f} pixels wide, less than {width:g}")
    size = max(1, round(photo.width * ratio)), max(1, round(photo.height * ratio))
    pixels = cv2.resize(photo.pixels, size, interpolation=cv2.INTER_AREA)
    # sizes are whole pixels, so each axis has a ratio of its own
    ratios = torch.tensor([size[0] / photo.width, size[1] / photo.height], dtype=torch.float64)
    moved = resize_points(torch.from_numpy(points), ratios).numpy()
    return Photo.from_array(pixels, photo.path), moved
