"""HEIC and HEIF pictures by libheif, through the optional package pi-heif."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from hrlm.errors import PhotoError
from hrlm.photos.header import exif_orientation
from hrlm.photos.picture import Allocate, Picture, brief, check_size, first_of, optional
from hrlm.photos.samples import fill


def read_heif(file: BinaryIO, name: str, max_pixels: int, allocate: Allocate) -> Picture:
    """The main picture of a HEIF file, 8 bits a channel.

    libheif turns it by the file's own transformations; its EXIF orientation only repeats these and is not applied.

    Raises:
        PhotoError: pi-heif is missing, or the file is damaged, too large or of a coding that libheif lacks.
    """
    heif = optional("pi_heif", name, "HEIC/HEIF", "heif")
    try:
        pictures = heif.open_heif(file)
        image = pictures[pictures.primary_index]
        width, height = image.size
        check_size(name, width, height, max_pixels)
        samples = np.asarray(image)
        pixels = allocate(height, width)
        mode, profile = image.mode, image.info.get("icc_profile")
        fill(pixels, samples[:height, :width].reshape(height, width, -1), mode, 255, profile)
    except (MemoryError, PhotoError):
        raise
    except Exception as error:  # decoders raise anything on damaged files
        raise PhotoError(
            f"{name}: damaged, cut short or of an unknown kind of HEIF ({brief(error)}); restore it or export it "
            "as JPEG"
        ) from error
    return Picture(pixels, _orientation(image.info.get("exif")), notes=_notes(pictures))


def _notes(pictures: Any) -> tuple[str, ...]:
    number, main = len(pictures), pictures.primary_index
    return first_of(number) if main == 0 else (f"picture {main + 1} of {number}, the main one",)


def _orientation(data: bytes | None) -> int:
    exif = Image.Exif()
    try:
        exif.load(data or b"")
        return exif_orientation(exif)
    except Exception:  # EXIF is a hint: whatever is wrong with it, the picture itself can still be read
        return 1
