"""Every kind of picture that Pillow knows, and odd JPEG files."""

from __future__ import annotations

import numpy as np
from PIL import Image

from hrlm.photos.colour import to_srgb
from hrlm.photos.header import Header
from hrlm.photos.picture import Allocate, damaged, room
from hrlm.photos.samples import customary_white, eight_bit, opaque, strips, white_of_floats

_BITS_PER_SAMPLE = 258

# pixels along each side that tell the scale of floats
_SIDE = 1000


def decode_with_pillow(header: Header, name: str, allocate: Allocate) -> np.ndarray:
    """Pixels `(H, W, 3)` uint8 sRGB of the first picture, turned only as far as Pillow does while loading.

    Raises:
        PhotoError: the file is damaged, cut short or of a kind that Pillow does not know.
    """
    image = header.image
    try:
        image.load()
        white = _white(image)
        pixels = room(image.height, image.width, header.pending_orientation(), allocate)
        for rows in strips(image.height, image.width):
            strip = image.crop((0, rows.start, image.width, rows.stop))
            if strip.mode.startswith(("I", "F")):
                strip = Image.fromarray(eight_bit(np.asarray(strip), white))
            pixels[rows] = np.asarray(to_srgb(opaque(strip), header.profile))
    except MemoryError:
        raise
    except Exception as error:  # decoders raise anything on damaged files
        raise damaged(name, error) from error
    return pixels


def _white(image: Image.Image) -> float:
    """The value of a one-channel picture that stands for white; black is 0."""
    if image.mode.startswith("I;16"):
        tags = getattr(image, "tag_v2", {})
        return 2.0 ** tags.get(_BITS_PER_SAMPLE, (16,))[0] - 1
    if image.mode in ("I", "F"):
        top = float(np.asarray(image.getextrema(), float)[1])
        if image.mode == "I":
            return customary_white(top)
        some = image.resize((min(image.width, _SIDE), min(image.height, _SIDE)), Image.Resampling.NEAREST)
        return white_of_floats(np.asarray(some), top)
    return 255.0
