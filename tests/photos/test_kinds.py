"""Files beyond JPEG and PNG: HEIF, camera raw, unusual TIFF and Photoshop, each decoded for real."""

from __future__ import annotations

import re
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from photo_files import deep_png, dng_file, in_space, profile_of, psd_file, psd_resource
from PIL import Image

from hrlm.errors import PhotoError
from hrlm.photos import PHOTO_SUFFIXES, open_photo

# how a camera held this way stores the picture; see the EXIF orientation tag
STORED = {
    1: lambda p: p,
    3: lambda p: p[::-1, ::-1],
    6: lambda p: np.rot90(p, 1),
    8: lambda p: np.rot90(p, -1),
}


@pytest.fixture(scope="module")
def face(astronaut: Path) -> np.ndarray:
    """A real picture, 160 x 128."""
    return np.asarray(Image.open(astronaut).convert("RGB").resize((160, 128), box=(100, 0, 356, 205)))


def _mean(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape
    return float(np.abs(a.astype(int) - b).mean())


def _write(folder: Path, name: str, data: bytes) -> Path:
    assert Path(name).suffix in PHOTO_SUFFIXES
    (folder / name).write_bytes(data)
    return folder / name


def _heic(pixels: np.ndarray, **options: object) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    file = BytesIO()
    pillow_heif.from_pillow(Image.fromarray(pixels)).save(file, quality=90, chroma=444, **options)
    return file.getvalue()


@pytest.mark.parametrize("orientation", STORED)
def test_heic_is_turned_once(tmp_path: Path, face: np.ndarray, orientation: int) -> None:
    pytest.importorskip("pi_heif")
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation](face))
    photo = open_photo(_write(tmp_path, "IMG_1.heic", _heic(stored, exif=exif.tobytes())))
    assert photo.orientation == orientation
    assert _mean(photo.pixels, face) < 2.5
    assert photo.pixels.flags.c_contiguous


def test_heic_profile_and_further_pictures(tmp_path: Path, face: np.ndarray) -> None:
    pytest.importorskip("pi_heif")
    pillow_heif = pytest.importorskip("pillow_heif")
    wide = Image.fromarray((in_space(face, "ProPhoto") >> 8).astype(np.uint8))
    wide.info["icc_profile"] = profile_of("ProPhoto")
    file = BytesIO()
    heif = pillow_heif.from_pillow(wide)
    heif.add_from_pillow(Image.fromarray(255 - face))
    heif.save(file, quality=95, chroma=444)
    photo = open_photo(_write(tmp_path, "two.heic", file.getvalue()))
    assert photo.notes == ("first of 2 pictures",)
    assert _mean(photo.pixels, face) < 2.5 < _mean(np.asarray(wide), face)


def test_heic_contents_count_not_the_ending(tmp_path: Path, face: np.ndarray) -> None:
    pytest.importorskip("pi_heif")
    data = _heic(face)
    assert _mean(open_photo(_write(tmp_path, "really.jpg", data)).pixels, face) < 2.5
    with pytest.raises(PhotoError, match="cut short"):
        open_photo(_write(tmp_path, "cut.heic", data[: len(data) // 2]))
    with pytest.raises(PhotoError, match="over the limit"):
        open_photo(tmp_path / "really.jpg", max_pixels=100)


@pytest.mark.parametrize("orientation", STORED)
def test_raw_is_developed_and_turned_once(tmp_path: Path, face: np.ndarray, orientation: int) -> None:
    pytest.importorskip("rawpy")
    pytest.importorskip("tifffile")
    stored = np.ascontiguousarray(STORED[orientation](face))
    photo = open_photo(_write(tmp_path, "IMG_1.dng", dng_file(stored, orientation)))
    assert photo.orientation == orientation
    assert photo.pixels.shape == face.shape
    # developing chooses its own brightness: the picture must agree up to that
    ours, theirs = photo.pixels.astype(float).ravel(), face.astype(float).ravel()
    assert np.corrcoef(ours, theirs)[0, 1] > 0.97
    # white balance: grey stays grey
    ratio = photo.pixels.reshape(-1, 3).mean(0) / face.reshape(-1, 3).mean(0)
    assert ratio.max() / ratio.min() < 1.05


def test_raw_by_contents_and_its_faults(tmp_path: Path, face: np.ndarray) -> None:
    pytest.importorskip("rawpy")
    pytest.importorskip("tifffile")
    data = dng_file(face)
    assert open_photo(_write(tmp_path, "a.tif", data)).pixels.shape == face.shape
    jpeg = BytesIO()
    Image.fromarray(face).save(jpeg, "JPEG", quality=95)
    assert _mean(open_photo(_write(tmp_path, "camera.nef", jpeg.getvalue())).pixels, face) < 4
    with pytest.raises(PhotoError, match="cut short"):
        open_photo(_write(tmp_path, "cut.dng", data[: len(data) * 3 // 4]))
    with pytest.raises(PhotoError, match="over the limit"):
        open_photo(tmp_path / "a.tif", max_pixels=100)


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": np.float32, "compression": "zlib", "predictor": True, "tile": (64, 64)},
        {"dtype": np.uint16, "compression": "zstd"},
        {"dtype": np.uint16, "compression": "lzma", "tile": (64, 64)},
        {"dtype": np.uint16, "planarconfig": "separate"},
        {"dtype": np.uint32},
        {"dtype": np.uint8, "compression": "jpeg2000"},
        {"dtype": np.uint16, "compression": "lzw", "tile": (64, 64), "bigtiff": True},
    ],
)
@pytest.mark.parametrize("orientation", [1, 6])
def test_tiff_of_every_make(tmp_path: Path, face: np.ndarray, options: dict[str, object], orientation: int) -> None:
    tifffile = pytest.importorskip("tifffile")
    pytest.importorskip("imagecodecs")
    kind = np.dtype(options["dtype"])
    white = 1.0 if kind.kind == "f" else float(np.iinfo(kind).max)
    stored = STORED[orientation](face)
    samples = (stored / 255 * white + (0 if kind.kind == "f" else 0.5)).astype(kind)
    if options.get("planarconfig"):
        samples = np.ascontiguousarray(samples.transpose(2, 0, 1))
    told = {k: v for k, v in options.items() if k != "dtype"}
    tags = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", metadata=None, extratags=tags, **told)
    photo = open_photo(tmp_path / "a.tif")
    assert photo.orientation == orientation
    assert np.abs(photo.pixels.astype(int) - face).max() <= 1


def test_tiff_transparency_grey_and_pages(tmp_path: Path, face: np.ndarray) -> None:
    tifffile = pytest.importorskip("tifffile")
    half = np.zeros(face.shape[:2], np.float32)
    half[:, :80] = 1
    clear = np.dstack([face.astype(np.float32) / 255, half])
    tifffile.imwrite(tmp_path / "a.tif", clear, photometric="rgb", extrasamples=["unassalpha"], metadata=None)
    pixels = open_photo(tmp_path / "a.tif").pixels
    assert np.abs(pixels[:, :80].astype(int) - face[:, :80]).max() <= 1
    assert (pixels[:, 80:] == 128).all()
    grey = face[..., 0].astype(np.float64) / 255
    pages = np.stack([grey, 1 - grey])
    tifffile.imwrite(tmp_path / "b.tif", pages, photometric="minisblack", metadata=None)
    photo = open_photo(tmp_path / "b.tif")
    assert photo.notes == ("first of 2 pictures",)
    assert np.abs(photo.pixels.astype(int) - face[..., :1]).max() <= 1


@pytest.mark.parametrize("unit", [1.0, 255.0])
def test_floats_beyond_white_leave_the_scale(tmp_path: Path, face: np.ndarray, unit: float) -> None:
    tifffile = pytest.importorskip("tifffile")
    bright = face.astype(np.float32) / 255 * np.float32(unit)
    bright[5, 5], bright[6, 6] = 1.05 * unit, np.nan
    tifffile.imwrite(tmp_path / "a.tif", bright, photometric="rgb", metadata=None)
    pixels = open_photo(tmp_path / "a.tif").pixels
    assert (pixels[5, 5] == 255).all()
    assert (pixels[6, 6] == 0).all()
    assert np.abs(pixels[7:].astype(int) - face[7:]).max() <= 1


def test_wide_grey_integers(tmp_path: Path, face: np.ndarray) -> None:
    """Unsigned ones beyond the half of their range, and few bits in wide numbers."""
    tifffile = pytest.importorskip("tifffile")
    for unit in (2**24 + 2**16 + 2**8 + 1, 257, 1):
        tifffile.imwrite(tmp_path / "a.tif", face[..., 0].astype(np.uint32) * unit, photometric="minisblack")
        pixels = open_photo(tmp_path / "a.tif").pixels
        assert np.abs(pixels.astype(int) - face[..., :1]).max() <= 1, unit


@pytest.mark.parametrize("rawpy", [True, False])
def test_a_reduced_tiff_is_a_photo_like_any(
    tmp_path: Path, face: np.ndarray, monkeypatch: pytest.MonkeyPatch, rawpy: bool
) -> None:
    tifffile = pytest.importorskip("tifffile")
    if not rawpy:
        monkeypatch.setitem(sys.modules, "rawpy", None)
    tifffile.imwrite(tmp_path / "a.tif", face, photometric="rgb", metadata=None, subfiletype=1)
    assert (open_photo(tmp_path / "a.tif").pixels == face).all()
    # of a raw file Pillow would show the preview
    with tifffile.TiffWriter(tmp_path / "b.tif") as tiff:
        tiff.write(face[::8, ::8], photometric="rgb", metadata=None, subfiletype=1, subifds=1)
        tiff.write(face, photometric="rgb", metadata=None)
    with pytest.raises(PhotoError, match="develop it" if rawpy and "rawpy" in sys.modules else "rawpy"):
        open_photo(tmp_path / "b.tif")


def test_tiff_cut_short_is_an_error_without_pillow_too(tmp_path: Path, face: np.ndarray) -> None:
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", face.astype(np.float32) / 255, photometric="rgb", compression=None)
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(data[: len(data) // 2])
    with pytest.raises(PhotoError, match="cut short"):
        open_photo(tmp_path / "a.tif")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("kind", ["rgb", "deep", "grey", "ink", "alpha", "indexed", "bit"])
def test_photoshop(tmp_path: Path, face: np.ndarray, kind: str, large: bool, packed: bool) -> None:
    expected, pixels, mode, table = face, face, 3, b""
    if kind == "deep":
        pixels = face.astype(np.uint16) * 257
    elif kind == "grey":
        expected, pixels, mode = face[..., [0, 0, 0]], face[..., :1], 1
    elif kind == "ink":
        pixels, mode = np.dstack([face, np.full(face.shape[:2], 255, np.uint8)]), 4
    elif kind == "alpha":
        pixels = np.dstack([face, np.full(face.shape[:2], 7, np.uint8)])
    elif kind == "indexed":
        few = Image.fromarray(face).quantize(256)
        expected, pixels, mode = np.asarray(few.convert("RGB")), np.asarray(few)[..., None], 2
        table = np.pad(np.array(few.getpalette("RGB"), np.uint8).reshape(-1, 3), ((0, 256), (0, 0)))[:256].T.tobytes()
    elif kind == "bit":
        pixels, mode = face[:, :157, :1] < 100, 0  # set bits are black
        expected = np.where(face[:, :157, [0, 0, 0]] < 100, 0, 255)
    data = psd_file(pixels, mode, large=large, packed=packed, table=table, layers=bytes(77))
    photo = open_photo(_write(tmp_path, "a.psb" if large else "a.psd", data))
    assert np.abs(photo.pixels.astype(int) - expected).max() <= 1


def test_photoshop_agrees_with_pillow(tmp_path: Path, face: np.ndarray) -> None:
    """Lab and CMYK as Pillow's own reader has them, which cannot do PSB and 16 bits."""
    rng = np.random.default_rng(0)
    lab = np.dstack([face[..., 1], rng.integers(90, 160, (*face.shape[:2], 2), np.uint8)])
    path = _write(tmp_path, "lab.psd", psd_file(lab, 9, packed=True))
    Image.open(path).save(tmp_path / "lab.tif")
    assert _mean(open_photo(path).pixels, open_photo(tmp_path / "lab.tif").pixels) < 0.5
    deep = _write(tmp_path, "deep.psd", psd_file(lab.astype(np.uint16) * 257, 9))
    assert _mean(open_photo(deep).pixels, open_photo(path).pixels) < 0.5


def test_photoshop_profile_and_what_is_refused(tmp_path: Path, face: np.ndarray) -> None:
    wide = in_space(face, "ProPhoto")
    profile = psd_resource(1005, b"odd") + psd_resource(1039, profile_of("ProPhoto"))
    photo = open_photo(_write(tmp_path, "wide.psd", psd_file(wide, resources=profile)))
    assert _mean(photo.pixels, face) < 1
    empty = psd_resource(1057, b"\0\0\0\1\0" + bytes(12))
    refused = {
        "Maximize Compatibility": psd_file(face, resources=empty),
        "multichannel": psd_file(face, 7),
        "over the limit": psd_file(face)[:14] + b"\0\3\0\0\0\3\0\0" + psd_file(face)[22:],
        "cut short": psd_file(face, packed=True)[:-9],
    }
    for words, data in refused.items():
        with pytest.raises(PhotoError, match=words):
            open_photo(_write(tmp_path, "b.psd", data))


def test_sixteen_bits_are_the_eight_bit_picture(tmp_path: Path, face: np.ndarray) -> None:
    deep = face.astype(np.uint16) * 257
    assert (open_photo(_write(tmp_path, "deep.png", deep_png(deep))).pixels == face).all()


@pytest.mark.parametrize(
    ("module", "name", "extra"),
    [("pi_heif", "a.heic", "heif"), ("rawpy", "a.nef", "raw"), ("tifffile", "a.tif", "tiff")],
)
def test_a_missing_package_is_named_with_its_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, name: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    data = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" if extra == "heif" else b"II*\0\x08\0\0\0\0\0"
    with pytest.raises(PhotoError, match=re.escape(f"pip install 'hrlm[{extra}]'")) as caught:
        open_photo(_write(tmp_path, name, data))
    assert str(caught.value).startswith(str(tmp_path / name))


def test_notes_say_that_there_are_more(tmp_path: Path, face: np.ndarray) -> None:
    image, other = Image.fromarray(face), Image.fromarray(255 - face)
    for name in ("a.tif", "a.gif", "a.webp", "a.png", "a.avif"):
        image.save(tmp_path / name, save_all=True, append_images=[other, image])
        assert open_photo(tmp_path / name).notes == ("first of 3 pictures",), name
        image.save(tmp_path / name)
        assert open_photo(tmp_path / name).notes == (), name
    # a phone's JPEG with technical pictures behind it is one photo
    image.save(tmp_path / "a.mpo", save_all=True, append_images=[other])
    assert open_photo(tmp_path / "a.mpo").notes == ()
    tifffile = pytest.importorskip("tifffile")
    with tifffile.TiffWriter(tmp_path / "pyramid.tif") as tiff:
        tiff.write(face, photometric="rgb", metadata=None)
        tiff.write(face[::2, ::2], photometric="rgb", metadata=None, subfiletype=1)
    assert open_photo(tmp_path / "pyramid.tif").notes == ()
