"""Whatever lies in a photo folder: a photo, or one line that names the file and the cure, soon and in little memory."""

from __future__ import annotations

import os
import re
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from photo_files import psd_file
from PIL import Image

from hrlm.errors import PhotoError
from hrlm.photos import IsolatedOpener, Photo, open_photo

Open = Callable[[Path], Photo]


@pytest.fixture(scope="module")
def opener() -> Iterator[IsolatedOpener]:
    with IsolatedOpener(1) as opener:
        yield opener


@pytest.fixture(params=["here", "isolated"])
def opened(request: pytest.FixtureRequest, opener: IsolatedOpener) -> Open:
    return opener.open if request.param == "isolated" else open_photo


def _complains(opened: Open, path: Path, words: str) -> None:
    with pytest.raises(PhotoError, match=words) as caught:
        opened(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message.removeprefix(str(path))
    assert re.search(r"; \w+", message), "names no cure"


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp", "psd", "heic", "dng", "gif", "avif"])
def test_empty_and_foreign_contents(opened: Open, tmp_path: Path, ending: str) -> None:
    for name, data in (
        ("empty", b""),
        ("text", b"no photo at all\n" * 9),
        ("zeros", bytes(5000)),
        ("pdf", b"%PDF-1.7"),
    ):
        path = tmp_path / f"{name}.{ending}"
        path.write_bytes(data)
        _complains(opened, path, ".")


def test_pictures_without_pixels(opened: Open, tmp_path: Path) -> None:
    head = b"IHDR" + struct.pack(">IIBBBBB", 0, 10, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    (tmp_path / "none.png").write_bytes(png + struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND")))
    (tmp_path / "none.psd").write_bytes(psd_file(np.zeros((0, 5, 3), np.uint8)))
    for path in tmp_path.iterdir():
        _complains(opened, path, ".")


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1), (3, 2)])
@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "gif"])
def test_odd_sizes(opened: Open, tmp_path: Path, size: tuple[int, int], ending: str) -> None:
    path = tmp_path / f"odd.{ending}"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", size, (200, 100, 50)).save(path, exif=exif.tobytes())
    photo = opened(path)
    turned = photo.orientation == 6
    assert (photo.height, photo.width) == (size if turned else size[::-1])
    assert np.abs(photo.pixels.astype(int) - (200, 100, 50)).max() < 40


def _png(width: int, height: int) -> bytes:
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    body = b"IDAT" + zlib.compress(bytes((width // 8 + 1) * 100), 9)
    parts = [struct.pack(">I", len(p) - 4) + p + struct.pack(">I", zlib.crc32(p)) for p in (head, body, b"IEND")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.skipif(sys.platform == "win32", reason="measures by resource")
def test_bombs_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    import resource

    (tmp_path / "bomb.png").write_bytes(_png(60_000, 60_000))
    (tmp_path / "bomb.psd").write_bytes(psd_file(np.zeros((1, 1, 3), np.uint8)))
    data = bytearray((tmp_path / "bomb.psd").read_bytes())
    data[14:22] = struct.pack(">II", 200_000, 200_000)
    (tmp_path / "bomb.psd").write_bytes(data)
    data = bytearray(psd_file(np.zeros((4, 4, 3), np.uint8)))
    data[26:30] = b"\x7f\xff\xff\xff"  # a colour table of 2 GB
    (tmp_path / "table.psd").write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for path in tmp_path.iterdir():
        _complains(open_photo, path, "damaged" if path.stem == "table" else "over the limit")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_a_limit_of_the_callers(tmp_path: Path) -> None:
    Image.new("RGB", (100, 100)).save(tmp_path / "a.jpg")
    with IsolatedOpener(1, max_pixels=9_999) as opener:
        _complains(opener.open, tmp_path / "a.jpg", "100 x 100 pixels are over the limit")


def test_missing_folders_and_unreadable_files(opened: Open, tmp_path: Path) -> None:
    _complains(opened, tmp_path / "gone.jpg", "no such file")
    _complains(opened, tmp_path, "is a folder")
    _complains(opened, tmp_path / ("x" * 300 + ".jpg"), "cannot be read")
    with pytest.raises(PhotoError, match="no such file"):
        opened(Path("a\0b.jpg"))
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        Image.new("RGB", (9, 9)).save(tmp_path / "mine.jpg")
        (tmp_path / "mine.jpg").chmod(0)
        _complains(opened, tmp_path / "mine.jpg", "may not be read")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX files")
def test_pipes_devices_and_links_do_not_hang(opened: Open, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    (tmp_path / "device.jpg").symlink_to("/dev/zero")
    (tmp_path / "nowhere.jpg").symlink_to(tmp_path / "nothing.jpg")
    _complains(opened, tmp_path / "pipe.jpg", "is a pipe or a device")
    _complains(opened, tmp_path / "device.jpg", "is a pipe or a device")
    _complains(opened, tmp_path / "loop.jpg", "cannot be read")
    _complains(opened, tmp_path / "nowhere.jpg", "no such file")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of bytes")
def test_any_name(opened: Open, tmp_path: Path) -> None:
    file = BytesIO()
    Image.new("RGB", (9, 7), (1, 2, 3)).save(file, "PNG")
    for name in (b"two\nlines.png", b"latin \xe4\xff.png", "ä😀.png".encode(), b" .png", b'"quoted" {}.png'):
        path = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))  # noqa: PTH118
        path.write_bytes(file.getvalue())
        photo = opened(path)
        assert photo.path == str(path)
        assert (photo.pixels == (1, 2, 3)).all()
        path.write_bytes(b"no photo")
        _complains(opened, path, "not a photo")
