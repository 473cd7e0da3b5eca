"""What a photo file says of itself before any pixel is decoded: size, orientation, colour profile."""

from __future__ import annotations

import logging
import threading
import warnings
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from hrlm.errors import PhotoError

# Formats that hold photos. The others are left out because some of them start other programs to be read.
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "BMP", "GIF", "JPEG2000", "PPM")
_ORIENTATION = 0x0112
_SUBFILE_TYPE = 0x00FE

# Pillow registers its formats at first need, which two threads opening files at once would see half done.
Image.init()

# Without a handler Pillow's remarks on odd files would reach the terminal.
logging.getLogger("PIL").addHandler(logging.NullHandler())

# Pillow's size limit and Python's warning filters belong to the process: changed for a header's length, one at a time.
_pillow_settings = threading.Lock()


@dataclass(frozen=True, eq=False)
class Header:
    """An opened, not yet decoded picture.

    Args:
        image: Pillow's lazy image; its file must stay open until it is loaded.
        orientation: EXIF orientation, 1 … 8 (1 where there is none or nonsense).
        profile: embedded ICC profile, or None.
    """

    image: Image.Image
    orientation: int
    profile: bytes | None

    @property
    def width(self) -> int:
        """Stored pixels a row."""
        return self.image.width

    @property
    def height(self) -> int:
        """Stored rows."""
        return self.image.height

    @property
    def is_jpeg(self) -> bool:
        """Whether the file is a JPEG stream (or several: MPO)."""
        return self.image.format in ("JPEG", "MPO")

    def pending_orientation(self) -> int:
        """The orientation that decoding has left to apply: Pillow turns TIFF pictures itself while loading."""
        return _orientation(self.image)


def read_header(file: BinaryIO, name: str) -> Header:
    """Identify the picture in an open `file`; `name` is for messages.

    Raises:
        PhotoError: not a photo, or its header is damaged.
    """
    with _pillow_settings, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(file, formats=_FORMATS)
            header = Header(image, _orientation(image), image.info.get("icc_profile") or None)
        except UnidentifiedImageError:
            raise PhotoError(f"{name}: not a photo that can be read; convert it to JPEG, PNG or TIFF") from None
        except Exception as error:  # decoders raise anything on damaged headers
            raise PhotoError(f"{name}: damaged header ({_brief(error)}); restore or export it again") from error
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    if _is_preview(image):
        raise PhotoError(f"{name}: only a preview inside a camera raw file can be read; develop it to TIFF or JPEG")
    return header


def damaged(name: str, error: Exception) -> PhotoError:
    """The error for a picture whose pixels cannot be decoded whole."""
    return PhotoError(f"{name}: damaged or cut short ({_brief(error)}); restore the file from its source")


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # EXIF is a hint: whatever is wrong with it, the picture itself can still be read
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _is_preview(image: Image.Image) -> bool:
    tags = getattr(image, "tag_v2", None)
    kind = tags.get(_SUBFILE_TYPE, 0) if tags is not None and image.format == "TIFF" else 0
    return isinstance(kind, int) and bool(kind & 1)
