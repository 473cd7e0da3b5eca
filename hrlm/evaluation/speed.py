"""Time and memory: each stage on each photo, photos per second of a whole run, and peak memory against photo size."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import cv2
import numpy as np
import simplejpeg
import torch
from PIL import Image

from hrlm.errors import DataError, PhotoError
from hrlm.formats import json as result_json
from hrlm.photos import open_photo
from hrlm.results import PhotoInfo, PhotoResult

if TYPE_CHECKING:
    from hrlm.detector import Detector

MEGAPIXELS = (1, 12, 24, 50, 100)
"""Photo sizes at which memory is measured."""
STAGES = ("decode, Pillow", "decode", "find", "global", "regional", "write")


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


@dataclass(frozen=True)
class Memory:
    """Peak memory of a process that detects on one photo, in MB of 10⁶ bytes.

    Args:
        megapixels: of the photo.
        picture: its decoded pixels.
        peak: resident memory of the whole process, Python and the networks included; None where the system does not
            tell.
        gpu_peak: memory taken on the GPU; None without one.
    """

    megapixels: float
    picture: float
    peak: float | None
    gpu_peak: float | None


@dataclass(frozen=True)
class Timing:
    """All that was measured of time and memory: the whole run, seconds of each stage on each photo, memory by size."""

    speed: Speed
    stages: Mapping[str, Sequence[float]]
    memory: Sequence[Memory]


def files_to_time(files: Sequence[Path], most: int = 64) -> list[Path]:
    """At most so many of the files, evenly spread, of those that Pillow knows."""

    def known(file: Path) -> bool:
        try:
            _decode_with_pillow(file)
        except PhotoError:
            return False
        return True

    chosen = [file for file in files[:: -(-len(files) // most) or 1] if known(file)]
    return chosen[:most]


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
        pixels += _decode_with_pillow(file)
    decode = time.perf_counter() - start
    start = time.perf_counter()
    run()
    return Speed(len(files), pixels / len(files) / 1e6, time.perf_counter() - start, decode)


def measure_stages(
    files: Sequence[Path], full: Detector, holistic: Detector, step: Callable[[], None] = lambda: None
) -> Mapping[str, Sequence[float]]:
    """Seconds of each of `STAGES` on each photo with a face, one photo at a time.

    `regional` is what the full system takes longer than its global network alone: all that comes after it.

    Args:
        files: photos that can be decoded; the first is also looked at before the clock runs.
        holistic: the global network alone.
        step: called after each photo.

    Raises:
        PhotoError: a photo cannot be decoded.
    """
    seconds: dict[str, list[float]] = {stage: [] for stage in STAGES}
    with TemporaryDirectory() as folder:
        for number, file in enumerate([*files[:1], *files]):
            marks = [time.perf_counter()]
            _decode_with_pillow(file)
            marks.append(time.perf_counter())
            photo = open_photo(file)
            marks.append(time.perf_counter())
            found = full.find(photo)
            marks.append(time.perf_counter())
            crops = [full.first_crops(found)]
            holistic.locate([photo], crops)
            marks.append(time.perf_counter())
            full.locate([photo], crops)
            marks.append(time.perf_counter())
            faces = full.detect_batch([photo])[0]
            info = PhotoInfo(file.name, photo.width, photo.height, photo.orientation)
            start = time.perf_counter()
            result_json.write(Path(folder) / "result.json", PhotoResult(info, full.info, tuple(faces)))
            pillow, decode, find, alone, both = np.diff(marks).tolist()
            if number > 0:
                if found:
                    taken = (pillow, decode, find, alone, max(0.0, both - alone), time.perf_counter() - start)
                    for stage, value in zip(STAGES, taken, strict=True):
                        seconds[stage].append(value)
                step()
    return seconds


def measure_memory(
    photo: Path,
    model: str,
    device: str,
    quality: str,
    levels: int | None = None,
    step: Callable[[], None] = lambda: None,
) -> list[Memory]:
    """Peak memory of detection on `photo` enlarged to each of `MEGAPIXELS`, each in a process of its own.

    Raises:
        PhotoError: the photo cannot be decoded.
        DataError: a process was ended by the system.
    """
    pixels = open_photo(photo).pixels
    context = multiprocessing.get_context("spawn")
    done = []
    with TemporaryDirectory() as folder:
        file = Path(folder) / "enlarged.jpg"
        for megapixels in MEGAPIXELS:
            file.write_bytes(enlarged_jpeg(pixels, megapixels))
            answer, theirs = context.Pipe(duplex=False)
            child = context.Process(target=_detect_once, args=(theirs, str(file), model, device, quality, levels))
            child.start()
            theirs.close()
            try:
                done.append(answer.recv())
            except EOFError:
                raise DataError(
                    f"{photo}: detection on {megapixels} megapixels was ended (out of memory?): free some memory"
                ) from None
            finally:
                child.join()
            step()
    return done


def enlarged_jpeg(pixels: np.ndarray, megapixels: float) -> bytes:
    """A JPEG of so many megapixels from a picture `(H, W, 3)`, with grain, so that it is as large as a camera's."""
    height, width = pixels.shape[:2]
    ratio = (megapixels * 1e6 / (height * width)) ** 0.5
    size = round(width * ratio), round(height * ratio)
    large = cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC if ratio > 1 else cv2.INTER_AREA)
    grain = np.random.default_rng(0).normal(0, 5, (512, 512, 1)).astype(np.int16)
    for y in range(0, size[1], 512):
        for x in range(0, size[0], 512):
            tile = large[y : y + 512, x : x + 512]
            tile[:] = np.clip(tile + grain[: tile.shape[0], : tile.shape[1]], 0, 255)
    data: bytes = simplejpeg.encode_jpeg(large, quality=92)
    return data


def peak_memory() -> float | None:
    """The most resident memory that this process ever had, MB; None where the system does not tell."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would count what the parent had when it made this process
        high = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        return int(high[1]) * 1024 / 1e6 if high else None
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def _detect_once(
    answer: multiprocessing.connection.Connection,
    file: str,
    model: str,
    device: str,
    quality: str,
    levels: int | None,
) -> None:
    from hrlm.detector import Detector

    detector = Detector(model, device=device, levels=levels, quality=quality)
    photo = open_photo(file)
    detector.detect(photo)
    gpu = torch.cuda.max_memory_allocated(detector.device) / 1e6 if detector.device.type == "cuda" else None
    answer.send(Memory(photo.pixels.size / 3e6, photo.pixels.nbytes / 1e6, peak_memory(), gpu))


def _decode_with_pillow(file: Path) -> int:
    """Pixels of the photo."""
    try:
        with Image.open(file) as image:
            image.convert("RGB")
            return image.width * image.height
    # decoders raise anything on damaged files
    except Exception as e:
        raise PhotoError(f"{file}: Pillow cannot decode it ({e}): leave it out to compare speeds") from e
