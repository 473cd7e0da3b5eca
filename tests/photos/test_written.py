import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from hrlm.errors import HrlmError
from hrlm.photos import open_photo
from hrlm.photos.written import JPEG_LIMIT, Metadata, jpeg_bytes, png_bytes, read_metadata

EXIF, WIDTH, HEIGHT, ORIENTATION, MODEL, MAKER_NOTE = 0x8769, 0xA002, 0xA003, 0x0112, 0x0110, 0x927C
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def noise(height: int = 33, width: int = 47) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


def swapped_profile() -> bytes:
    """sRGB's profile with the red and the blue primaries exchanged: far from sRGB, and valid."""
    return SRGB.replace(b"rXYZ", b"tmpZ", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"tmpZ", b"bXYZ", 1)


def photo_with_everything(path: Path, profile: bytes) -> None:
    exif = Image.Exif()
    exif[ORIENTATION], exif[MODEL] = 6, "Camera"
    exif.get_ifd(EXIF).update({WIDTH: 60, HEIGHT: 40, MAKER_NOTE: b"maker's own"})
    exif.get_ifd(0x8825)[1] = "N"
    Image.new("RGB", (60, 40), (10, 20, 200)).save(path, exif=exif, icc_profile=profile)


def test_png_holds_the_pixels_and_jpeg_nearly() -> None:
    pixels = noise()
    np.testing.assert_array_equal(np.asarray(opened(png_bytes(pixels))), pixels)
    smooth = np.broadcast_to(np.linspace(0, 255, 120).astype(np.uint8)[None, :, None], (80, 120, 3))
    again = np.asarray(opened(jpeg_bytes(smooth, 95)))
    assert np.abs(again.astype(int) - smooth).mean() < 2
    assert len(jpeg_bytes(pixels, 50)) < len(jpeg_bytes(pixels, 95))


def test_a_picture_too_long_for_jpeg() -> None:
    with pytest.raises(HrlmError, match="PNG"):
        jpeg_bytes(np.zeros((1, 65536, 3), np.uint8))


@pytest.mark.parametrize("write", [jpeg_bytes, png_bytes])
def test_exif_is_kept_upright_and_with_the_new_size(tmp_path: Path, write: object) -> None:
    path = tmp_path / "a.jpg"
    photo_with_everything(path, SRGB)
    pixels = open_photo(path).pixels
    assert pixels.shape == (60, 40, 3)
    metadata = read_metadata(str(path))
    data = png_bytes(pixels, metadata) if write is png_bytes else jpeg_bytes(pixels, metadata=metadata)
    written = opened(data)
    exif = written.getexif()
    assert exif[ORIENTATION] == 1
    assert exif[MODEL] == "Camera"
    own = exif.get_ifd(EXIF)
    assert (own[WIDTH], own[HEIGHT]) == (40, 60) == written.size
    assert own[MAKER_NOTE] == b"maker's own"
    assert exif.get_ifd(0x8825)[1] == "N"
    assert written.info["icc_profile"] == SRGB


def test_pixels_that_were_converted_are_marked_srgb(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    photo_with_everything(path, swapped_profile())
    converted = open_photo(path).pixels[0, 0]
    assert converted[0] > 150 > converted[2], "the blue was red"
    kept = read_metadata(str(path)).profile
    assert kept is not None
    assert kept != swapped_profile()
    # with its profile the written picture has the colours of the pixels
    (tmp_path / "b.png").write_bytes(png_bytes(np.broadcast_to(converted, (4, 4, 3)), Metadata(kept)))
    np.testing.assert_array_equal(open_photo(tmp_path / "b.png").pixels[0, 0], converted)


def test_a_profile_of_other_channels_is_not_kept(tmp_path: Path) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    photo_with_everything(tmp_path / "a.png", lab)
    profile = read_metadata(str(tmp_path / "a.png")).profile
    assert profile is not None
    assert profile[16:20] == b"RGB "


def test_a_tiff_s_layout_is_not_told_of_the_overlay(tmp_path: Path) -> None:
    image = Image.fromarray(noise())
    image.save(tmp_path / "a.tif", compression="tiff_lzw", software="Developer")
    exif = opened(jpeg_bytes(noise(), metadata=read_metadata(str(tmp_path / "a.tif")))).getexif()
    assert exif[305] == "Developer"
    assert not {256, 257, 259, 273, 279} & set(exif)


def test_what_is_broken_or_too_long_is_left_out(tmp_path: Path) -> None:
    Image.fromarray(noise()).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert opened(jpeg_bytes(noise(), metadata=read_metadata(str(tmp_path / "a.jpg")))).size == (47, 33)
    assert read_metadata(str(tmp_path / "absent.jpg")) == Metadata()
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    assert read_metadata(str(tmp_path / "b.jpg")) == Metadata()
    long = Image.Exif()
    long[MODEL] = "x" * 70_000
    assert MODEL not in opened(jpeg_bytes(noise(), metadata=Metadata(None, long))).getexif()
    assert MODEL in opened(png_bytes(noise(), Metadata(None, long))).getexif()


def test_a_picture_beyond_what_jpeg_holds_is_told() -> None:
    assert jpeg_bytes(np.zeros((1, JPEG_LIMIT, 3), np.uint8))
    with pytest.raises(HrlmError, match="write PNG"):
        jpeg_bytes(np.zeros((1, JPEG_LIMIT + 1, 3), np.uint8))
