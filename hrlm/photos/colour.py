"""ICC profiles to sRGB by LittleCMS, at no cost for pictures that are sRGB already."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

_SPACES = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab "}
_STRIP_PIXELS = 1 << 20

# A profile that moves no colour by more levels than this is sRGB under whatever name, or as good as.
_SAME_LEVELS = 2


def apply_profile(pixels: np.ndarray, profile: bytes | None) -> None:
    """Bring RGB `pixels` `(H, W, 3)` uint8 from the colours of an ICC `profile` to sRGB, in place."""
    change = _transform(profile, "RGB")
    if change is None:
        return
    rows = max(1, _STRIP_PIXELS // pixels.shape[1])
    for top in range(0, len(pixels), rows):
        strip = Image.fromarray(pixels[top : top + rows])
        ImageCms.applyTransform(strip, change, inPlace=True)
        pixels[top : top + rows] = np.asarray(strip)


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """An L, RGB, CMYK or LAB picture as RGB in sRGB; by simple formulas where no usable profile tells better."""
    change = _transform(profile, image.mode)
    if change is None:
        return image.convert("RGB")
    return change.apply(image)


@lru_cache(maxsize=32)
def _transform(profile: bytes | None, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The way from `profile` to sRGB; None where it is broken, made for other channels or next to no change."""
    if profile is None and mode != "LAB":
        return None
    try:
        if profile is None or mode == "LAB":
            source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        else:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if source.profile.xcolor_space != _SPACES.get(mode):
            return None
        change = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None  # a broken profile must not cost the photo
    return change if mode in ("CMYK", "LAB") or _changes_colours(change, mode) else None


def _changes_colours(change: ImageCms.ImageCmsTransform, mode: str) -> bool:
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    samples = levels[:, None] if mode == "L" else np.stack(np.meshgrid(levels, levels, levels), -1).reshape(-1, 1, 3)
    before = Image.fromarray(samples)
    after = np.asarray(change.apply(before)).astype(int)
    return bool(np.abs(after - np.asarray(before.convert("RGB"))).max() > _SAME_LEVELS)
