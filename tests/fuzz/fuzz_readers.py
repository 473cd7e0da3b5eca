"""Broken files by the thousand, to show that none of them breaks a reader.

Every case is a small real file that was damaged at random. It must end in a value or in an `HrlmError`, in time and in
bounded memory, and leave no file behind. Run `python -m tests.fuzz.fuzz_readers --cases 10000 --seed 0` in the
repository's root; cases that fail are saved in `--save`.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from hrlm.errors import HrlmError
from hrlm.formats import json as json_format
from hrlm.formats import pts as pts_format
from hrlm.photos import IsolatedOpener
from hrlm.results import Face, ModelInfo, PhotoInfo, PhotoResult

# beside the tests of photos, which the same files serve
sys.path.append(str(Path(__file__).parents[1] / "photos"))
from photo_files import dng_file, psd_file

MAX_PIXELS = 4_000_000
TIMEOUT = 20.0
MEMORY = 3 << 30  # address space of a decoding process, its libraries included
# what a reader says when it did not fail by its own judgement
_BAD = re.compile(r"crashed|killed|did not finish|does not start|not enough memory|cannot be read \(")
_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@dataclass
class Outcome:
    """What became of the cases: numbers by kind of file and result, and the failures by name of the saved case."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)
    slowest: float = 0.0


def seeds(portrait: Path) -> dict[str, bytes]:
    """Small whole files by name: every kind that a reader takes, as far as it can be made here."""
    whole = Image.open(portrait).convert("RGB")
    small, tiny = whole.resize((96, 64)), whole.resize((40, 30))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    told = {"exif": exif.tobytes(), "icc_profile": profile}
    files = {
        "plain.jpg": _saved(small, "JPEG", quality=80, **told),
        "progressive.jpg": _saved(small, "JPEG", quality=60, progressive=True),
        "ink.jpg": _saved(small.convert("CMYK"), "JPEG"),
        "plain.png": _saved(small, "PNG", **told),
        "palette.png": _saved(tiny.quantize(32), "PNG", transparency=0),
        "deep.png": _saved(Image.fromarray(np.asarray(tiny.convert("L")).astype(np.uint16) * 257), "PNG"),
        "plain.tif": _saved(tiny, "TIFF", **told),
        "lzw.tif": _saved(small, "TIFF", compression="tiff_lzw"),
        "jpeg.tif": _saved(small, "TIFF", compression="jpeg"),
        "pages.tif": _saved(tiny, "TIFF", save_all=True, append_images=[tiny, tiny]),
        "plain.webp": _saved(small, "WEBP", quality=80, **told),
        "film.webp": _saved(tiny, "WEBP", save_all=True, append_images=[tiny.rotate(90)]),
        "film.gif": _saved(tiny, "GIF", save_all=True, append_images=[tiny.rotate(90)]),
        "plain.avif": _saved(small, "AVIF", quality=60),
        "plain.jp2": _saved(small, "JPEG2000"),
        "plain.bmp": _saved(tiny, "BMP"),
        "plain.psd": psd_file(np.asarray(tiny)),
        "packed.psb": psd_file(np.asarray(tiny).astype(np.uint16) * 257, large=True, packed=True),
        "face.pts": b"version: 1\nn_points: 4\n{\n" + b"10.5 20.25\n" * 4 + b"}\n",
        "result.json": _result().encode(),
    }
    try:
        import tifffile

        wide = np.asarray(small).astype(np.float32) / 255
        file = BytesIO()
        tifffile.imwrite(file, wide, photometric="rgb", tile=(32, 32), compression="zlib")
        files["float.tif"] = file.getvalue()
        files["camera.dng"] = dng_file(np.asarray(small))
    except ImportError:
        pass
    try:
        import pillow_heif

        file = BytesIO()
        pillow_heif.from_pillow(small).save(file, quality=60)
        files["phone.heic"] = file.getvalue()
    except ImportError:
        pass
    return files


def mutate(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """`data` damaged in one to four ways; `other` is another file to take pieces from."""
    broken = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        if not broken:
            break
        place = _place(broken, chance)
        length = min(chance.randint(1, 64), len(broken) - place)
        match chance.randrange(8):
            case 0:
                for _ in range(chance.randint(1, 12)):
                    broken[_place(broken, chance)] = chance.randrange(256)
            case 1:
                broken[place] ^= 1 << chance.randrange(8)
            case 2:
                del broken[chance.randint(0, len(broken)) :]
            case 3:
                del broken[place : place + length]
            case 4:
                size = chance.choice((1, 2, 4))
                value = chance.choice(_EXTREMES) % (1 << 8 * size)
                broken[place : place + size] = value.to_bytes(size, chance.choice(("big", "little")))
            case 5:
                start = chance.randint(0, len(other))
                broken[place:place] = other[start : start + length]
            case 6:
                broken[place : place + length] = bytes([chance.choice((0, 255))]) * length
            case 7:
                broken[place:place] = broken[place : place + length] * chance.randint(1, 4)
    return bytes(broken)


def with_true_sums(data: bytes) -> bytes:
    """A PNG file with right checksums, without which no damage would reach further than their test."""
    whole, place = bytearray(data), 8
    while place + 12 <= len(whole):
        end = place + 8 + int.from_bytes(whole[place : place + 4], "big")
        whole[end : end + 4] = zlib.crc32(whole[place + 4 : end]).to_bytes(4, "big")
        place = end + 4
    return bytes(whole[: max(len(data), 8)])


def fuzz(portrait: Path, cases: int, seed: int, save: Path, workers: int = 2) -> Outcome:
    """Run `cases` cases; what fails is saved in `save`. The same seed gives the same cases."""
    outcome = Outcome()
    lock = threading.Lock()
    files = seeds(portrait)
    names = sorted(files)
    with tempfile.TemporaryDirectory() as scratch, _limited_memory(), IsolatedOpener(workers, TIMEOUT, MAX_PIXELS) as o:
        readers: dict[str, Callable[[Path], object]] = {".pts": pts_format.read, ".json": json_format.read}

        def one(number: int) -> None:
            chance = random.Random(f"{seed}:{number}")
            name = names[number % len(names)]
            data = mutate(files[name], files[chance.choice(names)], chance)
            if name.endswith(".png") and chance.random() < 0.7:
                data = with_true_sums(data)
            path = Path(scratch) / f"{number}-{name}"
            path.write_bytes(data)
            start = time.monotonic()
            result, why = _judge(lambda: readers.get(path.suffix, o.open)(path))
            seconds = time.monotonic() - start
            path.unlink()
            with lock:
                outcome.counts[f"{Path(name).suffix[1:]} {result}"] += 1
                outcome.slowest = max(outcome.slowest, seconds)
                if result == "failure":
                    outcome.failures[path.name] = why
                    save.mkdir(parents=True, exist_ok=True)
                    (save / path.name).write_bytes(data)

        with ThreadPoolExecutor(workers) as threads:
            for _ in threads.map(one, range(cases)):
                pass
        left = sorted(p.name for p in Path(scratch).iterdir())
        if left:
            outcome.failures["files left behind"] = ", ".join(left[:5])
    return outcome


def _judge(read: Callable[[], object]) -> tuple[str, str]:
    try:
        read()
        return "value", ""
    except HrlmError as error:
        text = str(error)
        good = "\n" not in text and not _BAD.search(text)
        return ("error", "") if good else ("failure", text)
    except Exception as error:
        return "failure", f"{type(error).__name__}: {error}"


def _place(data: bytearray, chance: random.Random) -> int:
    # headers are where most decisions fall
    return chance.randrange(len(data) if chance.random() < 0.5 else min(len(data), 200))


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _result() -> str:
    face = Face(np.arange(8.0).reshape(4, 2), np.ones(4), (0.0, 0.0, 9.0, 9.0), 0.9, ("cut",))
    return json_format.dumps(PhotoResult(PhotoInfo("a.jpg", 640, 480), ModelInfo("m", "s", "1"), (face,)))


class _limited_memory:
    """Bounds what processes started within may allocate, where the system can."""

    def __enter__(self) -> None:
        if sys.platform != "win32":
            import resource

            self._before = resource.getrlimit(resource.RLIMIT_AS)
            _, hard = self._before
            # this process is bounded as well, and may have taken much already
            resource.setrlimit(resource.RLIMIT_AS, (_taken() + MEMORY, hard))

    def __exit__(self, *_: object) -> None:
        if sys.platform != "win32":
            import resource

            resource.setrlimit(resource.RLIMIT_AS, self._before)


def _taken() -> int:
    """Bytes of address space that this process has taken; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--save", type=Path, default=Path("fuzz-failures"), help="folder for cases that fail")
    options = parser.parse_args()
    start = time.monotonic()
    portrait = Path(__file__).parents[2] / "examples" / "photos" / "astronaut.png"
    outcome = fuzz(portrait, options.cases, options.seed, options.save, options.workers)
    for what, number in sorted(outcome.counts.items()):
        print(f"{number:6} {what}")
    for name, why in outcome.failures.items():
        print(f"FAILED {name}: {why}")
    seconds = time.monotonic() - start
    print(f"{options.cases} cases, {len(outcome.failures)} failures, slowest {outcome.slowest:.2f} s, {seconds:.0f} s")
    return int(bool(outcome.failures))


if __name__ == "__main__":
    sys.exit(main())
