"""Annotated faces in memory: photos with landmark files, cut to the face and reduced to what training needs."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from hrlm.errors import HrlmError
from hrlm.formats.truth import AnnotatedPhoto, find_truth, read_truth
from hrlm.geometry import resize_points
from hrlm.photos import open_photo
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


def load_samples(folder: Path, scheme: Scheme, max_side: int) -> tuple[list[Sample], list[str]]:
    """Every annotated face of a folder, cut to 2.2 x the face and at most `max_side` pixels a side.

    Returns:
        the samples by name, and a message for every file that had to be passed over.

    Raises:
        DataError: no such folder, or nothing annotated in it.
    """

    def load(annotated: AnnotatedPhoto) -> tuple[list[Sample], list[str]]:
        faces, problems = read_truth(annotated, scheme)
        try:
            pixels = open_photo(annotated.photo).pixels
        except HrlmError as e:
            return [], [*problems, str(e)]
        return [_cut(f"{folder.name}/{f.file.stem}", pixels, f.points).reduced(max_side) for f in faces], problems

    found = find_truth([folder])
    with ThreadPoolExecutor(2) as pool:
        loaded = list(pool.map(load, sorted(found.annotated, key=lambda a: a.photo)))
    samples = [s for group, _ in loaded for s in group]
    return samples, found.problems + [p for _, problems in loaded for p in problems]


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
