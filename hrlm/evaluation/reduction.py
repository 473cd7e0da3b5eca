"""Annotated photos at lower resolution."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from hrlm.geometry import resize_points
from hrlm.photos import Photo


def resized(photo: Photo, ratio: float) -> tuple[Photo, np.ndarray]:
    """The photo reduced by area averaging to `ratio` (0 … 1] of its size.

    Returns:
        the photo and its ratios `(2,)` of width and height: sizes are whole pixels, so each axis has its own.
    """
    size = max(1, round(photo.width * ratio)), max(1, round(photo.height * ratio))
    pixels = cv2.resize(photo.pixels, size, interpolation=cv2.INTER_AREA)
    return Photo.from_array(pixels, photo.path), np.array([size[0] / photo.width, size[1] / photo.height])


def moved(points: np.ndarray, ratios: np.ndarray) -> np.ndarray:
    """Points `(N, 2)` of a photo in the pixels of the same photo resized by `ratios` `(2,)`."""
    return resize_points(torch.from_numpy(points), torch.from_numpy(ratios)).numpy()


def reduced(photo: Photo, points: np.ndarray, face: float, width: float) -> tuple[Photo, np.ndarray]:
    """The photo reduced until a face that is `face` pixels wide has `width` pixels, and the face's points `(N, 2)`.

    Returns:
        the photo and the points in its pixels; as wide as asked to within half a pixel of the photo's size.

    Raises:
        ValueError: the face is narrower than `width` already.
    """
    if width > face:
        raise ValueError(f"the face is only {face:.0f} pixels wide, less than {width:g}")
    small, ratios = resized(photo, width / face)
    return small, moved(points, ratios)
