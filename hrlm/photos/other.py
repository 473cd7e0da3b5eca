"""Every other kind of picture, and odd JPEG files, through Pillow."""

from __future__ import annotations

import numpy as np
from PIL import Image

from hrlm.photos.colour import to_srgb
from hrlm.photos.header import Header, damaged

# Rows are converted in strips of about this many pixels: beside Pillow's own copy only the result is ever whole.
_STRIP_PIXELS = 1 << 20

# Transparent parts hold no colour of their own. Mid-grey leaves an edge against pale and dark skin alike; white or
# black would swallow one of them.
_BACKDROP = (128, 128, 128)

_BITS_PER_SAMPLE = 258


def decode_with_pillow(header: Header, name: str) -> np.ndarray:
    """Pixels `(H, W, 3)` uint8 sRGB of the first picture, turned only as far as Pillow does while loading.

    Raises:
        PhotoError: the file is damaged, cut short or of a kind that Pillow does not know.
    """
    image = header.image
    try:
        image.load()
        white = _white(image)
        pixels = np.empty((image.height, image.width, 3), np.uint8)
        rows = max(1, _STRIP_PIXELS // image.width)
        for top in range(0, image.height, rows):
            bottom = min(top + rows, image.height)
            strip = image.crop((0, top, image.width, bottom))
            pixels[top:bottom] = np.asarray(to_srgb(_eight_bit(strip, white), header.profile))
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
        # These have no agreed white: the smallest customary one that holds all values.
        top = float(np.asarray(image.getextrema(), float)[1])
        return next((white for white in (1.0, 255.0, 65535.0) if top <= white), top)
    return 255.0


def _eight_bit(strip: Image.Image, white: float) -> Image.Image:
    """The strip without transparency and with 8 bits a channel."""
    if strip.mode.startswith(("I", "F")):
        values = np.nan_to_num(np.asarray(strip).astype(np.float32))
        return Image.fromarray(np.rint(np.clip(values * (255 / white), 0, 255)).astype(np.uint8))
    if strip.has_transparency_data:
        backdrop = Image.new("RGB", strip.size, _BACKDROP)
        layer = strip.convert("RGBA")
        backdrop.paste(layer, mask=layer.getchannel("A"))
        return backdrop
    if strip.mode in ("L", "CMYK", "LAB", "RGB"):
        return strip
    return strip.convert("L" if strip.mode == "1" else "RGB")
