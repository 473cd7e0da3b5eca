"""Augmentation by style: a face with the colours and textures of another training photo, kept where it is still read.

A stylised face has the landmarks of its own and the look of another. Like the supervised style transfer that has helped
landmark detection on few animals' faces, stylised faces are added to the training data, they replace nothing, and one
whose landmarks a trained model no longer finds is thrown away. The transfer itself is light: no network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from hrlm.errors import HrlmError, ModelError
from hrlm.photos import open_photo
from hrlm.training.data import Entry, Memory, Sample, Samples, Say

if TYPE_CHECKING:
    import torch

    from hrlm.models.build import LoadedModel

Rng = np.random.Generator
# a stylised face is kept when the model's mean error on it, in units of the normaliser, is at most this, or at most
# WORSE times what it is on the face as it was
AGREES = 0.05
WORSE = 1.25
# the donor's look is taken from it at this size
LOOK = 256
BATCH = 16


def match_statistics(pixels: np.ndarray, donor: np.ndarray) -> np.ndarray:
    """The photo with the donor's mean and spread of each channel in CIE Lab (Reinhard et al., 2001).

    Args:
        pixels, donor: `(H, W, 3)` uint8 sRGB, of any two sizes.
    """
    ours, theirs = (cv2.cvtColor(p, cv2.COLOR_RGB2LAB).astype(np.float32) for p in (pixels, donor))
    mean, spread = ours.mean((0, 1)), ours.std((0, 1))
    moved = (ours - mean) * (theirs.std((0, 1)) / np.maximum(spread, 1)) + theirs.mean((0, 1))
    return cv2.cvtColor(_bytes(moved), cv2.COLOR_LAB2RGB)


def transport_colours(pixels: np.ndarray, donor: np.ndarray, rng: Rng, directions: int = 8) -> np.ndarray:
    """The photo with the donor's distribution of colours, by sliced optimal transport.

    Along one random direction of colour after another, each value goes to the donor's value of the same rank (Pitié
    et al., 2007). The map is settled on a reduced view and blurred nowhere: equal colours stay equal.

    Args:
        pixels, donor: `(H, W, 3)` uint8 sRGB, of any two sizes.
    """
    cloud, target = (_small(p).reshape(-1, 3).astype(np.float64) for p in (pixels, donor))
    colours = pixels.reshape(-1, 3).astype(np.float64)
    for _ in range(directions):
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        ours, theirs, every = cloud @ turn, target @ turn, colours @ turn
        ranks = np.linspace(0, 1, 64)
        for axis in range(3):
            from_, to = np.quantile(ours[:, axis], ranks), np.quantile(theirs[:, axis], ranks)
            from_ = from_ + np.arange(64) * 1e-6
            ours[:, axis] = np.interp(ours[:, axis], from_, to)
            every[:, axis] = np.interp(every[:, axis], from_, to)
        cloud, colours = ours @ turn.T, every @ turn.T
    return _bytes(colours.reshape(pixels.shape))


def mix_amplitudes(pixels: np.ndarray, donor: np.ndarray, strength: float, reach: float = 0.05) -> np.ndarray:
    """The photo whose low spatial frequencies have some of the donor's amplitude and all of their own phase.

    Phase says where things are, amplitude how they look (Yang and Soatto, 2020; Xu et al., 2021).

    Args:
        pixels: `(H, W, 3)` uint8 sRGB.
        donor: `(h, w, 3)` uint8 sRGB, resized to the photo.
        strength: 0 for the photo as it is, 1 for the donor's amplitude.
        reach: the frequencies that change, as a share of the photo's sampling rate.
    """
    height, width = pixels.shape[:2]
    look = cv2.resize(donor, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    ours = np.fft.rfft2(pixels.astype(np.float32), axes=(0, 1))
    amplitude = np.abs(ours)
    theirs = np.abs(np.fft.rfft2(look, axes=(0, 1)))
    low = np.exp(-0.5 * (np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)) / reach) ** 2)
    share = strength * low[..., None]
    mixed = ours * ((1 - share) + share * theirs / np.maximum(amplitude, 1e-6))
    return _bytes(np.fft.irfft2(mixed, (height, width), axes=(0, 1)))


def stylise(pixels: np.ndarray, donor: np.ndarray, rng: Rng) -> np.ndarray:
    """The photo in the donor's look by a method and a strength drawn at random.

    Args:
        pixels, donor: `(H, W, 3)` uint8 sRGB, of any two sizes.
    """
    donor = _small(donor)
    method = int(rng.integers(3))
    strength = float(rng.uniform(0.5, 1))
    if method == 0:
        return mix_amplitudes(pixels, donor, strength, float(np.exp(rng.uniform(np.log(0.01), np.log(0.2)))))
    changed = match_statistics(pixels, donor) if method == 1 else transport_colours(pixels, donor, rng)
    return cv2.addWeighted(changed, strength, pixels, 1 - strength, 0)


@dataclass(frozen=True, eq=False)
class StyledEntry:
    """A face in another one's look; its pixels are made when they are asked for, the same each time.

    Args:
        content: whose landmarks and pixels.
        donor: whose look.
        key: what is drawn follows from it.
    """

    content: Entry
    donor: Entry
    key: tuple[int, ...]

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.content.name} in the look of {self.donor.name}"

    @property
    def photo(self) -> Path:
        """The content's file."""
        return self.content.photo

    @property
    def points(self) -> np.ndarray:
        """`(N, 2)` photo pixels."""
        return self.content.points

    @property
    def visible(self) -> np.ndarray | None:
        """As of `Sample`."""
        return self.content.visible

    def cut(self, pixels: np.ndarray) -> Sample:
        """The stylised face out of its photo's pixels `(H, W, 3)`."""
        sample = self.content.cut(pixels)
        look = self.donor.cut(open_photo(self.donor.photo).pixels).pixels
        return replace(sample, name=self.name, pixels=stylise(sample.pixels, look, np.random.default_rng(self.key)))

    def moved(self, points: np.ndarray) -> StyledEntry:
        """The same pixels with other landmarks."""
        return replace(self, content=self.content.moved(points))


def stylised(
    group: Samples,
    donors: Sequence[Entry],
    share: float,
    seed: int,
    errors: Callable[[Sequence[Sample]], list[float]],
    memory: Memory,
    say: Say,
) -> Samples:
    """Stylised faces to add to a group of faces: those on which a trained model agrees with the truth.

    Args:
        donors: whose looks are taken.
        share: so many times as many as the group has are tried, 0 to 1.
        errors: the model's mean error on each of some faces, in units of the normaliser.
        say: takes a line on how many are kept.
    """
    rng = np.random.default_rng(seed)
    chosen = sorted(rng.permutation(len(group))[: round(share * len(group))].tolist())
    kept: list[Entry] = []
    for start in range(0, len(chosen), BATCH):
        places = chosen[start : start + BATCH]
        entries = [StyledEntry(group.entries[i], donors[int(rng.integers(len(donors)))], (seed, i)) for i in places]
        pairs = []
        for entry in entries:
            try:
                pixels = open_photo(entry.photo).pixels
                pairs.append((entry, entry.content.cut(pixels), entry.cut(pixels)))
            except HrlmError as e:
                say(f"passed over: {e}")
        if not pairs:
            continue
        before = errors([plain for _, plain, _ in pairs])
        after = errors([styled for _, _, styled in pairs])
        kept += [e for (e, _, _), b, a in zip(pairs, before, after, strict=True) if a <= max(AGREES, WORSE * b)]
    say(f"style: {len(kept)} of {len(chosen)} stylised faces are still read right and are added")
    added = Samples(kept, memory, say)
    added.warm()
    return added


def judge(
    loaded: LoadedModel, landmarks: Sequence[str], device: torch.device
) -> Callable[[Sequence[Sample]], list[float]]:
    """The errors of a trained model on faces of a scheme, over the landmarks whose names both have.

    Args:
        landmarks: the names of the faces' landmarks.

    Raises:
        ModelError: fewer than three names in common, or not those that place the model's face crop.
    """
    from hrlm.training.validation import predict

    theirs = loaded.net.scheme
    index = {name: i for i, name in enumerate(landmarks)}
    places = [index.get(name) for name in theirs.landmarks]
    shared = [i for i, place in enumerate(places) if place is not None]
    if len(shared) < 3 or any(places[i] is None for i in theirs.normaliser):
        raise ModelError(f"{loaded.info.name}: has too few landmarks of this scheme to judge stylised faces by")

    def errors(samples: Sequence[Sample]) -> list[float]:
        translated = [_in_scheme(s, places) for s in samples]
        found = predict(loaded.net, loaded.config, translated, device)
        told = []
        for sample, points in zip(translated, found, strict=True):
            seen = [i for i in shared if sample.visible is None or sample.visible[i]]
            off = np.linalg.norm(points - sample.points, axis=1)[seen or shared]
            told.append(float(off.mean() / theirs.inter_ocular(sample.points)))
        return told

    return errors


def _in_scheme(sample: Sample, places: Sequence[int | None]) -> Sample:
    """The sample with a model's landmarks; those that the data lacks stand in the middle of the others, not visible."""
    known = np.array([p is not None for p in places])
    own = [p for p in places if p is not None]
    points = np.tile(sample.points[own].mean(0), (len(places), 1))
    points[known] = sample.points[own]
    seen = known.copy()
    if sample.visible is not None:
        seen[known] = sample.visible[own]
    return replace(sample, points=points, visible=seen)


def _small(pixels: np.ndarray) -> np.ndarray:
    scale = LOOK / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
