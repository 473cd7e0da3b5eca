"""Measuring systems on annotated photos, one photo at a time, so that memory does not grow with the photos."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hrlm.errors import HrlmError
from hrlm.evaluation.data import KnownFace, Sample, check_size, name_of_face
from hrlm.evaluation.reduction import reduced
from hrlm.evaluation.systems import Prediction, System
from hrlm.photos import Photo

Save = Callable[[int, Sample, int, Photo, np.ndarray], str | None]


@dataclass(frozen=True, eq=False)
class Measured:
    """One annotated face and what each system made of it, in the pixels that were looked at; float32 throughout.

    Args:
        photo: path of the photo.
        truth: where its truth comes from; no two faces have the same.
        width: of the true face in the photo's own pixels.
        points: `(N, 2)`, NaN where not annotated.
        predicted: by system, `(N, 2)`; None where the face was missed.
        deviation: by system, `(N,)` stated standard deviations, NaN where unknown; of the found faces.
    """

    photo: str
    truth: str
    width: float
    points: np.ndarray
    predicted: Mapping[str, np.ndarray | None]
    deviation: Mapping[str, np.ndarray]


@dataclass
class Measurement:
    """All faces of all photos.

    Args:
        native: every face, the photo as it is.
        reduced: by face width in pixels, the faces that were wider, each on its photo so reduced.
        problems: a message for each file that was passed over.
    """

    native: list[Measured] = field(default_factory=list)
    reduced: dict[int, list[Measured]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def measure(
    samples: Sequence[Sample],
    systems: Mapping[str, System],
    open_photo: Callable[[str], Photo],
    widths: Sequence[int] = (),
    step: Callable[[], None] = lambda: None,
    problem: Callable[[str], None] = lambda _: None,
    save: Save | None = None,
) -> Measurement:
    """Run every system on every annotated photo; one with which anything goes wrong is told and passed over.

    Args:
        widths: also measure each wider face on its photo reduced until the face is that many pixels wide.
        step: called after each photo.
        problem: told at once what was passed over.
        save: gets every reduced photo: width, sample, number of the face from 0, photo and true points in its pixels;
            gives a message where it could not be kept.

    Raises:
        HrlmError: what `save` raises.
    """
    done = Measurement(reduced={w: [] for w in widths})
    for sample in samples:
        for message in _measure_photo(sample, systems, open_photo, done, save):
            done.problems.append(message)
            problem(message)
        step()
    return done


def _measure_photo(
    sample: Sample,
    systems: Mapping[str, System],
    open_photo: Callable[[str], Photo],
    done: Measurement,
    save: Save | None,
) -> Iterator[str]:
    try:
        truths, problems = sample.read()
        yield from problems
        if not truths:
            return
        photo = open_photo(str(sample.photo))
        if sample.stated:
            check_size(truths[0].source, sample.stated, photo)
    # whatever goes wrong with one photo must not end a run over thousands
    except Exception as e:
        yield _message(sample, e)
        return
    found, problems = _look(sample, photo, truths, systems, None)
    yield from problems
    done.native.extend(
        _measured(sample, t, t.points, {n: f[i] for n, f in found.items()}) for i, t in enumerate(truths)
    )
    for width, measured in done.reduced.items():
        for number, truth in enumerate(truths):
            if truth.width > width:
                x, y, w, h = truth.box
                corners = np.array([[x, y], [x + w, y + h]])
                try:
                    small, places = reduced(photo, np.concatenate([truth.points, corners]), truth.width, width)
                except Exception as e:
                    yield _message(sample, e)
                    continue
                points, low, high = places[:-2], places[-2].tolist(), places[-1].tolist()
                if save and (message := save(width, sample, number, small, points)):
                    yield message
                there = replace(truth, points=points, box=(*low, high[0] - low[0], high[1] - low[1]))
                alone = replace(sample, name=name_of_face(sample.name, number))
                found, problems = _look(alone, small, [there], systems, width)
                yield from problems
                measured.append(_measured(sample, truth, points, {n: f[0] for n, f in found.items()}))


def _message(sample: Sample, error: Exception) -> str:
    reason = f"{sample.photo}: failed ({type(error).__name__}: {error}): passed over"
    return str(error) if isinstance(error, HrlmError) else reason


def _look(
    sample: Sample, photo: Photo, truths: Sequence[KnownFace], systems: Mapping[str, System], width: int | None
) -> tuple[dict[str, list[Prediction | None]], list[str]]:
    """What each system that can be measured makes of the faces; one that fails has missed them."""
    found: dict[str, list[Prediction | None]] = {}
    problems = []
    for name, system in systems.items():
        if system.has(width):
            try:
                found[name] = system.faces(sample, photo, truths, width)
            # whatever a detector does on one photo must not end a run over thousands
            except Exception as e:
                reason = str(e) if isinstance(e, HrlmError) else f"{type(e).__name__}: {e}"
                problems.append(f"{sample.photo}: {name} failed ({reason}): counted as missed")
                found[name] = [None] * len(truths)
    return found, problems


def _measured(sample: Sample, truth: KnownFace, points: np.ndarray, found: Mapping[str, Prediction | None]) -> Measured:
    """`points` are the truth in the pixels that were looked at."""
    return Measured(
        str(sample.photo),
        truth.source,
        truth.width,
        points.astype(np.float32),
        {n: None if p is None else p.landmarks.astype(np.float32) for n, p in found.items()},
        {n: p.deviation.astype(np.float32) for n, p in found.items() if p is not None},
    )
