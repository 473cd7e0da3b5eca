"""Decoded photos and their reduced levels, kept while memory lasts, and tiles cut from them."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from hrlm.errors import HrlmError
from hrlm.photos import Photo
from hrlm.photos.colour import apply_profile
from hrlm.photos.header import read_header
from hrlm.photos.photo import upright

TILE = 512
# bytes of decoded photos that are kept: two of 100 megapixels with their reduced levels
BUDGET = 1 << 30
QUALITY = 93
# a draft is level 3: JPEG decodes it, the means of its own 8 x 8 blocks, in a fraction of the time of the whole
DRAFT_LEVEL = 3
DRAFTS_KEPT = 16


@dataclass(frozen=True, eq=False)
class Pyramid:
    """A photo and its reductions.

    Args:
        levels: `(H, W, 3)` uint8 each; level k is the photo reduced by exact means of 2^k x 2^k blocks, the last block
            of a row or column filled up with the edge's pixels. The last level fits one tile.
    """

    levels: tuple[np.ndarray, ...]

    @staticmethod
    def of(pixels: np.ndarray) -> Pyramid:
        """All levels of a photo `(H, W, 3)` uint8."""
        levels = [pixels]
        while max(levels[-1].shape[:2]) > TILE:
            levels.append(_halved(levels[-1]))
        return Pyramid(tuple(levels))

    @property
    def nbytes(self) -> int:
        """Memory of all levels."""
        return sum(level.nbytes for level in self.levels)

    def tile(self, level: int, x: int, y: int) -> np.ndarray | None:
        """The tile in column `x` and row `y` of a level, at most `TILE` a side; None where there is none."""
        if not 0 <= level < len(self.levels) or x < 0 or y < 0:
            return None
        part = self.levels[level][y * TILE : (y + 1) * TILE, x * TILE : (x + 1) * TILE]
        return np.ascontiguousarray(part) if part.size else None


def level_count(width: int, height: int) -> int:
    """How many levels a photo's `Pyramid` has."""
    return 1 + max(0, math.ceil(math.log2(max(width, height) / TILE)))


def _halved(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    if height % 2 or width % 2:
        pixels = cv2.copyMakeBorder(pixels, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return cv2.resize(pixels, (pixels.shape[1] // 2, pixels.shape[0] // 2), interpolation=cv2.INTER_AREA)


def tile_jpeg(tile: np.ndarray) -> bytes:
    """A tile `(H, W, 3)` uint8 as JPEG, colours at full resolution: lips and irises are told by them."""
    data: bytes = simplejpeg.encode_jpeg(tile, QUALITY, colorsubsampling="444")
    return data


def decode_draft(path: Path) -> np.ndarray | None:
    """The photo reduced eight times, `(H, W, 3)` uint8, without decoding it whole; None where it is no plain JPEG.

    Raises:
        HrlmError: no photo.
    """
    try:
        with path.open("rb") as file:
            header = read_header(file, str(path))
            if not header.is_jpeg:
                return None
            file.seek(0)
            pixels = simplejpeg.decode_jpeg(file.read(), "RGB", min_factor=1 << DRAFT_LEVEL, min_width=1, min_height=1)
    except (OSError, ValueError):  # decoding the whole photo will tell what is wrong, or know a way
        return None
    apply_profile(pixels, header.profile)
    return upright(pixels, header.pending_orientation())


class PhotoCache:
    """Photos by path, decoded once for all who ask; the least recently used go when the budget is spent."""

    def __init__(self, open_photo: Callable[[Path], Photo], budget: int = BUDGET) -> None:
        self._open, self._budget = open_photo, budget
        self._lock = threading.Lock()
        self._photos: OrderedDict[tuple[str, int], Future[Pyramid]] = OrderedDict()
        self._drafts: OrderedDict[tuple[str, int], Pyramid] = OrderedDict()
        self._background = ThreadPoolExecutor(2, "hrlm-decode")

    def get(self, path: Path) -> Pyramid:
        """The photo at `path`, as the file is now.

        Raises:
            HrlmError: it cannot be read.
        """
        key = (str(path), version_of(path))
        with self._lock:
            future = self._photos.get(key)
            mine = future is None
            if future is None:
                future = self._photos[key] = Future()
            self._photos.move_to_end(key)
        if mine:
            try:
                future.set_result(Pyramid.of(self._open(path).pixels))
            except BaseException as e:
                with self._lock:
                    self._photos.pop(key, None)
                future.set_exception(e)
            self._evict(key)
        return future.result()

    def draft(self, path: Path) -> np.ndarray | None:
        """`decode_draft` of the photo, whose coarse tiles can be had from now on; the whole is decoded meanwhile.

        Raises:
            HrlmError: the photo is not there.
        """
        key = (str(path), version_of(path))
        with self._lock:
            known = self._drafts.get(key)
        if known is None:
            pixels = decode_draft(path)
            if pixels is None:
                return None
            known = Pyramid.of(pixels)
            with self._lock:
                self._drafts[key] = known
                if len(self._drafts) > DRAFTS_KEPT:
                    self._drafts.popitem(last=False)
        # what goes wrong is told to those who ask for the photo itself
        self._background.submit(self.get, path)
        return known.levels[0]

    def tile(self, path: Path, level: int, x: int, y: int) -> np.ndarray | None:
        """A tile as of `Pyramid.tile`, from the draft where the photo is not decoded yet.

        Raises:
            HrlmError: the photo cannot be read.
        """
        key = (str(path), version_of(path))
        with self._lock:
            future, draft = self._photos.get(key), self._drafts.get(key)
        if draft is not None and level >= DRAFT_LEVEL and not (future is not None and future.done()):
            return draft.tile(level - DRAFT_LEVEL, x, y)
        return self.get(path).tile(level, x, y)

    def _evict(self, newest: tuple[str, int]) -> None:
        with self._lock:
            done = {k: f.result().nbytes for k, f in self._photos.items() if f.done() and not f.exception()}
            total = sum(done.values())
            for key, size in done.items():
                if total > self._budget and key != newest:
                    del self._photos[key]
                    total -= size


def version_of(path: Path) -> int:
    """What changes when a photo's file does.

    Raises:
        HrlmError: it is not there.
    """
    try:
        return path.stat().st_mtime_ns
    except OSError as e:
        raise HrlmError(f"{path}: cannot be read ({e.strerror or e}): check that the photo is still there") from e
