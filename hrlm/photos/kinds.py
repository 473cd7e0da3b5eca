"""Which decoder a file is for, by its first bytes; its ending only tells raw files from other TIFF files."""

from __future__ import annotations

from enum import Enum, auto
from typing import BinaryIO

_HEAD = 64
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_RAW = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM", b"II\x1a\0\0\0HEAP")
_COMMON = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"GIF8", b"BM")
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}


class Kind(Enum):
    """Families of files, each with a decoder of its own."""

    RAW = auto()
    HEIF = auto()
    PSD = auto()
    TIFF = auto()
    COMMON = auto()


def kind_of(file: BinaryIO, named_raw: bool) -> Kind:
    """The kind of an open file; `named_raw` says whether its ending is one of camera raw files.

    Most raw files are TIFF files to look at, and some are nothing that is known.
    """
    head = file.read(_HEAD)
    file.seek(0)
    if head[4:8] == b"ftyp":
        end = min(int.from_bytes(head[:4], "big"), len(head))
        brands = {head[8:12]} | {head[i : i + 4] for i in range(16, end, 4)}
        if b"crx " in brands:
            return Kind.RAW
        return Kind.HEIF if brands & _HEIF_BRANDS and not brands & _AVIF_BRANDS else Kind.COMMON
    if head.startswith(b"8BPS"):
        return Kind.PSD
    if head.startswith(_RAW) or (head.startswith(_TIFF) and head[8:10] == b"CR"):
        return Kind.RAW
    if head.startswith(_TIFF):
        return Kind.RAW if named_raw else Kind.TIFF
    return Kind.RAW if named_raw and head and not head.startswith(_COMMON) else Kind.COMMON
