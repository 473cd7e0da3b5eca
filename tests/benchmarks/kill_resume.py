"""Kill a run again and again, resume it, compare with a run left alone: python tests/benchmarks/kill_resume.py

Every file must have the same bytes. The photos are small crops of the examples, some without a face, some broken.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from PIL import Image

EXAMPLES = Path(__file__).parents[2] / "examples"
OPTIONS = ["--quality", "fast", "--format", "pts,csv,coco", "--review", "--overlay"]


@dataclass(frozen=True)
class Trial:
    """What came of it: how often the run was killed, and the files that are missing, new or different after all."""

    kills: int
    files: int
    differing: list[str]


def make_photos(folder: Path, count: int, seed: int) -> None:
    """Write `count` files of 160 to 320 pixels a side: portraits, every tenth without a face, every fiftieth broken."""
    rng = np.random.default_rng(seed)
    portraits = []
    for path in sorted([*EXAMPLES.glob("heads/*.jpg"), *EXAMPLES.glob("photos/*.png")]):
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        portraits.append(cv2.resize(pixels, (480, 480 * pixels.shape[0] // pixels.shape[1]), interpolation=3))
    for number in range(count):
        side = int(rng.integers(160, 320))
        pixels = portraits[number % len(portraits)]
        if number % 10 == 9:
            pixels = rng.integers(0, 255, (8, 8, 3), np.uint8)
        light = rng.uniform(0.7, 1.2)
        small = cv2.resize(pixels, (side, side), interpolation=3).astype(np.float32) * light
        path = folder / f"{number % 7}" / f"{number:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.clip(small, 0, 255).astype(np.uint8)).save(path, quality=90)
        if number % 50 == 25:
            path.write_bytes(path.read_bytes()[: int(rng.integers(0, 2000))])


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def noted(out: Path) -> list[bytes]:
    """The lines of a folder's journal."""
    path = out / "run.jsonl"
    return path.read_bytes().splitlines() if path.exists() else []


class Process(Protocol):
    """A process that runs the command line."""

    @property
    def returncode(self) -> int | None: ...
    def poll(self) -> int | None: ...
    def wait(self) -> int: ...
    def kill(self) -> None: ...


def command_line(arguments: Sequence[str]) -> Process:
    """Start hrlm."""
    return subprocess.Popen(
        [sys.executable, "-c", "from hrlm.cli import main; main()", *arguments], stderr=subprocess.DEVNULL
    )


def trial(
    photos: Path,
    work: Path,
    kills: int,
    seed: int,
    hrlm: Callable[[Sequence[str]], Process] = command_line,
    moment: float = 1.0,
) -> Trial:
    """Run detection on `photos` once undisturbed and once with `kills` kills at random moments, both into `work`.

    Args:
        moment: seconds after a photo's line in the journal within which a kill comes.
    """
    rng = random.Random(seed)

    def start(out: Path) -> Process:
        return hrlm(["detect", str(photos), "--out", str(out), "--quiet", *OPTIONS])

    first = start(work / "whole")
    first.wait()
    total = len(noted(work / "whole"))
    killed = 0
    while killed < kills:
        run = start(work / "killed")
        before = len(noted(work / "killed"))
        # so many more photos, then any moment of the next ones
        wanted = before + rng.randint(0, round(1.5 * (total - before) / (kills - killed)))
        while run.poll() is None and len(noted(work / "killed")) < wanted:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, moment))
        if run.poll() is None:
            run.kill()
            killed += 1
        run.wait()
    last = start(work / "killed")
    last.wait()
    assert last.returncode == first.returncode, (first.returncode, last.returncode)
    whole, resumed = contents(work / "whole"), contents(work / "killed")
    differing = sorted(name for name in whole.keys() | resumed.keys() if whole.get(name) != resumed.get(name))
    return Trial(killed, len(whole), differing)


def main() -> None:
    """Try and print; exit code 1 where a file differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder, "photos")
        make_photos(photos, chosen.photos, chosen.seed)
        result = trial(photos, Path(folder), chosen.kills, chosen.seed)
    print(
        f"{chosen.photos} photos, killed {result.kills} times: {len(result.differing)} of {result.files} files differ"
    )
    for name in result.differing:
        print(f"  {name}")
    sys.exit(bool(result.differing) or result.kills < chosen.kills)


if __name__ == "__main__":
    main()
