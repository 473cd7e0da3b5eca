"""Small photo files of kinds that Pillow does not write, made from pixels."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np


def psd_file(
    pixels: np.ndarray,
    mode: int = 3,
    *,
    large: bool = False,
    packed: bool = False,
    table: bytes = b"",
    resources: bytes = b"",
    layers: bytes = b"",
) -> bytes:
    """A Photoshop file (PSB where `large`) of `pixels` `(H, W, C)` bool, uint8 or uint16, as they are stored."""
    height, width, channels = pixels.shape
    bit = pixels.dtype == bool
    depth = 1 if bit else pixels.itemsize * 8
    head = struct.pack(">4sH6xHIIHH", b"8BPS", 1 + large, channels, height, width, depth, mode)
    parts = [head, _sized(table), _sized(resources), _sized(layers, 8 if large else 4)]
    planes = pixels.transpose(2, 0, 1)
    stored = np.packbits(planes, axis=2) if bit else planes.astype(f">u{pixels.itemsize}")
    if not packed:
        return b"".join([*parts, b"\0\0", stored.tobytes()])
    rows = [_packed(row.tobytes()) for row in stored.reshape(-1, stored.shape[2])]
    counts = b"".join(len(row).to_bytes(4 if large else 2, "big") for row in rows)
    return b"".join([*parts, b"\0\1", counts, *rows])


def psd_resource(number: int, data: bytes) -> bytes:
    """One numbered resource of a Photoshop file."""
    return b"8BIM" + number.to_bytes(2, "big") + b"\0\0" + _sized(data) + b"\0" * (len(data) % 2)


def _sized(data: bytes, width: int = 4) -> bytes:
    return len(data).to_bytes(width, "big") + data


def _packed(row: bytes) -> bytes:
    """Runs of equal bytes where there are some, else literal bytes."""
    out, place = b"", 0
    while place < len(row):
        run = 1
        while run < 128 and row[place + run : place + run + 1] == row[place : place + 1]:
            run += 1
        if run > 1:
            out += bytes([257 - run, row[place]])
        else:
            out += bytes([0, row[place]])
        place += run
    return out


def dng_file(pixels: np.ndarray, orientation: int = 1) -> bytes:
    """A raw photo (DNG) as a camera with an RGGB sensor would store sRGB `pixels` `(H, W, 3)` uint8; needs tifffile."""
    import tifffile

    light = pixels / 255
    light = np.where(light <= 0.04045, light / 12.92, ((light + 0.055) / 1.055) ** 2.4)
    neutral = np.array([0.5, 1, 0.6])  # what the sensor makes of white
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    seen = light * neutral
    mosaic = seen[..., 1].copy()
    mosaic[::2, ::2] = seen[::2, ::2, 0]
    mosaic[1::2, 1::2] = seen[1::2, 1::2, 2]
    matrix = np.diag(neutral) @ np.linalg.inv(xyz)
    tags: list[tuple[int, str, int, Any, bool]] = [
        (274, "H", 1, orientation, True),
        (33421, "H", 2, (2, 2), True),  # the mosaic's period
        (33422, "B", 4, bytes([0, 1, 1, 2]), True),  # red, green, green, blue
        (50706, "B", 4, bytes([1, 4, 0, 0]), True),  # DNG version
        (50708, "s", 0, "hrlm test", True),  # camera
        (50717, "H", 1, 16000, True),  # white level
        (50721, "2i", 9, _fractions(matrix), True),  # XYZ to camera
        (50728, "2I", 3, _fractions(neutral), True),  # as-shot neutral
        (50778, "H", 1, 21, True),  # daylight
    ]
    file = BytesIO()
    raw = np.rint(mosaic * 16000).astype(np.uint16)
    tifffile.imwrite(file, raw, photometric=32803, metadata=None, software=None, extratags=tags)
    return file.getvalue()


def _fractions(values: np.ndarray) -> list[int]:
    return [number for value in values.ravel() for number in (round(float(value) * 10_000), 10_000)]


# Red, green and blue of colour spaces as XYZ columns under D50, and the exponent of their curve.
SPACES: dict[str, tuple[list[list[float]], float]] = {
    "Adobe RGB": ([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]], 2.19921875),
    "Display P3": ([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]], 2.2),
    "ProPhoto": ([[0.79767, 0.13519, 0.03134], [0.28804, 0.71187, 0.00009], [0.0, 0.0, 0.82510]], 1.8),
}
_SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])


def in_space(pixels: np.ndarray, space: str) -> np.ndarray:
    """sRGB `pixels` uint8 as the same colours in another space, uint16."""
    matrix, gamma = SPACES[space]
    light = pixels / 255
    light = np.where(light <= 0.04045, light / 12.92, ((light + 0.055) / 1.055) ** 2.4)
    there = (light @ (np.linalg.inv(matrix) @ _SRGB).T).clip(0, 1) ** (1 / gamma)
    return np.rint(there * 65535).astype(np.uint16)


def profile_of(space: str) -> bytes:
    """The ICC profile (version 2, matrix and curve) of a colour space."""
    matrix, gamma = SPACES[space]
    xyz = [b"XYZ " + bytes(4) + _fixed(column) for column in np.transpose(matrix)]
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    white = b"XYZ " + bytes(4) + _fixed([0.9642, 1.0, 0.8249])
    text = space.encode() + b"\0"
    words = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)
    rights = b"text" + bytes(4) + b"none\0"
    names = (b"desc", b"cprt", b"wtpt", b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC")
    table, body = b"", b""
    start = 128 + 4 + 12 * len(names)
    for name, data in zip(names, (words, rights, white, *xyz, curve, curve, curve), strict=True):
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4s4s4s4s4s", start + len(body), bytes(4), b"\2\x10\0\0", b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed([0.9642, 1.0, 0.8249])
    return head.ljust(128, b"\0") + struct.pack(">I", len(names)) + table + body


def _fixed(values: Any) -> bytes:
    return b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)


def deep_png(pixels: np.ndarray, profile: bytes | None = None) -> bytes:
    """A PNG file of RGB `pixels` uint16."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in pixels.astype(">u2"))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))]
    if profile:
        chunks.append((b"iCCP", b"profile\0\0" + zlib.compress(profile)))
    chunks += [(b"IDAT", zlib.compress(rows, 1)), (b"IEND", b"")]
    parts = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
