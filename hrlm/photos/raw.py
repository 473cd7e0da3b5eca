"""Camera raw files by LibRaw, through the optional package rawpy."""

from __future__ import annotations

from typing import BinaryIO

from hrlm.errors import PhotoError
from hrlm.photos.picture import Allocate, Picture, brief, check_size, optional

RAW_SUFFIXES = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos", ".mrw"}
    | {".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"}
)
"""Lower-case endings of camera raw files."""

# LibRaw's flips (1 left to right, 2 top to bottom, 4 transposed first) as EXIF orientations.
_ORIENTATIONS = (1, 2, 4, 3, 5, 8, 6, 7)


def read_raw(file: BinaryIO, name: str, max_pixels: int, allocate: Allocate) -> Picture:
    """A raw photo developed at full size with the camera's white balance, upright.

    Raises:
        PhotoError: rawpy is missing, or the file is damaged, too large or of a camera that LibRaw does not know.
    """
    rawpy = optional("rawpy", name, "camera raw", "raw")
    file.seek(0)
    try:
        with rawpy.imread(file) as raw:
            sizes = raw.sizes
            check_size(name, sizes.raw_width, sizes.raw_height, max_pixels)
            pixels = raw.postprocess(use_camera_wb=True, output_color=rawpy.ColorSpace.sRGB, output_bps=8)
            # LibRaw has turned the picture by this already
            orientation = _ORIENTATIONS[sizes.flip & 7]
        if pixels.shape[2] == 1:
            pixels = pixels.repeat(3, axis=2)
    except (MemoryError, PhotoError):
        raise
    except Exception as error:  # decoders raise anything on damaged files
        raise PhotoError(
            f"{name}: damaged, cut short or of an unknown camera ({brief(error)}); restore it or develop it to "
            "TIFF or JPEG"
        ) from error
    return Picture(pixels, orientation)
