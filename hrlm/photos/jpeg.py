"""JPEG by libjpeg-turbo straight into an array, three times as fast as through Pillow."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
import simplejpeg

from hrlm.photos.colour import apply_profile
from hrlm.photos.header import Header
from hrlm.photos.picture import Allocate, damaged, room
from hrlm.photos.samples import fill

# libjpeg's words for entropy-coded data that is wrong or missing, which leaves grey or shifted areas. Pillow would
# pass over some of these in silence.
_DAMAGE = ("premature end of", "bad huffman code", "corrupt data")
_NO_END = "premature end of jpeg file"
_END = b"\xff\xd9"


def decode_jpeg(file: BinaryIO, header: Header, name: str, allocate: Allocate) -> np.ndarray | None:
    """Stored sRGB pixels `(H, W, 3)` uint8, or None where the JPEG is of an odd kind that Pillow may know.

    Raises:
        PhotoError: the compressed data is damaged.
    """
    position = file.tell()
    file.seek(0)
    data = file.read()
    file.seek(position)  # Pillow's lazy image goes on from here
    try:
        pixels = _decode(data, room(header.height, header.width, header.pending_orientation(), allocate))
    except ValueError as error:
        if any(sign in str(error).lower() for sign in _DAMAGE):
            raise damaged(name, error) from error
        return None
    if pixels.shape[:2] != (header.height, header.width):
        return None
    if header.profile and header.image.mode == "L":
        # a profile of grey is for one channel, of which the three are copies
        fill(pixels, pixels[..., :1], "L", 255, header.profile)
    else:
        apply_profile(pixels, header.profile)
    return pixels


def _decode(data: bytes, pixels: np.ndarray) -> np.ndarray:
    try:
        return simplejpeg.decode_jpeg(data, "RGB", buffer=pixels)
    except ValueError as error:
        if _NO_END not in str(error).lower():
            raise
        # Some writers forget the end marker: with it the picture is whole, or the loss of more than that shows.
        return simplejpeg.decode_jpeg(data + _END, "RGB", buffer=pixels)
