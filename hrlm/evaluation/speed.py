"""Photos per second of a whole run, beside what merely decoding the same files costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from hrlm.errors import PhotoError


@dataclass(frozen=True)
class Speed:
    """How long the same files took, in seconds of wall-clock.

    Args:
        photos: how many.
        megapixels: mean of the photos.
        detect_seconds: the whole run over all of them.
        decode_seconds: Pillow opening and decoding them, one after the other.
    """

    photos: int
    megapixels: float
    detect_seconds: float
    decode_seconds: float

    @property
    def detect_rate(self) -> float:
        """Photos per second of the whole run."""
        return self.photos / self.detect_seconds

    @property
    def decode_rate(self) -> float:
        """Photos per second of decoding by Pillow."""
        return self.photos / self.decode_seconds

    @property
    def ratio(self) -> float:
        """Time of the whole run over the time of decoding by Pillow."""
        return self.detect_seconds / self.decode_seconds


def measure_speed(files: Sequence[Path], run: Callable[[], object]) -> Speed:
    """Time `run`, which does everything to `files`, and Pillow's decoding of them.

    Args:
        files: at least one; read just before, so that both find them in the system's cache.

    Raises:
        ValueError: no files.
        PhotoError: Pillow cannot decode one of them.
    """
    if not files:
        raise ValueError("no files to time")
    pixels = 0
    start = time.perf_counter()
    for file in files:
        try:
            with Image.open(file) as image:
                image.convert("RGB")
                pixels += image.width * image.height
        # decoders raise anything on damaged files
        except Exception as e:
            raise PhotoError(f"{file}: Pillow cannot decode it ({e}): leave it out to compare speeds") from e
    decode = time.perf_counter() - start
    start = time.perf_counter()
    run()
    return Speed(len(files), pixels / len(files) / 1e6, time.perf_counter() - start, decode)
