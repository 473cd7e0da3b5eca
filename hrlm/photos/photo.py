"""`Photo`: the upright sRGB pixels of one picture, and `open_photo`, which reads them from a file."""

from __future__ import annotations

import io
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np

from hrlm.errors import PhotoError
from hrlm.photos.header import Header, read_header
from hrlm.photos.heif import read_heif
from hrlm.photos.jpeg import decode_jpeg
from hrlm.photos.kinds import Kind, kind_of
from hrlm.photos.other import decode_with_pillow
from hrlm.photos.picture import MAX_PIXELS, Allocate, Picture, private
from hrlm.photos.psd import read_psd
from hrlm.photos.raw import RAW_SUFFIXES, read_raw
from hrlm.photos.tiff import read_tiff

# halving leaves out an odd side's last pixel: of so many it is next to nothing
_HALVED_FROM = 64
# rows of the halved picture that are made at once
_STRIP = 32
PHOTO_SUFFIXES = RAW_SUFFIXES | frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".tif", ".tiff", ".avif", ".bmp", ".gif", ".jp2"}
    | {".heic", ".heif", ".hif", ".psd", ".psb"}
)
"""Lower-case endings by which a folder's photos are told from its other files; contents decide how one is read."""


@dataclass(frozen=True, eq=False)
class Photo:
    """One picture as a person sees it.

    Args:
        path: the file as the user named it; empty when the pixels came from elsewhere.
        pixels: `(H, W, 3)` uint8 sRGB, upright (EXIF orientation applied), C-contiguous.
        orientation: EXIF orientation that the file carried, 1 … 8.
        notes: what a person should know of how the file was read, such as `first of 3 pictures`.
    """

    path: str
    pixels: np.ndarray = field(repr=False)
    orientation: int = 1
    notes: tuple[str, ...] = ()

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
        """The whole photo, averaged so that its long side is at most `long_side` pixels; never enlarged.

        Returns:
            `(h, w, 3)` uint8 and the ratio (0 … 1] of the long side's pixels, new over old, as
            `geometry.resize_points` takes it. The short side is rounded to whole pixels, so its own ratio may differ
            by half a reduced pixel over the whole side; of a side that is halved and odd, the last pixels are left
            out. Where nothing is to be reduced, the photo's own pixels.

        Raises:
            ValueError: `long_side` below 1.
        """
        if long_side < 1:
            raise ValueError(f"long_side must be at least 1, not {long_side}")
        # halving costs an eighth of an area average by a broken ratio; once halved, samples do for the rest
        halvings, (height, width) = 0, self.pixels.shape[:2]
        while max(height, width) >= 2 * long_side and min(height, width) >= _HALVED_FROM:
            halvings, height, width = halvings + 1, height // 2, width // 2
        pixels, ratio = _halved(self.pixels, halvings), 0.5**halvings
        kind = cv2.INTER_LINEAR if halvings else cv2.INTER_AREA
        rest = long_side / max(pixels.shape[:2])
        if rest >= 1:
            return pixels, ratio
        height, width = (max(1, round(side * rest)) for side in pixels.shape[:2])
        kind = kind if rest > 0.5 else cv2.INTER_AREA
        return cv2.resize(pixels, (width, height), interpolation=kind), ratio * rest

    def window(self, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
        """A view (no copy) of columns `x0 … x1 - 1` and rows `y0 … y1 - 1`, clipped to the photo; may be empty."""
        return self.pixels[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]


def _halved(pixels: np.ndarray, times: int) -> np.ndarray:
    """Pixels `(H, W, 3)` halved so many times; of an odd side the last ones are left out each time.

    In strips, through all halvings at once: the first one alone would take a quarter of the photo's memory.
    """
    if not times:
        return pixels
    height, width = (side >> times for side in pixels.shape[:2])
    out = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _STRIP):
        part = pixels[top << times : min(top + _STRIP, height) << times]
        for _ in range(times):
            h, w = (side // 2 for side in part.shape[:2])
            part = cv2.resize(part[: 2 * h, : 2 * w], (w, h), interpolation=cv2.INTER_AREA)
        out[top : top + _STRIP] = part
    return out


def open_photo(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> Photo:
    """Read a photo: upright, sRGB, 8 bits a channel, the first picture of a file with several.

    Transparent parts are laid on mid-grey; 16-bit channels keep their upper 8 bits; an embedded ICC profile is
    applied, and ignored where it is broken. A raw file is developed with the camera's white balance.

    Args:
        path: JPEG, PNG, WebP, TIFF, AVIF, BMP, GIF, JPEG 2000 or PSD; with the extras of the same name HEIF, camera
            raw and rare kinds of TIFF. Contents count, not the ending.
        max_pixels: refuse larger pictures before decoding them.

    Raises:
        PhotoError: the file is missing, no photo, damaged, cut short or too large, or its decoder is not installed.
    """
    return read_photo(os.fspath(path), max_pixels, private)


def read_photo(name: str, max_pixels: int, allocate: Allocate) -> Photo:
    """As `open_photo`, with pixels in memory of the caller's: most decoders write there without a detour.

    The photo's pixels are not in the memory given where a decoder brings its own.
    """
    try:
        return _read(name, max_pixels, allocate)
    except FileNotFoundError:
        raise PhotoError(f"{name}: no such file; check the path") from None
    except IsADirectoryError:
        raise PhotoError(f"{name}: is a folder, not a photo; name a file in it") from None
    except PermissionError:
        raise PhotoError(f"{name}: may not be read; check the file's permissions") from None
    except MemoryError:
        raise PhotoError(f"{name}: not enough memory to decode it; close other programs or reduce the photo") from None
    except OSError as error:
        raise PhotoError(f"{name}: cannot be read ({error.strerror or error}); check the file and its disk") from error


class _File(io.BufferedReader):
    """A file of which no more is asked than it holds: Python sets aside whatever size a damaged file makes one read."""

    def read(self, size: int | None = -1) -> bytes:
        """As of any file."""
        if size is not None and size > io.DEFAULT_BUFFER_SIZE:
            size = min(size, max(0, os.fstat(self.fileno()).st_size - self.tell()))
        return super().read(size)


def _read(name: str, max_pixels: int, allocate: Allocate) -> Photo:
    if "\0" in name:
        raise FileNotFoundError
    path = Path(name)
    kind = path.stat().st_mode
    if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
        # asked before opening, which would wait for the pipe's other end
        raise PhotoError(f"{name}: is a pipe or a device, not a file; save the photo as a file first")
    with _File(io.FileIO(path)) as file:
        picture = _decode(file, name, max_pixels, allocate)
    pixels = upright(picture.pixels, picture.pending, allocate)
    return Photo(name, pixels, picture.orientation, picture.notes)


def _decode(file: BinaryIO, name: str, max_pixels: int, allocate: Allocate) -> Picture:
    kind = kind_of(file, Path(name).suffix.lower() in RAW_SUFFIXES)
    if kind is Kind.RAW:
        return read_raw(file, name, max_pixels, allocate)
    if kind is Kind.HEIF:
        return read_heif(file, name, max_pixels, allocate)
    if kind is Kind.PSD:
        return read_psd(file, name, max_pixels, allocate)
    if kind is Kind.TIFF:
        return _decode_tiff(file, name, max_pixels, allocate)
    header = read_header(file, name, max_pixels)
    pixels = decode_jpeg(file, header, name, allocate) if header.is_jpeg else None
    if pixels is None:
        pixels = decode_with_pillow(header, name, allocate)
    return _picture(pixels, header)


def _decode_tiff(file: BinaryIO, name: str, max_pixels: int, allocate: Allocate) -> Picture:
    try:
        header = read_header(file, name, max_pixels)
    except PhotoError as error:
        return read_tiff(file, name, max_pixels, allocate, error)
    if header.is_raw:
        place = file.tell()
        try:
            return read_raw(file, name, max_pixels, allocate)
        except PhotoError:
            if header.is_preview:
                raise
        # other programs too mark a picture as reduced; Pillow's lazy image goes on from here
        file.seek(place)
    if header.is_misread:
        return read_tiff(file, name, max_pixels, allocate)
    try:
        return _picture(decode_with_pillow(header, name, allocate), header)
    except PhotoError as error:
        return read_tiff(file, name, max_pixels, allocate, error)


def _picture(pixels: np.ndarray, header: Header) -> Picture:
    pending = header.pending_orientation()
    return Picture(pixels, header.orientation or pending, pending, header.notes)


def upright(pixels: np.ndarray, orientation: int, allocate: Allocate = private) -> np.ndarray:
    """Stored pixels `(H, W, 3)` as EXIF `orientation` (1 … 8) wants them seen; C-contiguous.

    Orientations that keep width and height are turned in place, so that a large photo is not held twice; the others
    are turned into what `allocate` gives.
    """
    if orientation == 2:
        return cv2.flip(pixels, 1, pixels)
    if orientation == 3:
        return cv2.flip(pixels, -1, pixels)
    if orientation == 4:
        return cv2.flip(pixels, 0, pixels)
    if orientation < 5:
        return pixels
    turned = allocate(pixels.shape[1], pixels.shape[0])
    if orientation == 6:
        return cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE, turned)
    if orientation == 8:
        return cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE, turned)
    cv2.transpose(pixels, turned)
    return cv2.flip(turned, -1, turned) if orientation == 7 else turned
