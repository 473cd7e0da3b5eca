"""What every decoder shares: the decoded picture, where its pixels go, and the errors that name file and cure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from hrlm.errors import PhotoError

MAX_PIXELS = 400_000_000
"""Larger pictures are refused unless the caller says otherwise."""

Allocate = Callable[[int, int], np.ndarray]
"""Gives room for a picture of (height, width): a `(H, W, 3)` uint8 array, C-contiguous, of any contents."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture.

    Args:
        pixels: `(H, W, 3)` uint8 sRGB as far as the decoder turned it.
        orientation: EXIF orientation that the file carried, 1 … 8.
        pending: the orientation that is left to apply to `pixels`.
        notes: what a person should know of how it was read.
    """

    pixels: np.ndarray = field(repr=False)
    orientation: int = 1
    pending: int = 1
    notes: tuple[str, ...] = ()


def private(height: int, width: int) -> np.ndarray:
    """Ordinary memory of this process."""
    return np.empty((height, width, 3), np.uint8)


def room(height: int, width: int, pending: int, allocate: Allocate) -> np.ndarray:
    """Where a decoder writes: the final place, unless turning the picture swaps its sides on the way there."""
    return (allocate if pending < 5 else private)(height, width)


def first_of(pictures: int, at_least: bool = False) -> tuple[str, ...]:
    """The note on a file of several pictures; none where there is one."""
    return (f"first of {'at least ' if at_least else ''}{pictures} pictures",) if pictures > 1 else ()


def check_size(name: str, width: int, height: int, max_pixels: int) -> None:
    """Refuse a picture that is too large before it is decoded.

    Raises:
        PhotoError: more than `max_pixels`, or none at all.
    """
    if width < 1 or height < 1:
        raise PhotoError(f"{name}: holds a picture without pixels; restore or export it again")
    if width * height > max_pixels:
        raise PhotoError(
            f"{name}: {width} x {height} pixels are over the limit of {max_pixels / 1e6:g} "
            "megapixels; reduce the photo or raise max_pixels"
        )


def damaged(name: str, error: Exception) -> PhotoError:
    """The error for a picture whose pixels cannot be decoded whole."""
    return PhotoError(f"{name}: damaged or cut short ({brief(error)}); restore the file from its source")


def brief(error: Exception) -> str:
    """A decoder's words in one short line."""
    words = error.args[0] if error.args and isinstance(error.args[0], bytes) else str(error)
    text = words.decode("ascii", "replace") if isinstance(words, bytes) else words
    return " ".join(text.split())[:120] or type(error).__name__


def optional(module: str, name: str, what: str, extra: str) -> Any:
    """An optional decoder, imported at first need.

    Raises:
        PhotoError: not installed; the message names the cure.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise PhotoError(
            f"{name}: {what} needs the package {package}, which is not installed; pip install 'hrlm[{extra}]'"
        ) from error
