"""What a camera adds to a rendered picture: motion blur, noise and JPEG. None of it moves a landmark."""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image


def motion_blur(pixels: np.ndarray, length: float, direction: float) -> np.ndarray:
    """Blur `(H, W, 3)` uint8 along a straight line whose middle stays where it is.

    Args:
        length: pixels.
        direction: radians, clockwise from the right.
    """
    reach = int(np.ceil(length / 2)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float64)
    along = x * np.cos(direction) + y * np.sin(direction)
    across = y * np.cos(direction) - x * np.sin(direction)
    kernel = np.clip(length / 2 + 0.5 - np.abs(along), 0, 1) * np.clip(1 - np.abs(across), 0, 1)
    return cv2.filter2D(pixels, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT)


def sensor_noise(pixels: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Noise on `(H, W, 3)` uint8, mostly of brightness and stronger in the shadows.

    Args:
        deviation: grey levels of 255 at middle grey.
    """
    grey = rng.standard_normal(pixels.shape[:2], np.float32)[..., None]
    colour = rng.standard_normal(pixels.shape, np.float32)
    strength = deviation * (1.3 - 0.6 * pixels.astype(np.float32) / 255)
    return np.clip(pixels + strength * (0.8 * grey + 0.4 * colour) + 0.5, 0, 255).astype(np.uint8)


def jpeg(pixels: np.ndarray, quality: int) -> bytes:
    """`(H, W, 3)` uint8 as a JPEG file's bytes."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=quality, optimize=True)
    return out.getvalue()
