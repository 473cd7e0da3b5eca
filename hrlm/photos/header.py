"""What a photo file says of itself before any pixel is decoded: size, orientation, colour profile."""

from __future__ import annotations

import logging
import threading
import warnings
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from hrlm.errors import PhotoError
from hrlm.photos.picture import MAX_PIXELS, brief, check_size, first_of

# Formats that hold photos. The others are left out because some of them start other programs to be read.
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "BMP", "GIF", "JPEG2000", "PPM")
_ORIENTATION = 0x0112
_SUBFILE_TYPE = 0x00FE
_SUB_IFDS = 0x014A
_DNG_VERSION = 0xC612
_BITS_PER_SAMPLE, _SAMPLE_FORMAT, _PLANES, _PHOTOMETRIC = 258, 339, 284, 262
_SIGNED, _FLOAT = 2, 3
_WHITE_IS_ZERO = 0

# Further pictures are counted up to here: a file of a few bytes a page would take for ever.
_MOST_COUNTED = 1000

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
        orientation: EXIF orientation, 1 … 8 (1 where there is none or nonsense); 0 for PNG, where it may stand behind
            the pixels: pending_orientation tells it once they are decoded.
        profile: embedded ICC profile, or None.
        notes: that there are further pictures, where there are.
    """

    image: Image.Image
    orientation: int
    profile: bytes | None
    notes: tuple[str, ...] = ()

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

    @property
    def is_raw(self) -> bool:
        """Whether this is a camera raw file, of which Pillow sees a preview at most."""
        tags = getattr(self.image, "tag_v2", None)
        if tags is None or self.image.format != "TIFF":
            return False
        kind = tags.get(_SUBFILE_TYPE, 0)
        return _DNG_VERSION in tags or (isinstance(kind, int) and bool(kind & 1))

    @property
    def is_preview(self) -> bool:
        """Whether what Pillow sees of a raw file is not its photo: there is more in the file than that."""
        tags = getattr(self.image, "tag_v2", {})
        return _DNG_VERSION in tags or _SUB_IFDS in tags

    @property
    def is_misread(self) -> bool:
        """Whether this is a TIFF that Pillow takes, and gets the values of wrong."""
        tags = getattr(self.image, "tag_v2", None)
        if tags is None or self.image.format != "TIFF":
            return False
        deep = max(tags.get(_BITS_PER_SAMPLE, (1,))) > 8
        kinds, in_planes = set(tags.get(_SAMPLE_FORMAT, (1,))), tags.get(_PLANES, 1) == 2
        swapped_floats = _FLOAT in kinds and tags.prefix == b"MM"
        odd_planes = in_planes and (deep or self.image.mode == "LA")
        inverted = deep and tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
        # Pillow's own numbers have a sign: the upper half would be negative
        wrapped = self.image.mode == "I" and _FLOAT not in kinds
        return swapped_floats or odd_planes or _SIGNED in kinds or inverted or wrapped

    def pending_orientation(self) -> int:
        """The orientation that decoding has left to apply: Pillow turns TIFF pictures itself while loading."""
        return _orientation(self.image)


def read_header(file: BinaryIO, name: str, max_pixels: int = MAX_PIXELS) -> Header:
    """Identify the picture in an open `file`; `name` is for messages.

    Raises:
        PhotoError: not a photo, larger than `max_pixels`, or its header is damaged.
    """
    with _pillow_settings, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(file, formats=_FORMATS)
            check_size(name, image.width, image.height, max_pixels)
            # Pillow decodes a PNG whole when it is asked for EXIF
            orientation = 0 if image.format == "PNG" else _orientation(image)
            return Header(image, orientation, image.info.get("icc_profile") or None, _notes(image))
        except PhotoError:
            raise
        except UnidentifiedImageError:
            raise PhotoError(f"{name}: not a photo that can be read; convert it to JPEG, PNG or TIFF") from None
        except Exception as error:  # decoders raise anything on damaged headers
            raise PhotoError(f"{name}: damaged header ({brief(error)}); restore or export it again") from error
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def exif_orientation(exif: Image.Exif) -> int:
    """The orientation of EXIF data, 1 … 8; 1 where there is none or nonsense."""
    value = exif.get(_ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _orientation(image: Image.Image) -> int:
    try:
        return exif_orientation(image.getexif())
    except Exception:  # EXIF is a hint: whatever is wrong with it, the picture itself can still be read
        return 1


def _notes(image: Image.Image) -> tuple[str, ...]:
    try:
        if image.format in ("JPEG", "MPO"):
            # most phones append small or technical pictures to the photo: only pictures in their own right count
            entries = getattr(image, "mpinfo", {}).get(0xB002, ())
            return first_of(sum(e["Attribute"]["MPType"].startswith("Multi-Frame") for e in entries))
        return _counted(image) if image.format == "TIFF" else first_of(getattr(image, "n_frames", 1))
    except Exception:  # how many more there are is not worth the first
        return ()


def _counted(image: Image.Image) -> tuple[str, ...]:
    """Count the pictures of a TIFF file; reduced copies of one are none of their own."""
    pictures = 1
    try:
        for index in range(1, _MOST_COUNTED):
            image.seek(index)
            kind = getattr(image, "tag_v2", {}).get(_SUBFILE_TYPE, 0)
            pictures += not (isinstance(kind, int) and kind & 1)
        return first_of(pictures, at_least=True)
    except EOFError:
        return first_of(pictures)
    finally:
        image.seek(0)
