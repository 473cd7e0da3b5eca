"""`Photo`: the upright sRGB pixels of one picture, and `open_photo`, which reads them from a file."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from hrlm.errors import PhotoError
from hrlm.photos.header import read_header
from hrlm.photos.jpeg import decode_jpeg
from hrlm.photos.other import decode_with_pillow

PHOTO_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".tif", ".tiff", ".avif", ".bmp", ".gif", ".jp2"}
)
"""Lower-case endings by which a folder's photos are told from its other files; contents decide how one is read."""

_RAW_SUFFIXES = frozenset({".dng", ".nef", ".cr2", ".cr3", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw"})
_HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})


@dataclass(frozen=True, eq=False)
class Photo:
    """One picture as a person sees it.

    Args:
        path: the file as the user named it; empty when the pixels came from elsewhere.
        pixels: `(H, W, 3)` uint8 sRGB, upright (EXIF orientation applied), C-contiguous.
        orientation: EXIF orientation that the file carried, 1 … 8.
    """

    path: str
    pixels: np.ndarray = field(repr=False)
    orientation: int = 1

    def __post_init__(self) -> None:
        shape, kind = self.pixels.shape, self.pixels.dtype
        if len(shape) != 3 or shape[2] != 3 or 0 in shape or kind != np.uint8:
            raise ValueError(f"pixels must be a non-empty (H, W, 3) uint8 array, not {shape} {kind}")
        if not self.pixels.flags.c_contiguous:
            raise ValueError("pixels must be C-contiguous")
        if not 1 <= self.orientation <= 8:
            raise ValueError(f"orientation must be 1 … 8, not {self.orientation}")

    @staticmethod
    def from_array(pixels: np.ndarray, path: str = "") -> Photo:
        """A photo of upright sRGB `pixels` `(H, W, 3)` uint8; copied only where they are not C-contiguous.

        Raises:
            ValueError: another shape or type.
        """
        return Photo(path, np.ascontiguousarray(pixels))

    @property
    def width(self) -> int:
        """Pixels from left to right, upright."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Pixels from top to bottom, upright."""
        return int(self.pixels.shape[0])

    def reduced(self, long_side: int) -> tuple[np.ndarray, float]:
        """The whole photo, area-averaged so that its long side is at most `long_side` pixels; never enlarged.

        Returns:
            `(h, w, 3)` uint8 and the ratio new over old size of the long side (0 … 1], as
            `geometry.resize_points` takes it. The short side is rounded to whole pixels, so its own ratio may differ
            by half a reduced pixel over the whole side. Where nothing is to be reduced, the photo's own pixels.

        Raises:
            ValueError: `long_side` below 1.
        """
        if long_side < 1:
            raise ValueError(f"long_side must be at least 1, not {long_side}")
        ratio = long_side / max(self.width, self.height)
        if ratio >= 1:
            return self.pixels, 1.0
        size = max(1, round(self.width * ratio)), max(1, round(self.height * ratio))
        return cv2.resize(self.pixels, size, interpolation=cv2.INTER_AREA), ratio

    def window(self, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
        """A view (no copy) of columns `x0 … x1 - 1` and rows `y0 … y1 - 1`, clipped to the photo; may be empty."""
        return self.pixels[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]


def open_photo(path: str | os.PathLike[str], max_pixels: int = 400_000_000) -> Photo:
    """Read a photo: upright, sRGB, 8 bits a channel, the first picture of a file with several.

    Transparent parts are laid on mid-grey; 16-bit channels keep their upper 8 bits; an embedded ICC profile is
    applied, and ignored where it is broken.

    Args:
        path: JPEG, PNG, WebP, TIFF, AVIF, BMP, GIF or JPEG 2000; contents count, not the ending.
        max_pixels: refuse larger pictures before decoding them.

    Raises:
        PhotoError: the file is missing, no photo, damaged, cut short or too large.
    """
    name = os.fspath(path)
    try:
        return _open(name, max_pixels)
    except FileNotFoundError:
        raise PhotoError(f"{name}: no such file; check the path") from None
    except IsADirectoryError:
        raise PhotoError(f"{name}: is a folder, not a photo; name a file in it") from None
    except PermissionError:
        raise PhotoError(f"{name}: may not be read; check the file's permissions") from None
    except MemoryError:
        raise PhotoError(f"{name}: not enough memory to decode it; close other programs or reduce the photo") from None


def _open(name: str, max_pixels: int) -> Photo:
    path = Path(name)
    # Raw and HEIF files hold a small preview that Pillow can take for the photo.
    if path.suffix.lower() in _RAW_SUFFIXES:
        raise PhotoError(f"{name}: camera raw files are not read; develop it to TIFF or JPEG first")
    if path.suffix.lower() in _HEIF_SUFFIXES:
        raise PhotoError(f"{name}: HEIF files are not read; convert it to JPEG or AVIF first")
    with path.open("rb") as file:
        header = read_header(file, name)
        if header.width * header.height > max_pixels:
            raise PhotoError(
                f"{name}: {header.width} x {header.height} pixels are over the limit of {max_pixels / 1e6:g} "
                "megapixels; reduce the photo or raise max_pixels"
            )
        pixels = decode_jpeg(file, header, name) if header.is_jpeg else None
        if pixels is None:
            pixels = decode_with_pillow(header, name)
    return Photo(name, upright(pixels, header.pending_orientation()), header.orientation)


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Stored pixels `(H, W, 3)` as EXIF `orientation` (1 … 8) wants them seen; C-contiguous.

    Orientations that keep width and height are turned in place, so that a large photo is not held twice.
    """
    if orientation == 2:
        return cv2.flip(pixels, 1, pixels)
    if orientation == 3:
        return cv2.flip(pixels, -1, pixels)
    if orientation == 4:
        return cv2.flip(pixels, 0, pixels)
    if orientation == 5:
        return cv2.transpose(pixels)
    if orientation == 6:
        return cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE)
    if orientation == 7:
        turned = cv2.transpose(pixels)
        return cv2.flip(turned, -1, turned)
    if orientation == 8:
        return cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE)
    return pixels
