"""Colour profiles: applied where they change colours, passed over where they do not or are broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from hrlm.photos import open_photo
from hrlm.photos.colour import apply_profile


def _srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _swapped() -> bytes:
    """sRGB with red and green exchanged: an unmistakable profile."""
    data = _srgb()
    return data.replace(b"rXYZ", b"tmpX").replace(b"gXYZ", b"rXYZ").replace(b"tmpX", b"gXYZ")


@pytest.fixture
def patch() -> np.ndarray:
    pixels = np.zeros((40, 50, 3), np.uint8)
    pixels[...] = (200, 90, 40)
    return pixels


@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
def test_a_profile_is_applied(tmp_path: Path, patch: np.ndarray, ending: str) -> None:
    path = tmp_path / f"wide.{ending}"
    Image.fromarray(patch).save(path, icc_profile=_swapped(), quality=100)
    assert np.abs(open_photo(path).pixels.astype(int) - (90, 200, 40)).max() <= 6


def _dark_grey() -> bytes:
    """A profile of grey in proportion to light: its middle is far brighter in sRGB."""
    body = b"desc" + bytes(4) + (2).to_bytes(4, "big") + b"g\0" + bytes(78)
    body = body.ljust(92, b"\0")
    white = b"XYZ " + bytes(4) + b"".join(round(v * 65536).to_bytes(4, "big") for v in (0.9642, 1.0, 0.8249))
    curve = b"curv" + bytes(8)
    table = (3).to_bytes(4, "big")
    for name, start, size in ((b"desc", 168, 92), (b"wtpt", 260, 20), (b"kTRC", 280, 12)):
        table += name + start.to_bytes(4, "big") + size.to_bytes(4, "big")
    head = (292).to_bytes(4, "big") + bytes(4) + b"\2\x10\0\0mntrGRAYXYZ " + bytes(12) + b"acsp" + bytes(28)
    return head.ljust(68, b"\0") + white[8:].ljust(60, b"\0") + table + body + white + curve


@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
def test_a_profile_of_grey_is_applied(tmp_path: Path, patch: np.ndarray, ending: str) -> None:
    grey = Image.fromarray(patch[..., 1])
    grey.save(tmp_path / f"a.{ending}", icc_profile=_dark_grey(), quality=100)
    pixels = open_photo(tmp_path / f"a.{ending}").pixels
    assert pixels.shape == patch.shape
    # 90 / 255 of the light
    assert np.abs(pixels.astype(int) - 160).max() <= 3
    # one for other channels is passed over
    grey.save(tmp_path / f"b.{ending}", icc_profile=_swapped(), quality=100)
    assert np.abs(open_photo(tmp_path / f"b.{ending}").pixels.astype(int) - 90).max() <= 2


def test_srgb_pixels_are_untouched(patch: np.ndarray) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 30, 3), np.uint8)
    same = noise.copy()
    apply_profile(same, _srgb())
    assert (same == noise).all()


@pytest.mark.parametrize("profile", [b"rubbish", b"", b"\0" * 200, _srgb()[:300]])
@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_a_broken_profile_costs_nothing(tmp_path: Path, patch: np.ndarray, profile: bytes, ending: str) -> None:
    path = tmp_path / f"broken.{ending}"
    Image.fromarray(patch).save(path, icc_profile=profile, quality=100)
    assert np.abs(open_photo(path).pixels.astype(int) - patch).max() <= 3


def test_a_profile_for_other_channels_is_passed_over(tmp_path: Path, patch: np.ndarray) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    Image.fromarray(patch).save(tmp_path / "lab.png", icc_profile=lab)
    assert (open_photo(tmp_path / "lab.png").pixels == patch).all()


def test_lab_pictures(tmp_path: Path) -> None:
    rgb = Image.new("RGB", (20, 20), (200, 90, 40))
    change = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    ImageCms.applyTransform(rgb, change).save(tmp_path / "lab.tif")
    assert np.abs(open_photo(tmp_path / "lab.tif").pixels.astype(int) - (200, 90, 40)).max() <= 3


def test_display_p3_portraits(shared: Path) -> None:
    """Wide-gamut skin gets redder in sRGB numbers; a file without a profile stays as decoded."""
    path = shared / "headshots" / "h09.jpg"
    ours = open_photo(path).pixels[::40, ::40].astype(int)
    stored = np.asarray(Image.open(path))[::40, ::40].astype(int)
    assert 1 < np.abs(ours - stored).mean() < 20
    plain = shared / "headshots" / "h06.jpg"
    assert np.abs(open_photo(plain).pixels[::40].astype(int) - np.asarray(Image.open(plain))[::40]).max() <= 2
