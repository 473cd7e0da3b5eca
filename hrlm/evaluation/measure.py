"""Measuring detectors on annotated photos: which detected face is which annotated one, and how far off it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from hrlm.errors import HrlmError
from hrlm.evaluation.contours import contour_normals, face_offsets
from hrlm.evaluation.metrics import nme, point_errors
from hrlm.evaluation.reduction import reduced
from hrlm.formats.truth import AnnotatedPhoto, TrueFace, read_truth
from hrlm.geometry import box_overlap
from hrlm.photos import Photo
from hrlm.results import Box, Face
from hrlm.schemes import Scheme

# a detected face may be the annotated one from this intersection over union of their boxes on
SAME_PLACE = 0.3


class FaceDetector(Protocol):
    """What a measurement needs of a detector."""

    @property
    def scheme(self) -> Scheme: ...

    def detect_batch(self, photos: Sequence[Photo]) -> list[list[Face]]: ...


@dataclass(frozen=True, eq=False)
class Measured:
    """One annotated face and what each system made of it.

    Args:
        photo: path of the photo.
        truth: path of the landmark file.
        width: of the true landmarks' bounding box in the photo's own pixels.
        errors: by system, `(N,)` fractions as `metrics.point_errors`; None where the face was missed.
        offsets: by system, `(N, 2)` as `contours.face_offsets`; None where the face was missed.
        normals: `(N, 2)` as `contours.contour_normals`.
    """

    photo: str
    truth: str
    width: float
    errors: Mapping[str, np.ndarray | None]
    offsets: Mapping[str, np.ndarray | None]
    normals: np.ndarray


@dataclass
class Measurement:
    """All faces of all photos.

    Args:
        native: every face, the photo as it is.
        reduced: by face width in pixels, the faces that were wider, each on its photo so reduced.
        seconds: by stage, one entry for each photo: `decode` and each system's name.
        problems: a message for each file that was passed over.
    """

    native: list[Measured] = field(default_factory=list)
    reduced: dict[int, list[Measured]] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def match(found: Sequence[Face], truths: Sequence[np.ndarray], scheme: Scheme) -> list[Face | None]:
    """The detected face of each annotated one `(N, 2)`, None where it was missed.

    A detected face stands for an annotated one if its box, or the bounding box of its landmarks, overlaps that of the
    true landmarks by at least `SAME_PLACE`: however wrong its landmarks are, they then count as errors, not as a miss.
    Pairs are made from the smallest error up, each face in one pair at most.
    """
    pairs = [
        (float(nme(face.landmarks, truth, scheme)), t, f)
        for t, truth in enumerate(truths)
        for f, face in enumerate(found)
        if max(box_overlap(box, extent(truth)) for box in (face.box, extent(face.landmarks))) >= SAME_PLACE
    ]
    matched: list[Face | None] = [None] * len(truths)
    taken: set[int] = set()
    for _, t, f in sorted(pairs):
        if matched[t] is None and f not in taken:
            matched[t] = found[f]
            taken.add(f)
    return matched


def extent(points: np.ndarray) -> Box:
    """The bounding box x, y, width, height of points `(N, 2)`."""
    low, high = points.min(0), points.max(0)
    return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])


def measure(
    annotated: Sequence[AnnotatedPhoto],
    systems: Mapping[str, FaceDetector],
    open_photo: Callable[[str], Photo],
    widths: Sequence[int] = (),
    step: Callable[[], None] = lambda: None,
    problem: Callable[[str], None] = lambda _: None,
) -> Measurement:
    """Run every system on every annotated photo, one at a time.

    Args:
        systems: detectors of one scheme by name.
        widths: also measure each wider face on its photo reduced until the face is that many pixels wide.
        step: called after each photo.
        problem: told at once what was passed over.
    """
    done = Measurement(reduced={w: [] for w in widths}, seconds={name: [] for name in ("decode", *systems)})
    for entry in annotated:
        for message in _measure_photo(entry, systems, open_photo, done):
            done.problems.append(message)
            problem(message)
        step()
    return done


def _measure_photo(
    entry: AnnotatedPhoto,
    systems: Mapping[str, FaceDetector],
    open_photo: Callable[[str], Photo],
    done: Measurement,
) -> Iterator[str]:
    scheme = next(iter(systems.values())).scheme
    truths, problems = read_truth(entry, scheme)
    yield from problems
    if not truths:
        return
    start = time.perf_counter()
    try:
        photo = open_photo(str(entry.photo))
    except HrlmError as e:
        yield str(e)
        return
    done.seconds["decode"].append(time.perf_counter() - start)
    true_points = [t.points for t in truths]
    found: dict[str, list[Face | None]] = {}
    for name, system in systems.items():
        start = time.perf_counter()
        faces = system.detect_batch([photo])[0]
        done.seconds[name].append(time.perf_counter() - start)
        found[name] = match(faces, true_points, scheme)
    for i, truth in enumerate(truths):
        done.native.append(_measured(entry, truth, truth.points, {n: f[i] for n, f in found.items()}, scheme))
    for width, measured in done.reduced.items():
        for truth in truths:
            if truth.width > width:
                small, points = reduced(photo, truth.points, width)
                faces_of = {n: match(s.detect_batch([small])[0], [points], scheme)[0] for n, s in systems.items()}
                measured.append(_measured(entry, truth, points, faces_of, scheme))


def _measured(
    entry: AnnotatedPhoto, truth: TrueFace, points: np.ndarray, found: Mapping[str, Face | None], scheme: Scheme
) -> Measured:
    """`points` are the truth in the pixels that were looked at."""
    seen = {name: None if face is None else face.landmarks for name, face in found.items()}
    return Measured(
        str(entry.photo),
        str(truth.file),
        truth.width,
        {n: None if p is None else point_errors(p, points, scheme) for n, p in seen.items()},
        {n: None if p is None else face_offsets(p, points, scheme) for n, p in seen.items()},
        contour_normals(points, scheme),
    )
