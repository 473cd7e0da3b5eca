"""Speed and memory of detection on photos of known size, as ratios within one run: python tests/benchmarks/resources.py

The photos are the example portrait enlarged, with grain so that their files are as large as a camera's. What is timed
is `hrlm detect` itself, with a few and with all photos: the difference is what each further photo of a folder costs.
Pillow opens and decodes the same photos, one after the other, in a process of its own. The two take turns.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from PIL import Image

VARIANTS = {
    "best": ["--quality", "best"],
    "fast": ["--quality", "fast"],
    "fast, ibug68-small": ["--quality", "fast", "--model", "ibug68-small"],
}
# as many photos as are in hand at a time: after them all memory that is needed has been had
FEW = 8
PILLOW = """
import sys, time
from pathlib import Path
from PIL import Image
files = sorted(Path(sys.argv[1]).iterdir())
Image.open(files[0]).load()
start = time.perf_counter()
for file in files:
    with Image.open(file) as image:
        image.load()
print(time.perf_counter() - start)
"""
EXAMPLE = Path(__file__).parents[2] / "examples" / "photos" / "astronaut.png"


def enlarged(megapixels: float, seed: int = 0) -> np.ndarray:
    """The upper part of the example, `(H, W, 3)` uint8, of so many megapixels in a camera's 3 : 2."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    width = round(1.5 * height)
    with Image.open(EXAMPLE) as image:
        upper = image.convert("RGB").crop((0, 0, image.width, round(image.width / 1.5)))
    pixels = cv2.resize(np.asarray(upper), (width, height), interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(seed).normal(0, 5, (height, width)).astype(np.int16)
    return np.clip(pixels + grain[..., None], 0, 255).astype(np.uint8)


def seconds(command: list[str]) -> float:
    """Wall-clock time of a command.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def time_pillow(folder: Path) -> float:
    """Seconds in which Pillow opens and decodes a folder's photos, without the start of Python."""
    told = subprocess.run([sys.executable, "-c", PILLOW, str(folder)], check=True, capture_output=True, text=True)
    return float(told.stdout)


def time_detect(folder: Path, options: list[str]) -> float:
    """Seconds of `hrlm detect` over a folder, its start included."""
    with tempfile.TemporaryDirectory() as out:
        code = ["from hrlm.cli import main; main()", "detect", str(folder), "--out", out]
        return seconds([sys.executable, "-c", *code, "--device", "cpu", "--quiet", *options])


def time_folder(count: int, megapixels: float, rounds: int) -> None:
    """Print photos per second of detection and the ratio to Pillow merely decoding the same files."""
    with tempfile.TemporaryDirectory() as place:
        few, all_of_them = Path(place) / "few", Path(place) / "all"
        few.mkdir()
        all_of_them.mkdir()
        files = [simplejpeg.encode_jpeg(enlarged(megapixels, i), quality=92) for i in range(FEW)]
        for i in range(FEW + count):
            for folder in (few, all_of_them)[i >= FEW :]:
                (folder / f"{i}.jpg").write_bytes(files[i % FEW])
        decode: list[float] = []
        detect: dict[str, list[float]] = {name: [] for name in VARIANTS}
        for _ in range(rounds):
            decode.append(time_pillow(all_of_them) / (FEW + count))
            for name, each in detect.items():
                short, long = (time_detect(part, VARIANTS[name]) for part in (few, all_of_them))
                each.append((long - short) / count)
    size = sum(map(len, files)) / FEW / 1e6
    pillow = statistics.median(decode)
    print(f"JPEGs of {megapixels:g} MP ({size:.1f} MB): Pillow decodes one in {1000 * pillow:.0f} ms")
    for name, each in detect.items():
        typical = statistics.median(each)
        print(
            f"{name}: {1000 * typical:.0f} ms a photo, {typical / pillow:.2f} x the time of Pillow's decoding "
            f"(rounds {min(each) / pillow:.2f} to {max(each) / pillow:.2f})",
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


def proportional(process: int) -> float:
    """MB of a process and its children, what they share counted once; 0 where Linux does not tell."""
    total = 0
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        for one in (str(process), *children):
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    except OSError:  # one of them has just ended
        return 0.0
    return total * 1024 / 1e6


def peak_of_run(megapixels: float, count: int = 1) -> float:
    """Peak MB of `hrlm detect`, decoding processes included, on a folder of JPEGs of so many megapixels."""
    with tempfile.TemporaryDirectory() as place:
        photos = Path(place) / "photos"
        photos.mkdir()
        content = simplejpeg.encode_jpeg(enlarged(megapixels), quality=92)
        for i in range(count):
            (photos / f"{i}.jpg").write_bytes(content)
        code = ["from hrlm.cli import main; main()", "detect", str(photos), "--out", str(Path(place) / "out")]
        peak = 0.0
        with subprocess.Popen([sys.executable, "-c", *code, "--device", "cpu", "--quiet"]) as run:
            while run.poll() is None:
                peak = max(peak, proportional(run.pid))
                time.sleep(0.02)
        if run.returncode:
            raise subprocess.CalledProcessError(run.returncode, "hrlm detect")
    return peak


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megapixels", type=float, default=24)
    chosen = parser.parse_args()
    time_folder(chosen.photos, chosen.megapixels, chosen.rounds)
    context = multiprocessing.get_context("spawn")
    for megapixels in (1, 12, 24, 50, 100):
        answer: multiprocessing.SimpleQueue[tuple[float, float]] = context.SimpleQueue()
        child = context.Process(target=memory_of, args=(megapixels, answer))
        child.start()
        child.join()
        picture, more = answer.get()
        print(f"{megapixels:3d} MP: picture {picture:.0f} MB, detection took {more:.0f} MB more", flush=True)
    for count, megapixels in ((1, 100), (64, 24)):
        peak = peak_of_run(megapixels, count)
        print(f"hrlm detect on {count} of {megapixels} MP: {peak:.0f} MB at its peak, all its processes", flush=True)


if __name__ == "__main__":
    main()
