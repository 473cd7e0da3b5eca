"""Which files of a folder are photos of their own, and the walk that finds them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from hrlm.photos.photo import PHOTO_SUFFIXES
from hrlm.photos.raw import RAW_SUFFIXES

OVERLAY_MARK = ".overlay"
# of pictures that hrlm makes, so that none is ever taken for a photo: the end of the stem of those beside a result, and
# the pages of contact sheets, which lie beside their thumbnails
_MADE = re.compile(r"\.(overlay|compare|(closeups|upright|ffhq)(_\d+)?|mask_\w+)")
_PAGE = re.compile(r"sheet_\d{3,}\.jpg")
THUMBNAILS = ".thumbnails"


def walk(
    top: Path, barred: str | None = None, unreadable: Callable[[OSError], None] | None = None
) -> Iterator[list[Path]]:
    """The files of `top` and of every folder below it, folder by folder, each by name; hidden folders are not entered.

    Args:
        barred: a folder, without links in its path, that is not entered below `top`.
        unreadable: takes the error of each folder that cannot be listed.
    """
    # a given folder is entered even where it is the barred one: results may stand beside their photos
    seen = {os.path.realpath(top)}
    for folder, folders, files in os.walk(top, onerror=unreadable, followlinks=True):
        keep = []
        for name in sorted(folders):
            real = os.path.realpath(Path(folder, name))
            # links may lead in circles: every real folder is entered once
            if not name.startswith(".") and real != barred and real not in seen:
                seen.add(real)
                keep.append(name)
        folders[:] = keep
        yield [Path(folder, name) for name in sorted(files)]


def files_in(top: Path) -> list[Path]:
    """Every file of a folder and of those below it that is not hidden, by path."""
    return sorted(p for files in walk(top) for p in files if not p.name.startswith(".") and p.is_file())


def photos_of(files: Iterable[Path]) -> list[Path]:
    """The photos among some folders' files, in their order: what `hrlm detect` would take there."""
    return without_raw([p for p in files if is_photo(p)])


def is_photo(path: Path, suffixes: Collection[str] = PHOTO_SUFFIXES) -> bool:
    """Whether a file is named as photos are; not a hidden one, nor a picture that hrlm made.

    Args:
        suffixes: of photos, lower case with the dot.
    """
    return (
        path.suffix.lower() in suffixes
        and not path.name.startswith(".")
        and not _MADE.fullmatch(Path(path.stem).suffix)
        and not (_PAGE.fullmatch(path.name) and (path.parent / THUMBNAILS).is_dir())
    )


def is_raw(path: Path) -> bool:
    """Whether a file is named as camera raw files are."""
    return path.suffix.lower() in RAW_SUFFIXES


def without_raw(photos: Collection[Path]) -> list[Path]:
    """The photos without the camera raw files that have another photo of their name beside them.

    Cameras that write both give raw and JPEG one name: the same shot, to be done once.
    """
    developed = {(p.parent, p.stem.casefold()) for p in photos if not is_raw(p)}
    return [p for p in photos if not is_raw(p) or (p.parent, p.stem.casefold()) not in developed]
