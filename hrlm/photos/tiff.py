"""TIFF files beyond Pillow's reach (float, planar, odd depths, rare compressions), through the optional tifffile."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np

from hrlm.errors import PhotoError
from hrlm.photos.picture import Allocate, Picture, brief, check_size, damaged, first_of, optional, room
from hrlm.photos.raw import read_raw
from hrlm.photos.samples import customary_white, fill, white_of_floats

_ORIENTATION, _ICC_PROFILE, _DNG_VERSION = 274, 34675, 50706
_ASSOCIATED, _UNASSOCIATED = 1, 2
_MODES = {"MINISBLACK": "L", "MINISWHITE": "L", "RGB": "RGB", "YCBCR": "RGB", "SEPARATED": "CMYK"}
# pixels along each side that tell the scale of floats, and the largest number of 16 bits
_SIDE, _DEEP = 1000, 65535
_SAMPLES = {"L": 1, "RGB": 3, "CMYK": 4}


def read_tiff(
    file: BinaryIO, name: str, max_pixels: int, allocate: Allocate, pillow: PhotoError | None = None
) -> Picture:
    """The first picture of a TIFF file that Pillow does not read right, or could not read for the reason `pillow`.

    Raises:
        PhotoError: tifffile or imagecodecs is missing, or the file is damaged, too large or of an unknown kind.
    """
    try:
        tifffile = optional("tifffile", name, "this kind of TIFF", "tiff")
    except PhotoError as missing:
        if pillow is None:
            raise
        raise PhotoError(f"{pillow}; if the file is whole: pip install 'hrlm[tiff]'") from missing
    file.seek(0)
    try:
        with tifffile.TiffFile(file) as tiff:
            page = tiff.pages[0]
            if _DNG_VERSION in page.tags:
                return read_raw(file, name, max_pixels, allocate)
            check_size(name, page.imagewidth, page.imagelength, max_pixels)
            check_size(name, max(page.tilewidth, 1), max(page.tilelength, 1), max_pixels)
            samples, mode, white = _samples(page, name)
            orientation = _tag(page, _ORIENTATION)
            orientation = orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1
            pixels = room(page.imagelength, page.imagewidth, orientation, allocate)
            fill(pixels, samples, mode, white, _tag(page, _ICC_PROFILE))
            notes = first_of(len(tiff.pages))
    except (MemoryError, PhotoError):
        raise
    except Exception as error:  # decoders raise anything on damaged files
        if "imagecodecs" in str(error):
            raise PhotoError(f"{name}: {brief(error)}; pip install 'hrlm[tiff]'") from error
        raise damaged(name, error) from error
    return Picture(pixels, orientation, orientation, notes)


def _samples(page: Any, name: str) -> tuple[np.ndarray, str, float]:
    """`(H, W, C)` with 0 for black or no ink, Pillow's name for the channels, and the value of white."""
    colour = page.photometric.name if hasattr(page.photometric, "name") else ""
    mode = _MODES.get(colour, "")
    if not mode or page.imagedepth != 1 or not _SAMPLES[mode] <= page.samplesperpixel <= 8 or page.dtype is None:
        raise PhotoError(f"{name}: an unusual TIFF ({colour or 'no'} colours); export it as an RGB TIFF or JPEG")
    size = page.parent.filehandle.size
    if any(start + length > size for start, length in zip(page.dataoffsets, page.databytecounts, strict=True)):
        raise ValueError("it ends too early")
    samples = page.asarray(maxworkers=1)
    samples = samples.transpose(1, 2, 0) if page.axes.startswith("S") else samples
    samples = samples.reshape(page.imagelength, page.imagewidth, -1)
    if samples.dtype.kind == "f":
        rows, columns = (max(1, side // _SIDE) for side in samples.shape[:2])
        white = white_of_floats(samples[::rows, ::columns], float(np.nanmax(samples, initial=0)))
    else:
        white = 2.0 ** (page.bitspersample - (samples.dtype.kind == "i")) - 1
        if page.bitspersample > 16 and (top := float(samples.max(initial=0))) <= _DEEP:
            # of the full scale such numbers are black: a picture of fewer bits in wider ones
            white = customary_white(top)
    if colour == "MINISWHITE":
        samples = white - samples.astype(np.float32)
    colours, extra = _SAMPLES[mode], page.extrasamples[:1]
    if extra and mode != "CMYK" and int(extra[0]) in (_ASSOCIATED, _UNASSOCIATED):
        # grey with its light already cut by the mask has no mode of its own
        samples = samples[..., [0, 0, 0, 1]] if mode == "L" else samples[..., :4]
        return samples, "RGBa" if int(extra[0]) == _ASSOCIATED else "RGBA", white
    return samples[..., :colours], mode, white


def _tag(page: Any, code: int) -> Any:
    tag = page.tags.get(code)
    return tag.value if tag is not None else None
