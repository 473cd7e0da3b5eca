"""Samples of any depth and meaning to 8-bit sRGB, strip by strip: beside the source only the result is ever whole."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from PIL import Image

from hrlm.photos.colour import to_srgb

_STRIP_PIXELS = 1 << 20

# Transparent parts hold no colour of their own. Mid-grey leaves an edge against pale and dark skin alike; white or
# black would swallow one of them.
_BACKDROP = (128, 128, 128)

# The largest value of pictures whose numbers have no agreed white: one of these, by custom.
_CUSTOMARY_WHITES = (1.0, 255.0, 65535.0)

# Floats may go beyond white where a lamp shines or a filter rings: this percentile of what is lit at all tells their
# scale, and may itself be up to so many whites.
_USUAL, _BEYOND = 90, 2.0


def strips(height: int, width: int) -> Iterator[slice]:
    """The rows of a picture in slices of about a megapixel."""
    rows = max(1, _STRIP_PIXELS // width)
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))


def fill(pixels: np.ndarray, samples: np.ndarray, mode: str, white: float, profile: bytes | None) -> None:
    """Write `samples` into `pixels` `(H, W, 3)` uint8 as sRGB.

    Args:
        samples: `(H, W, C)` of any number type; black, or no ink, is 0.
        mode: Pillow's name for the channels: L, LA, RGB, RGBA, RGBa, CMYK or LAB (a and b without sign).
        white: the value that stands for full light (or full ink).
        profile: ICC profile of the samples.
    """
    plain = mode == "RGB" and profile is None
    for rows in strips(*pixels.shape[:2]):
        values = eight_bit(samples[rows], white)
        pixels[rows] = values if plain else np.asarray(to_srgb(opaque(_image(values, mode)), profile))


def eight_bit(values: np.ndarray, white: float) -> np.ndarray:
    """Numbers 0 … `white` as 0 … 255; what is beyond is clipped, what is no number is black."""
    if values.dtype == np.uint8 and white == 255:
        return values
    with np.errstate(over="ignore"):
        scaled = np.nan_to_num(values.astype(np.float32)) * np.float32(255 / white)
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


def customary_white(top: float) -> float:
    """The smallest customary white that is not below the largest value `top`, or `top` itself."""
    return next((white for white in _CUSTOMARY_WHITES if top <= white), top if math.isfinite(top) else 1.0)


def white_of_floats(some: np.ndarray, top: float) -> float:
    """The customary white that fits most of a picture's floats; a few that are beyond it do not count.

    Args:
        some: enough of the samples, or all, to tell.
        top: the largest of all.
    """
    lit = some[some > 0]
    usual = float(np.percentile(lit, _USUAL)) / _BEYOND if lit.size else 0.0
    return customary_white(usual if usual <= _CUSTOMARY_WHITES[-1] else top)


def opaque(image: Image.Image) -> Image.Image:
    """A picture without transparency, of a mode that `to_srgb` takes."""
    if image.has_transparency_data:
        backdrop = Image.new("RGB", image.size, _BACKDROP)
        layer = image.convert("RGBA")
        backdrop.paste(layer, mask=layer.getchannel("A"))
        return backdrop
    if image.mode in ("L", "CMYK", "LAB", "RGB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _image(values: np.ndarray, mode: str) -> Image.Image:
    size = values.shape[1], values.shape[0]
    if mode == "LAB":
        # built of its bands because Pillow expects a and b with sign wherever it reads LAB whole
        return Image.merge("LAB", [Image.fromarray(np.ascontiguousarray(values[..., i])) for i in range(3)])
    return Image.frombytes(mode, size, np.ascontiguousarray(values).tobytes())
