"""Batches of augmented faces, prepared ahead of the network, the same for a seed however many workers prepare them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hrlm.geometry import CropTransform, box_crop, face_crop
from hrlm.models.build import ModelConfig
from hrlm.models.cropping import crop_photo
from hrlm.schemes import Scheme
from hrlm.training.augment import augment_photo, jitter_face
from hrlm.training.config import Stage
from hrlm.training.data import Joined, Sample


@dataclass(frozen=True)
class Batch:
    """B faces.

    Args:
        pixels: `(B, 3, S, S)` the face crops, normalised.
        photos: what they were cut from, `(H, W, 3)` uint8 each.
        face: the B face crops in their photo's pixels.
        points: `(B, N, 2)` in the photos' pixels, in the order of the **viewed** face: where the face crop is
            mirrored, twins have changed places.
        visible: `(B, N)` 1 for landmarks that teach, 0 for those that nobody could see, in the same order.
    """

    pixels: Tensor
    photos: list[np.ndarray]
    face: CropTransform
    points: Tensor
    visible: Tensor


def collate(items: list[Batch]) -> Batch:
    """One batch of several."""
    return Batch(
        torch.cat([i.pixels for i in items]),
        [p for i in items for p in i.photos],
        CropTransform.cat([i.face for i in items]),
        torch.cat([i.points for i in items]),
        torch.cat([i.visible for i in items]),
    )


def plain_item(sample: Sample, scheme: Scheme, model: ModelConfig) -> Batch:
    """A face as it is, cropped by its own landmarks or box: for validation."""
    points = torch.from_numpy(sample.points)[None]
    face = sample_crop(sample, scheme, model)
    return Batch(crop_photo(sample.pixels, face), [sample.pixels], face, points, _visible(sample))


def sample_crop(sample: Sample, scheme: Scheme, model: ModelConfig) -> CropTransform:
    """The face crop `(1,)` that a face finder should give: upright by its landmarks, or level around its box."""
    if sample.box is not None:
        return box_crop(torch.tensor([sample.box], dtype=torch.float64), model.face_size, model.face_margin)
    return face_crop(torch.from_numpy(sample.points)[None], scheme.normaliser, model.face_size, model.face_margin)


def _visible(sample: Sample) -> Tensor:
    if sample.visible is None:
        return torch.ones(1, len(sample.points))
    return torch.from_numpy(sample.visible)[None].float()


def augmented_item(
    sample: Sample, scheme: Scheme, model: ModelConfig, others: Sequence[Sample], rng: np.random.Generator
) -> Batch:
    """A face as training shows it."""
    sample = augment_photo(sample, rng, others)
    points = torch.from_numpy(sample.points)[None]
    mirrored = bool(rng.random() < 0.5)
    face = jitter_face(sample_crop(sample, scheme, model), rng, mirrored)
    visible = _visible(sample)
    if mirrored:
        points, visible = points[:, list(scheme.mirror)], visible[:, list(scheme.mirror)]
    return Batch(crop_photo(sample.pixels, face), [sample.pixels], face, points, visible)


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
    groups: Sequence[Sequence[Sample]],
    shares: Sequence[float],
    scheme: Scheme,
    model: ModelConfig,
    stage: Stage,
    key: tuple[int, int],
    start: int,
    workers: int,
    rank: int = 0,
    processes: int = 1,
) -> Iterator[Batch]:
    """The stage's batches from step `start` on. Everything drawn follows from `key` and the sample's place in line.

    Args:
        groups: the sources' samples, none empty.
        shares: as of `places_in_groups`.
        rank, processes: each process gets its equal part of every step's places, in `stage.accumulate` batches a step.
    """
    own = stage.batch // processes
    size = own // stage.accumulate
    total = (stage.samples // stage.batch) * stage.batch
    group_of, draw_of = places_in_groups([len(g) for g in groups], shares, total)
    every = Joined(groups)

    def order(group: int, epoch: int) -> np.ndarray:
        return np.random.default_rng([*key, 0, epoch, group]).permutation(len(groups[group]))

    def item(place: int) -> Batch:
        group = int(group_of[place])
        epoch, offset = divmod(int(draw_of[place]), len(groups[group]))
        rng = np.random.default_rng([*key, 1, place])
        sample = groups[group][order(group, epoch)[offset]].reduced(stage.max_side)
        return augmented_item(sample, scheme, model, every, rng)

    places = (p for p in range(start * stage.batch, total) if p % stage.batch // own == rank)
    ahead: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(max(1, workers)) as pool:
        try:
            while True:
                while len(ahead) < 2 * own and (place := next(places, None)) is not None:
                    ahead.append(pool.submit(item, place))
                if not ahead:
                    return
                yield collate([ahead.popleft().result() for _ in range(size)])
        finally:
            for future in ahead:
                future.cancel()
