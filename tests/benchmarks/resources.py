"""Speed and memory of detection on photos of known size, as ratios within one run: python tests/benchmarks/resources.py

The photos are the example portrait enlarged, with grain so that their files are as large as a camera's.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from PIL import Image

EXAMPLE = Path(__file__).parents[2] / "examples" / "photos" / "astronaut.png"


def enlarged(megapixels: float, seed: int = 0) -> np.ndarray:
    """The example, `(H, W, 3)` uint8, square, of so many megapixels."""
    side = round((megapixels * 1e6) ** 0.5)
    with Image.open(EXAMPLE) as image:
        pixels = cv2.resize(np.asarray(image.convert("RGB")), (side, side), interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(seed).normal(0, 5, (side, side)).astype(np.int16)
    return np.clip(pixels + grain[..., None], 0, 255).astype(np.uint8)


def time_folder(count: int, megapixels: float, quality: str) -> None:
    """Print photos per second of detection and the ratio to Pillow merely decoding the same files."""
    from hrlm.commands.benchmark import _detect
    from hrlm.detector import Detector
    from hrlm.evaluation.speed import measure_speed

    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{i}.jpg" for i in range(count)]
        for i, file in enumerate(files):
            file.write_bytes(simplejpeg.encode_jpeg(enlarged(megapixels, i), quality=92))
        size = sum(f.stat().st_size for f in files) / count / 1e6
        detector = Detector(quality=quality)
        detector.detect(files[0])
        speed = measure_speed(files, lambda: _detect(files, detector))
    print(
        f"{quality}: {count} JPEGs of {megapixels:g} MP ({size:.1f} MB): {speed.detect_rate:.2f} photos/s, "
        f"{speed.ratio:.2f} x the time of Pillow's decoding ({speed.decode_rate:.2f} photos/s)",
        flush=True,
    )


def resident() -> float:
    """Resident memory of this process now, MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def memory_of(megapixels: float, answer: multiprocessing.SimpleQueue[tuple[float, float]]) -> None:
    """Put the picture's size and how much more memory detection took at its peak, MB."""
    from hrlm.detector import Detector
    from hrlm.photos import Photo

    detector = Detector()
    detector.detect(Photo.from_array(enlarged(4)))
    photo = Photo.from_array(enlarged(megapixels))
    peak = before = resident()
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, resident())
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    detector.detect(photo)
    done.set()
    watcher.join()
    answer.put((photo.pixels.nbytes / 1e6, peak - before))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=8)
    parser.add_argument("--megapixels", type=float, default=24)
    chosen = parser.parse_args()
    for quality in ("best", "fast"):
        time_folder(chosen.photos, chosen.megapixels, quality)
    context = multiprocessing.get_context("spawn")
    for megapixels in (1, 12, 24, 50, 100):
        answer: multiprocessing.SimpleQueue[tuple[float, float]] = context.SimpleQueue()
        child = context.Process(target=memory_of, args=(megapixels, answer))
        child.start()
        child.join()
        picture, more = answer.get()
        print(f"{megapixels:3d} MP: picture {picture:.0f} MB, detection took {more:.0f} MB more", flush=True)


if __name__ == "__main__":
    main()
