"""Annotated faces in memory: photos with landmark files, cut to the face and reduced to what training needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from hrlm.errors import DataError, HrlmError
from hrlm.formats import pts
from hrlm.geometry import resize_points
from hrlm.photos import PHOTO_SUFFIXES, open_photo
from hrlm.schemes import Scheme

# photos are cut to so many times the face: room for shifted, turned and enlarged crops
CUT = 2.2


@dataclass(frozen=True)
class Sample:
    """An annotated face.

    Args:
        name: photo and face, for messages.
        pixels: `(H, W, 3)` uint8.
        points: `(N, 2)` float64 in these pixels.
    """

    name: str
    pixels: np.ndarray
    points: np.ndarray

    def reduced(self, long_side: int) -> Sample:
        """The sample with its long side at most `long_side` (area averages)."""
        height, width = self.pixels.shape[:2]
        if max(height, width) <= long_side:
            return self
        size = [max(1, round(n * long_side / max(height, width))) for n in (width, height)]
        ratio = torch.tensor([size[0] / width, size[1] / height], dtype=torch.float64)
        pixels = cv2.resize(self.pixels, size, interpolation=cv2.INTER_AREA)
        return Sample(self.name, pixels, resize_points(torch.from_numpy(self.points), ratio).numpy())


def annotated_photos(folder: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Photos of a folder, by name, each with its landmark files `NAME.pts` or `NAME_1.pts`, `NAME_2.pts` …

    Raises:
        DataError: no such folder, or nothing annotated in it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder: check the data's path")
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    truth = {p for p in files if p.suffix == ".pts"}
    found = False
    for photo in files:
        if photo.suffix.lower() not in PHOTO_SUFFIXES:
            continue
        numbered = [p for p in truth if p.parent == photo.parent and _face_number(p.stem, photo.stem) is not None]
        if numbered:
            found = True
            yield photo, sorted(numbered)
    if not found:
        raise DataError(f"{folder}: holds no photo with a .pts file of the same name beside it")


def _face_number(stem: str, photo_stem: str) -> int | None:
    """0 for `NAME.pts`, k for `NAME_k.pts`, None for another photo's file."""
    if stem == photo_stem:
        return 0
    head, _, tail = stem.rpartition("_")
    return int(tail) if head == photo_stem and tail.isdigit() else None


def load_samples(folder: Path, scheme: Scheme, max_side: int) -> tuple[list[Sample], list[str]]:
    """Every annotated face of a folder, cut to 2.2 x the face and at most `max_side` pixels a side.

    Returns:
        the samples by name, and a message for every file that had to be passed over.
    """
    problems: list[str] = []

    def load(entry: tuple[Path, list[Path]]) -> list[Sample]:
        photo_path, files = entry
        try:
            pixels = open_photo(photo_path).pixels
        except HrlmError as e:
            problems.append(str(e))
            return []
        made = []
        for file in files:
            try:
                points = pts.read(file)
            except HrlmError as e:
                problems.append(str(e))
                continue
            if len(points) != len(scheme):
                problems.append(f"{file}: has {len(points)} points where {scheme.name} has {len(scheme)}: left out")
                continue
            made.append(_cut(f"{folder.name}/{file.stem}", pixels, points).reduced(max_side))
        return made

    with ThreadPoolExecutor(2) as pool:
        samples = [s for group in pool.map(load, annotated_photos(folder)) for s in group]
    return samples, problems


def _cut(name: str, pixels: np.ndarray, points: np.ndarray) -> Sample:
    low, high = points.min(0), points.max(0)
    middle, half = (low + high) / 2, (high - low).max() * CUT / 2
    height, width = pixels.shape[:2]
    x0, y0 = np.clip(np.floor(middle - half), 0, (width - 1, height - 1)).astype(int)
    x1, y1 = np.clip(np.ceil(middle + half), (x0 + 1, y0 + 1), (width, height)).astype(int)
    return Sample(name, np.ascontiguousarray(pixels[y0:y1, x0:x1]), points - (x0, y0))


def split(samples: Sequence[Sample], validation_every: int) -> tuple[list[Sample], list[Sample]]:
    """Training and validation samples: every `validation_every`-th validates, none at 0."""
    if validation_every <= 0:
        return list(samples), []
    chosen = set(range(0, len(samples), validation_every))
    return (
        [s for i, s in enumerate(samples) if i not in chosen],
        [s for i, s in enumerate(samples) if i in chosen],
    )
