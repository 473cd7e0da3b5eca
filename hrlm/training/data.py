"""Annotated faces: where each lies in which photo, its pixels cut out when they are asked for, and a cache of these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Protocol, overload

import cv2
import numpy as np
import torch

from hrlm.errors import DataError, HrlmError
from hrlm.geometry import resize_points
from hrlm.models.build import ModelConfig
from hrlm.photos import open_photo
from hrlm.results import Box
from hrlm.schemes import Scheme
from hrlm.training.config import Source
from hrlm.training.separation import separate
from hrlm.training.shapes import complete, mean_shape
from hrlm.training.sources import LabelledFace, Size, read_source

# photos are cut to so many times the face where its crop has the usual margin, to more where that is larger: room for
# shifted, turned and enlarged crops
CUT = 2.2
# photos that are decoded at once while the cache is filled
CHUNK = 64
Say = Callable[[str], None]


@dataclass(frozen=True)
class Sample:
    """An annotated face.

    Args:
        name: photo and face, for messages.
        pixels: `(H, W, 3)` uint8.
        points: `(N, 2)` float64 in these pixels.
        visible: `(N,)` bool: the landmarks that teach; None for all. Where the others stand is a guess.
        box: x, y, width, height in these pixels where the face crop is placed by it; None where by the landmarks.
        warp: how strongly training stretches and tilts it, see `augment.warp`.
        bend: how strongly it bends it, see `augment.bend`.
    """

    name: str
    pixels: np.ndarray
    points: np.ndarray
    visible: np.ndarray | None = None
    box: Box | None = None
    warp: float = 0.0
    bend: float = 0.0

    def reduced(self, long_side: int) -> Sample:
        """The sample with its long side at most `long_side` (area averages)."""
        height, width = self.pixels.shape[:2]
        if max(height, width) <= long_side:
            return self
        size = [max(1, round(n * long_side / max(height, width))) for n in (width, height)]
        ratio = torch.tensor([size[0] / width, size[1] / height], dtype=torch.float64)
        pixels = cv2.resize(self.pixels, size, interpolation=cv2.INTER_AREA)
        points = resize_points(torch.from_numpy(self.points), ratio).numpy()
        box = self.box
        if box is not None:
            x, y = resize_points(torch.tensor(box[:2], dtype=torch.float64), ratio).tolist()
            box = (x, y, box[2] * float(ratio[0]), box[3] * float(ratio[1]))
        return replace(self, pixels=pixels, points=points, box=box)


class Entry(Protocol):
    """A face that can be read: what is known of it without its pixels, and how to get them."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def photo(self) -> Path:
        """The file that is read."""

    @property
    def points(self) -> np.ndarray:
        """`(N, 2)` photo pixels."""

    @property
    def visible(self) -> np.ndarray | None:
        """As of `Sample`."""

    def cut(self, pixels: np.ndarray) -> Sample:
        """The face out of its photo's pixels `(H, W, 3)`.

        Raises:
            HrlmError: the face is not to be had from them.
        """

    def moved(self, points: np.ndarray) -> Entry:
        """The same pixels with other landmarks."""


@dataclass(frozen=True, eq=False)
class FaceEntry:
    """A face of a photo.

    Args:
        name: for messages.
        photo: the file.
        points: `(N, 2)` photo pixels, finite.
        visible: as of `Sample`.
        box: in photo pixels, where the face crop is placed by it.
        middle, half: centre and half the side of the square that is cut out, photo pixels.
        max_side: the cut-out is reduced to this.
        warp, bend: as of `Sample`.
        size: width and height of the photo that was annotated, as a person sees it; None where it is not known.
    """

    name: str
    photo: Path
    points: np.ndarray
    visible: np.ndarray | None
    box: Box | None
    middle: np.ndarray
    half: float
    max_side: int
    warp: float = 0.0
    bend: float = 0.0
    size: Size | None = None

    def cut(self, pixels: np.ndarray) -> Sample:
        """The face out of its photo's pixels `(H, W, 3)`.

        Raises:
            DataError: the labels are of another photo, by its size or by where they lie.
        """
        height, width = pixels.shape[:2]
        self._check(width, height)
        x0, y0 = np.clip(np.floor(self.middle - self.half), 0, (width - 1, height - 1)).astype(int)
        x1, y1 = np.clip(np.ceil(self.middle + self.half), (x0 + 1, y0 + 1), (width, height)).astype(int)
        part = np.ascontiguousarray(pixels[y0:y1, x0:x1])
        box = self.box and (self.box[0] - x0, self.box[1] - y0, self.box[2], self.box[3])
        made = Sample(self.name, part, self.points - (x0, y0), self.visible, box, self.warp, self.bend)
        return made.reduced(self.max_side)

    def moved(self, points: np.ndarray) -> FaceEntry:
        """The same pixels with other landmarks."""
        return replace(self, points=points)

    def _check(self, width: int, height: int) -> None:
        own = f"{width} x {height}"
        if self.size is not None and self.size != (width, height):
            stated = f"{self.size[0]} x {self.size[1]}"
            if self.size == (height, width):
                raise DataError(
                    f"{self.photo}: its labels are of a photo of {stated}, upright it has {own}: label it as a person "
                    "sees it, or state that size where they already are so"
                )
            raise DataError(
                f"{self.photo}: its labels are of a photo of {stated}, it has {own}: export the labels again for this "
                "photo, or bring back the one that they were made on"
            )
        taught = self.points if self.visible is None else self.points[self.visible]
        outside = ((taught < -0.5) | (taught > np.array([width, height]) - 0.5)).any(1)
        if outside.mean() > 0.5:
            raise DataError(
                f"{self.photo} ({self.name}): most of its landmarks lie outside of it, which has {own}: export the "
                "labels again for this photo, or bring back the one that they were made on"
            )


class Memory:
    """Room for decoded faces, in bytes.

    What came first stays: faces are shown in a new order each time round, and a cache that threw out the oldest would
    always just have lost the one that is asked for.
    """

    def __init__(self, limit: int) -> None:
        self.left, self.full = limit, False

    def take(self, size: int) -> bool:
        """Take room if there is enough; from the first time that there is not, there is none."""
        self.full = self.full or size > self.left
        if not self.full:
            self.left -= size
        return not self.full


class Samples(Sequence[Sample]):
    """Faces whose pixels are read when they are asked for, and kept while the memory has room.

    A photo that cannot be read, or is not the one that was annotated, is told once and the next face takes its place,
    so that a run goes on, the same way each time. `labelled` are all faces that were given, dropped ones too.
    """

    def __init__(self, entries: Sequence[Entry], memory: Memory, say: Say) -> None:
        self.entries = self.labelled = list(entries)
        self._memory, self._say = memory, say
        self._kept: dict[int, Sample] = {}
        self._bad: set[int] = set()
        self._told: set[str] = set()

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        start = range(len(self))[index]
        for step in range(len(self)):
            place = (start + step) % len(self)
            if (kept := self._kept.get(place)) is not None:
                return kept
            if place not in self._bad:
                entry = self.entries[place]
                try:
                    return entry.cut(open_photo(entry.photo).pixels)
                except HrlmError as e:
                    self._fail(place, e)
        raise DataError(f"none of the {len(self)} photos can be read: check their disk")

    def warm(self, workers: int = 2) -> None:
        """Read faces in order until the memory is full; those that cannot be had are told and dropped."""

        def cut(place: int, pixels: np.ndarray) -> Sample | HrlmError:
            try:
                return self.entries[place].cut(pixels)
            except HrlmError as e:
                return e

        def read(group: tuple[Path, list[int]]) -> list[Sample | HrlmError]:
            photo, places = group
            try:
                pixels = open_photo(photo).pixels
            except HrlmError as e:
                return [e] * len(places)
            return [cut(place, pixels) for place in places]

        photos = [(p, list(g)) for p, g in groupby(range(len(self)), key=lambda i: self.entries[i].photo)]
        with ThreadPoolExecutor(workers) as pool:
            for start in range(0, len(photos), CHUNK):
                if self._memory.full:
                    break
                # whole chunks, so that what is dropped does not depend on the threads
                chunk = photos[start : start + CHUNK]
                for (_, places), got in zip(chunk, pool.map(read, chunk), strict=True):
                    for place, sample in zip(places, got, strict=True):
                        if isinstance(sample, HrlmError):
                            self._fail(place, sample)
                        elif self._memory.take(sample.pixels.nbytes):
                            self._kept[place] = sample
        good = [i for i in range(len(self)) if i not in self._bad]
        self._kept = {new: self._kept[old] for new, old in enumerate(good) if old in self._kept}
        self.entries, self._bad = [self.entries[i] for i in good], set()

    def moved(self, change: Callable[[np.ndarray], np.ndarray]) -> Samples:
        """The faces with every face's landmarks `(N, 2)` put through `change`, which must be the same in any pixels."""
        other = Samples([e.moved(change(e.points)) for e in self.entries], self._memory, self._say)
        other._kept = {i: replace(s, points=change(s.points)) for i, s in self._kept.items()}
        return other

    @staticmethod
    def join(first: Samples, second: Samples) -> Samples:
        """The faces of both, with what each has in memory."""
        both = Samples([*first.entries, *second.entries], first._memory, first._say)
        both._kept = first._kept | {len(first) + i: s for i, s in second._kept.items()}
        return both

    def _fail(self, place: int, error: HrlmError) -> None:
        self._bad.add(place)
        if str(error) not in self._told:
            self._told.add(str(error))
            self._say(f"passed over: {error}")


class Joined(Sequence[Sample]):
    """Several sequences of faces as one, which are read when they are asked for.

    Args:
        most: only so many of them, evenly out of all; 0 for all.
    """

    def __init__(self, parts: Sequence[Sequence[Sample]], most: int = 0) -> None:
        places = [(part, i) for part in parts for i in range(len(part))]
        self._places = places[:: -(-len(places) // most)] if most and places else places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        if isinstance(index, slice):
            return [part[i] for part, i in self._places[index]]
        part, i = self._places[index]
        return part[i]


@dataclass
class SourceSamples:
    """A source's faces to train on and to validate on, either of which may be none."""

    source: Source
    training: Samples
    validation: Samples


def load_sources(
    sources: Sequence[Source],
    scheme: Scheme,
    max_side: int,
    memory: Memory,
    say: Say,
    margin: float = ModelConfig.face_margin,
) -> list[SourceSamples]:
    """The faces of every source in the model's scheme, cut out with room around; decoded as far as memory allows.

    A photo that several sources hold trains in none of them where one excludes it or validates on it.

    Landmarks that a source lacks are not visible and stand where the mean shape of all sources puts them (the scheme's
    own shape for those that no source has), so that crops of a face are the same whatever its source annotated.

    Args:
        max_side: faces are reduced to this long side, or to their source's own where that is smaller.
        say: takes a line for every file that has to be passed over.
        margin: the side of the model's face crop, as of `ModelConfig.face_margin`.

    Raises:
        DataError: nothing usable in a source, or a landmark that no source has of a scheme without a shape.
    """
    read = [read_source(source, scheme) for source in sources]
    for one in read:
        for problem in one.problems:
            say(f"passed over: {problem.message}")
    if line := separate(read):
        say(line)
    faces = [f for one in read for f in (*one.training, *one.validation)]
    if not faces:
        raise DataError(f"{sources[0].path}: {line}, and no face is left: mend the lists of exclude")
    placed = np.array([np.isfinite(f.points).all(1) for f in faces]).any(0)
    if not np.all(placed) and scheme.shape is None:
        lacking = scheme.landmarks[int(np.flatnonzero(~placed)[0])]
        raise DataError(f"no source has the landmark {lacking} of {scheme.name}: add one, or map its name in a source")
    whole = all(np.isfinite(f.points).all() for f in faces)
    shape = np.zeros((0, 2)) if whole else mean_shape([f.points for f in faces], scheme)
    if scheme.shape and not whole and (filled := complete(shape, np.array(scheme.shape))) is not None:
        shape = filled
    loaded = []
    for source, one in zip(sources, read, strict=True):
        side = min(max_side, source.max_side or max_side)
        groups = [
            Samples([e for f in group if (e := _entry(f, source, scheme, shape, side, margin, say))], memory, say)
            for group in (one.validation, one.training)
        ]
        for group in groups:
            group.warm()
        if not any(map(len, groups)):
            raise DataError(f"{source.path}: none of its photos can be used: see the messages above")
        loaded.append(SourceSamples(source, groups[1], groups[0]))
    return loaded


def _entry(
    face: LabelledFace, source: Source, scheme: Scheme, shape: np.ndarray, side: int, margin: float, say: Say
) -> Entry | None:
    points = complete(face.points, shape, face.box)
    if points is None:
        say(f"passed over: {face.photo}: one landmark and no box do not tell where the face lies: annotate more of it")
        return None
    if not scheme.inter_ocular(points) > 0:
        say(
            f"passed over: {face.photo}: the landmarks {scheme.normaliser} coincide, so nothing measures the face: "
            "mend it"
        )
        return None
    box = face.box if source.crop == "box" else None
    if source.crop == "box" and box is None:
        say(f"passed over: {face.photo}: has no box, which crop: box asks for: add one or crop by landmarks")
        return None
    low, high = points.min(0), points.max(0)
    if box is not None:
        low, high = np.minimum(low, box[:2]), np.maximum(high, np.add(box[:2], box[2:]))
    visible = None if face.visible.all() else face.visible
    half = float((high - low).max()) * CUT * max(1.0, margin / ModelConfig.face_margin) / 2
    middle = (low + high) / 2
    return FaceEntry(
        face.name, face.photo, points, visible, box, middle, half, side, source.warp, source.bend, face.size
    )
