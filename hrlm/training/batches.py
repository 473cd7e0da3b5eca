"""Batches of augmented faces, prepared ahead of the network, the same for a seed however many workers prepare them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hrlm.geometry import CropTransform, face_crop
from hrlm.models.build import ModelConfig
from hrlm.models.cropping import crop_photo
from hrlm.schemes import Scheme
from hrlm.training.augment import augment_photo, jitter_face
from hrlm.training.config import Stage
from hrlm.training.data import Sample


@dataclass(frozen=True)
class Batch:
    """B faces.

    Args:
        pixels: `(B, 3, S, S)` the face crops, normalised.
        photos: what they were cut from, `(H, W, 3)` uint8 each.
        face: the B face crops in their photo's pixels.
        points: `(B, N, 2)` in the photos' pixels, in the order of the **viewed** face: where the face crop is
            mirrored, twins have changed places.
    """

    pixels: Tensor
    photos: list[np.ndarray]
    face: CropTransform
    points: Tensor


def collate(items: list[Batch]) -> Batch:
    """One batch of several."""
    return Batch(
        torch.cat([i.pixels for i in items]),
        [p for i in items for p in i.photos],
        CropTransform.cat([i.face for i in items]),
        torch.cat([i.points for i in items]),
    )


def plain_item(sample: Sample, scheme: Scheme, model: ModelConfig) -> Batch:
    """A face as it is, cropped by its own landmarks: for validation."""
    points = torch.from_numpy(sample.points)[None]
    face = face_crop(points, scheme.normaliser, model.face_size, model.face_margin)
    return Batch(crop_photo(sample.pixels, face), [sample.pixels], face, points)


def augmented_item(
    sample: Sample, scheme: Scheme, model: ModelConfig, others: list[Sample], rng: np.random.Generator
) -> Batch:
    """A face as training shows it."""
    sample = augment_photo(sample, rng, others)
    points = torch.from_numpy(sample.points)[None]
    mirrored = bool(rng.random() < 0.5)
    face = jitter_face(face_crop(points, scheme.normaliser, model.face_size, model.face_margin), rng, mirrored)
    if mirrored:
        points = points[:, list(scheme.mirror)]
    return Batch(crop_photo(sample.pixels, face), [sample.pixels], face, points)


def places_in_groups(sizes: Sequence[int], shares: Sequence[float], total: int) -> tuple[np.ndarray, np.ndarray]:
    """Which group and which of its own draws each of `total` places in line is; groups are spread evenly by share.

    Args:
        sizes: samples of each group.
        shares: of the places that a group gets; 0 for what the others leave, by size.
    """
    left = max(0.0, 1 - sum(shares))
    rest = sum(n for n, s in zip(sizes, shares, strict=True) if not s)
    each = [s or left * n / rest for n, s in zip(sizes, shares, strict=True)]
    # the golden ratio's multiples fill the unit interval evenly
    spread = np.modf(np.arange(total) * (np.sqrt(5) - 1) / 2)[0]
    group = np.minimum(np.searchsorted(np.cumsum(each), spread, side="right"), len(sizes) - 1)
    draw = np.zeros(total, int)
    for g in range(len(sizes)):
        draw[group == g] = np.arange((group == g).sum())
    return group, draw


def training_batches(
    groups: Sequence[list[Sample]],
    shares: Sequence[float],
    scheme: Scheme,
    model: ModelConfig,
    stage: Stage,
    key: tuple[int, int],
    start: int,
    workers: int,
) -> Iterator[Batch]:
    """The stage's batches from step `start` on. Everything drawn follows from `key` and the sample's place in line.

    Args:
        groups: the sources' samples, none empty.
        shares: as of `places_in_groups`.
    """
    total = (stage.samples // stage.batch) * stage.batch
    group_of, draw_of = places_in_groups([len(g) for g in groups], shares, total)
    every = [s for g in groups for s in g]

    def order(group: int, epoch: int) -> np.ndarray:
        return np.random.default_rng([*key, 0, epoch, group]).permutation(len(groups[group]))

    def item(place: int) -> Batch:
        group = int(group_of[place])
        epoch, offset = divmod(int(draw_of[place]), len(groups[group]))
        rng = np.random.default_rng([*key, 1, place])
        sample = groups[group][order(group, epoch)[offset]].reduced(stage.max_side)
        return augmented_item(sample, scheme, model, every, rng)

    places = iter(range(start * stage.batch, total))
    ahead: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(max(1, workers)) as pool:
        try:
            while True:
                while len(ahead) < 2 * stage.batch and (place := next(places, None)) is not None:
                    ahead.append(pool.submit(item, place))
                if not ahead:
                    return
                yield collate([ahead.popleft().result() for _ in range(stage.batch)])
        finally:
            for future in ahead:
                future.cancel()
