"""The flattened picture of Photoshop's PSD and PSB files; layers are not read.

Such a file is a header, a colour table, numbered resources, the layers, and last the flattened picture, plane by plane,
each big-endian and plain or packed row by row.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image

from hrlm.errors import PhotoError
from hrlm.photos.picture import Allocate, Picture, check_size, damaged
from hrlm.photos.samples import fill

_PLAIN, _PACKED = 0, 1
_ICC_PROFILE, _VERSION_INFO = 1039, 1057

# Planes and Pillow's mode by Photoshop's number of the colour mode.
_BITMAP, _INDEXED, _CMYK = 0, 2, 4
_PLANES = {_BITMAP: 1, 1: 1, _INDEXED: 1, 3: 3, _CMYK: 4, 8: 1, 9: 3}
_MODES = {_BITMAP: "L", 1: "L", _INDEXED: "RGB", 3: "RGB", _CMYK: "CMYK", 8: "L", 9: "LAB"}
_DEPTHS = (1, 8, 16)


@dataclass(frozen=True)
class _Header:
    large: bool  # PSB
    channels: int
    height: int
    width: int
    depth: int
    mode: int


def read_psd(file: BinaryIO, name: str, max_pixels: int, allocate: Allocate) -> Picture:
    """The picture that Photoshop stored for other programs, transparent parts on white.

    Bitmap, grey, duotone, indexed, RGB, CMYK and Lab documents of 1, 8 and 16 bits a channel.

    Raises:
        PhotoError: the file is damaged, too large, of another mode or depth, or has no flattened picture.
    """
    file.seek(0)
    try:
        version, *numbers = struct.unpack(">4xH6xHIIHH", _exactly(file, 26))
        header = _Header(version == 2, *numbers)
        check_size(name, header.width, header.height, max_pixels)
        if header.mode not in _MODES or header.depth not in _DEPTHS or header.channels < _PLANES[header.mode]:
            raise PhotoError(f"{name}: multichannel and 32-bit files are not read; save it as RGB with 8 or 16 bits")
        table = _block(file, 4)
        resources = _resources(_block(file, 4))
        if resources.get(_VERSION_INFO, b"\0\0\0\1\1")[4:5] == b"\0":
            raise PhotoError(f"{name}: holds no flattened picture; save it with 'Maximize Compatibility', or as TIFF")
        layers = int.from_bytes(_exactly(file, 8 if header.large else 4), "big")
        file.seek(layers, 1)
        samples = _samples(file, header)
        if header.mode == _INDEXED:
            samples = np.frombuffer(table, np.uint8, 768).reshape(3, 256).T[samples[..., 0]]
        elif header.mode in (_BITMAP, _CMYK):
            samples = ~samples  # ink is stored as its absence
        pixels = allocate(header.height, header.width)
        white = float(np.iinfo(samples.dtype).max)
        fill(pixels, samples, _MODES[header.mode], white, resources.get(_ICC_PROFILE))
    except (MemoryError, PhotoError):
        raise
    except Exception as error:  # whatever is wrong shows as numbers that do not fit
        raise damaged(name, error) from error
    return Picture(pixels)


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise ValueError("it ends too early")
    return data


def _block(file: BinaryIO, width: int) -> bytes:
    return _exactly(file, int.from_bytes(_exactly(file, width), "big"))


def _resources(data: bytes) -> dict[int, bytes]:
    """Resources by number, as far as they can be followed: none of them is worth the picture."""
    found: dict[int, bytes] = {}
    place = 0
    while data[place : place + 4] == b"8BIM" and place + 12 <= len(data):
        number = int.from_bytes(data[place + 4 : place + 6], "big")
        place += 6 + (data[place + 6] // 2 + 1) * 2  # a name and its length, together even
        size = int.from_bytes(data[place : place + 4], "big")
        found[number] = data[place + 4 : place + 4 + size]
        place += 4 + size + size % 2
    return found


def _samples(file: BinaryIO, header: _Header) -> np.ndarray:
    """The colour planes as `(H, W, C)` numbers of 8 or 16 bits; planes beyond them are masks of the user's."""
    planes, height = _PLANES[header.mode], header.height
    row = (header.width * header.depth + 7) // 8
    packing = int.from_bytes(_exactly(file, 2), "big")
    if packing == _PLAIN:
        stored = np.frombuffer(_exactly(file, planes * height * row), np.uint8)
    elif packing == _PACKED:
        size = 4 if header.large else 2
        counts = np.frombuffer(_exactly(file, header.channels * height * size), f">u{size}").astype(np.int64)
        packed = _exactly(file, int(counts[: planes * height].sum()))
        stored = np.asarray(Image.frombytes("L", (row, planes * height), packed, "packbits", "L"))
    else:
        raise ValueError(f"packing {packing}")
    rows = stored.reshape(planes, height, row)
    if header.depth == 1:
        return (np.unpackbits(rows, axis=2)[..., : header.width] * 255).transpose(1, 2, 0)
    return rows.view(f">u{header.depth // 8}").transpose(1, 2, 0)
