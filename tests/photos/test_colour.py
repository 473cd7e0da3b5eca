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
