"""Pictures as JPEG and PNG files that keep what the photo's file said of itself."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageCms

from hrlm.errors import HrlmError
from hrlm.photos.colour import apply_profile
from hrlm.photos.header import read_header
from hrlm.photos.kinds import Kind, kind_of
from hrlm.photos.picture import optional

# of libjpeg
JPEG_LIMIT = 65500
JPEG_EXIF_LIMIT = 65533
PNG_EFFORT = 3
# tags that tell how a TIFF file lays its pixels out, or hold other metadata whole: untrue of another file
LAYOUT = {254, 255, *range(256, 260), 262, 263, 266, 273, *range(277, 282), 284, 317, 320, *range(322, 326)}
LAYOUT |= {330, 338, 339, 347, 700, 33723, 34377, 34675, *range(512, 522), *range(529, 533)}
UPRIGHT = 1
EXIF, ORIENTATION, PIXEL_WIDTH, PIXEL_HEIGHT = 0x8769, 0x0112, 0xA002, 0xA003


@dataclass(frozen=True)
class Metadata:
    """What a written picture takes over from the photo's file.

    Args:
        profile: an ICC profile that is true of the sRGB pixels that hrlm works on, where the photo had a profile.
        exif: EXIF with the orientation reset, as the pixels are upright.
    """

    profile: bytes | None = None
    exif: Image.Exif | None = None


def read_metadata(path: str) -> Metadata:
    """The metadata of a photo's file; what is broken or missing is left out.

    A profile that is sRGB by any name is kept as it is. With any other the pixels were converted: they are marked sRGB.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            profile, exif = _source(file, path)
            return Metadata(_true_profile(profile) if profile else None, _cleaned(exif))
    except Exception:  # files are broken in as many ways as there are makers, and no picture hangs on what they say
        return Metadata()


def _source(file: BinaryIO, path: str) -> tuple[bytes | None, Image.Exif]:
    if kind_of(file, False) is not Kind.HEIF:
        header = read_header(file, path)
        return header.profile, header.image.getexif()
    pictures = optional("pi_heif", path, "HEIC/HEIF", "heif").open_heif(file)
    info = pictures[pictures.primary_index].info
    exif = Image.Exif()
    exif.load(info.get("exif") or b"")
    return info.get("icc_profile"), exif


def _cleaned(exif: Image.Exif) -> Image.Exif | None:
    try:
        # read while the file is open
        _ = exif.get_ifd(EXIF), exif.get_ifd(ExifTags.IFD.GPSInfo)
        for tag in LAYOUT & set(exif):
            del exif[tag]
        if not len(exif):
            return None
        exif[ORIENTATION] = UPRIGHT
        exif.tobytes()
    except Exception:  # the profile is still good
        return None
    return exif


def jpeg_bytes(pixels: np.ndarray, quality: int = 92, metadata: Metadata = Metadata()) -> bytes:
    """A picture `(H, W, 3)` or `(H, W)` uint8 as a JPEG file; colour is not subsampled, for the sake of thin lines.

    Raises:
        HrlmError: larger than a JPEG can be.
    """
    if max(pixels.shape[:2]) > JPEG_LIMIT:
        raise HrlmError(f"a JPEG holds at most {JPEG_LIMIT} pixels a side: write PNG")
    exif = _exif_bytes(pixels, metadata)
    # a maker's notes may fill the one segment that a JPEG has for EXIF
    kept = exif if len(exif) <= JPEG_EXIF_LIMIT else b""
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    image.save(file, "JPEG", quality=quality, subsampling=0, icc_profile=metadata.profile, exif=kept)
    return file.getvalue()


def png_bytes(pixels: np.ndarray, metadata: Metadata = Metadata()) -> bytes:
    """A picture `(H, W, 3)` or `(H, W)` uint8 as a PNG file."""
    file = io.BytesIO()
    exif = _exif_bytes(pixels, metadata)
    image = Image.fromarray(pixels)
    image.save(file, "PNG", compress_level=PNG_EFFORT, icc_profile=metadata.profile, exif=exif or None)
    return file.getvalue()


def _exif_bytes(pixels: np.ndarray, metadata: Metadata) -> bytes:
    if metadata.exif is None:
        return b""
    own = metadata.exif.get_ifd(EXIF)
    if PIXEL_WIDTH in own:
        own[PIXEL_WIDTH], own[PIXEL_HEIGHT] = pixels.shape[1], pixels.shape[0]
    data: bytes = metadata.exif.tobytes()
    return data


@lru_cache(maxsize=32)
def _true_profile(profile: bytes) -> bytes:
    """`profile` where it is RGB and leaves sRGB pixels as they are, else sRGB's own."""
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    before = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(-1, 1, 3)
    after = before.copy()
    apply_profile(after, profile)
    try:
        space = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space.strip()
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        space = ""
    if space == "RGB" and (after == before).all():
        return profile
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
