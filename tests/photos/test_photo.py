"""`Photo` and `open_photo`: the same picture whatever the file it comes in, and one clear line where there is none."""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hrlm.errors import PhotoError
from hrlm.photos import PHOTO_SUFFIXES, Photo, open_photo
from hrlm.photos.photo import upright


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    """48 x 64 smooth colours, different in every corner."""
    y, x = np.mgrid[:48, :64]
    return np.stack([x * 4, y * 5, 255 - (x + y) * 2], -1).clip(0, 255).astype(np.uint8)


@pytest.fixture(autouse=True)
def _no_warnings() -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def _far(a: np.ndarray, b: np.ndarray) -> int:
    assert a.shape == b.shape
    return int(np.abs(a.astype(int) - b).max())


@pytest.mark.parametrize(
    ("ending", "options", "far"),
    [
        ("jpg", {"quality": 98, "subsampling": 0}, 6),
        ("png", {}, 0),
        ("webp", {"lossless": True}, 0),
        ("tif", {}, 0),
        ("tif", {"compression": "tiff_lzw"}, 0),
        ("avif", {"quality": 100}, 8),
        ("bmp", {}, 0),
        ("jp2", {}, 0),
    ],
)
def test_every_format_gives_the_same_picture(
    tmp_path: Path, scene: np.ndarray, ending: str, options: dict[str, object], far: int
) -> None:
    path = tmp_path / f"scene.{ending}"
    Image.fromarray(scene).save(path, **options)
    photo = open_photo(path)
    assert (photo.path, photo.width, photo.height, photo.orientation) == (str(path), 64, 48, 1)
    assert photo.pixels.dtype == np.uint8
    assert photo.pixels.flags.c_contiguous
    assert _far(photo.pixels, scene) <= far
    assert path.suffix in PHOTO_SUFFIXES


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif", "avif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(tmp_path: Path, scene: np.ndarray, ending: str, orientation: int) -> None:
    # What a camera held this way stores, by the meaning of the tag: where the stored first row and column are seen.
    stored = {
        1: scene,
        2: scene[:, ::-1],
        3: scene[::-1, ::-1],
        4: scene[::-1],
        5: scene.transpose(1, 0, 2),
        6: np.rot90(scene, 1),
        7: scene[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(scene, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{ending}"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif.tobytes(), quality=100)
    photo = open_photo(path)
    assert photo.orientation == orientation
    assert _far(photo.pixels, scene) <= 40
    assert np.abs(photo.pixels.astype(int) - scene).mean() < 4


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_nonsense_orientation_is_upright(tmp_path: Path, scene: np.ndarray, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "odd.png"
    Image.fromarray(scene).save(path, exif=exif.tobytes())
    photo = open_photo(path)
    assert photo.orientation == 1
    assert _far(photo.pixels, scene) == 0


def test_broken_exif_costs_nothing(tmp_path: Path, scene: np.ndarray) -> None:
    path = tmp_path / "exif.jpg"
    Image.fromarray(scene).save(path, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01" * 30)
    assert open_photo(path).width == 64


@given(st.integers(1, 8), st.integers(1, 5), st.integers(1, 5))
def test_upright_keeps_every_pixel(orientation: int, width: int, height: int) -> None:
    pixels = np.arange(width * height * 3, dtype=np.uint8).reshape(height, width, 3)
    turned = upright(pixels.copy(), orientation)
    assert turned.shape[:2] == ((width, height) if orientation >= 5 else (height, width))
    assert turned.flags.c_contiguous
    assert sorted(turned.reshape(-1, 3).tolist()) == sorted(pixels.reshape(-1, 3).tolist())


def test_grey_one_bit_and_sixteen_bit(tmp_path: Path, scene: np.ndarray) -> None:
    grey = scene[..., 0]
    expected = np.repeat(grey[..., None], 3, -1)
    Image.fromarray(grey).save(tmp_path / "grey.jpg", quality=100)
    assert _far(open_photo(tmp_path / "grey.jpg").pixels, expected) <= 3
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    assert _far(open_photo(tmp_path / "deep.png").pixels, expected) == 0
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.tif")
    assert _far(open_photo(tmp_path / "deep.tif").pixels, expected) == 0
    Image.fromarray(grey.astype(np.float32) / 255).save(tmp_path / "float.tif")
    assert _far(open_photo(tmp_path / "float.tif").pixels, expected) == 0
    Image.fromarray(grey > 100).save(tmp_path / "bit.png")
    assert _far(open_photo(tmp_path / "bit.png").pixels, np.where(expected > 100, 255, 0)) == 0


@pytest.mark.parametrize("unit", [1.0, 255.0, 65535.0])
def test_a_few_floats_beyond_white_are_no_other_scale(tmp_path: Path, scene: np.ndarray, unit: float) -> None:
    grey = scene[..., 0].astype(np.float32) / 255 * np.float32(unit)
    expected = np.repeat(scene[..., :1], 3, -1)
    grey[0, -1], grey[1, -1] = 1.05 * unit, 40 * unit
    Image.fromarray(grey).save(tmp_path / "a.tif")
    pixels = open_photo(tmp_path / "a.tif").pixels
    assert (pixels[:2, -1] == 255).all()
    assert _far(pixels[2:], expected[2:]) == 0
    # a dark backdrop is no smaller scale either
    Image.fromarray(np.pad(grey, ((0, 0), (0, 2000)))).save(tmp_path / "b.tif")
    assert _far(open_photo(tmp_path / "b.tif").pixels[2:, :64], expected[2:]) == 0


def test_palette_and_transparency(tmp_path: Path, scene: np.ndarray) -> None:
    alpha = np.where(np.arange(64)[None, :] < 32, 255, 0).repeat(48, 0).astype(np.uint8)
    Image.fromarray(np.dstack([scene, alpha])).save(tmp_path / "cut.png")
    pixels = open_photo(tmp_path / "cut.png").pixels
    assert _far(pixels[:, :32], scene[:, :32]) == 0
    assert (pixels[:, 32:] == 128).all()
    palette = Image.fromarray(scene).quantize(64)
    palette.save(tmp_path / "palette.png")
    assert _far(open_photo(tmp_path / "palette.png").pixels, np.asarray(palette.convert("RGB"))) == 0
    palette.save(tmp_path / "hole.png", transparency=bytes([0]) + bytes([255]) * 63)
    hole = open_photo(tmp_path / "hole.png").pixels
    assert (hole[np.asarray(palette) == 0] == 128).all()
    assert (hole[np.asarray(palette) == 1] == np.asarray(palette.convert("RGB"))[np.asarray(palette) == 1]).all()


def test_cmyk(tmp_path: Path, scene: np.ndarray) -> None:
    cmyk = Image.fromarray(scene).convert("CMYK")
    for name in ("press.jpg", "press.tif"):
        cmyk.save(tmp_path / name, quality=100)
        assert _far(open_photo(tmp_path / name).pixels, scene) <= 30


def test_the_first_of_several_pictures(tmp_path: Path, scene: np.ndarray) -> None:
    first, second = Image.fromarray(scene), Image.fromarray(255 - scene)
    for name in ("pages.tif", "film.webp", "film.png"):
        first.save(tmp_path / name, save_all=True, append_images=[second], lossless=True)
        assert _far(open_photo(tmp_path / name).pixels, scene) == 0


def test_contents_count_not_the_ending(tmp_path: Path, scene: np.ndarray) -> None:
    path = tmp_path / "really_a_png.jpg"
    Image.fromarray(scene).save(path, format="PNG")
    assert _far(open_photo(path).pixels, scene) == 0


def test_strips_join_without_a_seam(tmp_path: Path) -> None:
    big = np.random.default_rng(1).integers(0, 256, (1100, 2100, 3), np.uint8)
    Image.fromarray(big).save(tmp_path / "big.png", compress_level=1)
    assert _far(open_photo(tmp_path / "big.png").pixels, big) == 0


def _jpeg(scene: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(np.tile(scene, (8, 8, 1))).save(file, "JPEG", quality=95)
    return file.getvalue()


def test_a_jpeg_that_lacks_only_its_last_marker_is_read(tmp_path: Path, scene: np.ndarray) -> None:
    (tmp_path / "end.jpg").write_bytes(_jpeg(scene)[:-2])
    assert open_photo(tmp_path / "end.jpg").width == 512


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
def test_a_file_cut_short_is_an_error(tmp_path: Path, scene: np.ndarray, share: float, ending: str) -> None:
    whole = tmp_path / f"whole.{ending}"
    noisy = np.tile(scene, (8, 8, 1)) ^ np.random.default_rng(0).integers(0, 8, (384, 512, 3), np.uint8)
    Image.fromarray(noisy).save(whole)
    data = whole.read_bytes()
    cut = tmp_path / f"cut.{ending}"
    cut.write_bytes(data[: int(len(data) * share)])
    _complains(cut)


def test_damage_within_a_jpeg_is_an_error(tmp_path: Path, scene: np.ndarray) -> None:
    data = _jpeg(scene)
    half = len(data) // 2
    (tmp_path / "zeros.jpg").write_bytes(data[:half] + bytes(len(data) - half - 2) + data[-2:])
    (tmp_path / "end_moved.jpg").write_bytes(data[:half] + data[-2:])
    _complains(tmp_path / "zeros.jpg")
    _complains(tmp_path / "end_moved.jpg")


def test_what_is_no_photo(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("not a photo")
    (tmp_path / "raw.nef").write_bytes(b"II*\0")
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic")
    for path in (tmp_path, tmp_path / "missing.jpg", *tmp_path.iterdir()):
        _complains(path)


def _complains(path: Path) -> None:
    with pytest.raises(PhotoError) as caught:
        open_photo(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert re.search(r"; \w+", message), "names no cure"


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path: Path, scene: np.ndarray) -> None:
    whole = BytesIO()
    Image.fromarray(scene).save(whole, "PNG")
    data = whole.getvalue()
    header = b"IHDR" + struct.pack(">II", 30_000, 30_000) + data[24:29]
    (tmp_path / "bomb.png").write_bytes(data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:])
    with pytest.raises(PhotoError, match=r"30000 x 30000 pixels are over the limit of 400 megapixels"):
        open_photo(tmp_path / "bomb.png")


def test_the_limit_is_the_callers_and_pillows_is_left_alone(
    tmp_path: Path, scene: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    Image.fromarray(scene).save(tmp_path / "a.png")
    assert open_photo(tmp_path / "a.png", max_pixels=64 * 48).width == 64
    assert Image.MAX_IMAGE_PIXELS == 1000
    with pytest.raises(PhotoError, match="limit"):
        open_photo(tmp_path / "a.png", max_pixels=64 * 48 - 1)


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 320))
def test_reduced_never_enlarges(width: int, height: int, long_side: int) -> None:
    photo = Photo.from_array(np.full((height, width, 3), 77, np.uint8))
    pixels, ratio = photo.reduced(long_side)
    assert max(pixels.shape[:2]) == min(long_side, max(width, height))
    assert 0 < ratio <= 1
    assert abs(pixels.shape[1] - width * ratio) <= 1
    assert abs(pixels.shape[0] - height * ratio) <= 1
    assert (pixels == 77).all()


@pytest.mark.parametrize(("enlarged", "off"), [(1, 0.51), (4, 1.01)])
def test_reduced_averages_areas(scene: np.ndarray, enlarged: int, off: float) -> None:
    # the larger one is halved, again and again
    scene = scene.repeat(enlarged, 0).repeat(enlarged, 1)
    pixels, ratio = Photo.from_array(scene).reduced(16)
    assert ratio == 0.25 / enlarged
    blocks = scene.reshape(12, 4 * enlarged, 16, 4 * enlarged, 3).mean((1, 3))
    assert np.abs(pixels - blocks).max() <= off


def test_window_is_a_clipped_view(scene: np.ndarray) -> None:
    photo = Photo.from_array(scene)
    window = photo.window(-5, 40, 10, 900)
    assert window.shape == (8, 10, 3)
    assert np.shares_memory(window, photo.pixels)
    assert photo.window(-9, -9, -1, -1).size == 0
    assert photo.window(64, 0, 80, 9).size == 0


def test_only_eight_bit_colour_makes_a_photo() -> None:
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ValueError, match="pixels"):
            Photo.from_array(wrong)
    assert Photo.from_array(np.zeros((4, 6, 3), np.uint8)[:, ::2]).pixels.flags.c_contiguous
