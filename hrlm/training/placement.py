"""Where a scheme's landmarks lie for a found face: what a detector needs to cut its first crop for this scheme."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from hrlm.errors import SchemeError
from hrlm.finding import FoundFace
from hrlm.geometry import rotation_matrix
from hrlm.photos import Photo
from hrlm.schemes import Scheme
from hrlm.training.data import Sample

Find = Callable[[Photo], list[FoundFace]]
# fewer faces than this tell nothing, and so many settle where the landmarks lie about a found face
FEWEST, PLACED_FACES = 5, 60
# training turns crops at random, but no further than this
MOST_TURN = math.pi / 4
NOT_LEVEL = "normaliser that does not run from left to right"


def placement(samples: Sequence[Sample], find: Find) -> dict[str, float] | None:
    """Medians over faces, in units of the found box's size and in the face's upright frame.

    Args:
        samples: annotated faces.
        find: the faces of a photo.

    Returns:
        `below`, how far the centre of the landmarks' box lies below the found box's, and `extent`, the larger side of
        the landmarks' box; None where too few faces are found, as with animals.
    """
    told = []
    for sample, face in _found(samples, find):
        turn = rotation_matrix(torch.tensor(face.roll, dtype=torch.float64)).numpy()
        upright = (sample.points - np.asarray(face.centre)) @ turn / face.size
        low, high = upright.min(0), upright.max(0)
        told.append(((low[1] + high[1]) / 2, (high - low).max()))
    if len(told) < FEWEST:
        return None
    below, extent = np.median(told, axis=0).tolist()
    return {"below": round(below, 4), "extent": round(extent, 4)}


def check_normaliser(
    where: str,
    scheme: Scheme,
    points: Sequence[np.ndarray],
    samples: Callable[[], Sequence[Sample]],
    find: Find,
) -> None:
    """Make sure that the normaliser's line lies level on upright faces.

    Training stands faces upright by that line and detection by the face finder: of two that disagree by more than
    training turns crops, the networks would learn one and be shown the other.

    Args:
        where: the scheme's name or file, for the message.
        points: of each face `(N, 2)` photo pixels, NaN where missing.
        samples: some of the faces with their pixels, asked for only where the line is not level in most photos.
        find: the faces of a photo. Where it finds too few, as with animals, nobody's upright is known.

    Raises:
        SchemeError: it does not.
    """
    angles = np.array([_angle(face, scheme) for face in points])
    if not np.isfinite(angles).any() or np.nanmedian(abs(angles)) <= MOST_TURN:
        return
    turns = [math.remainder(_angle(s.points, scheme) - face.roll, math.tau) for s, face in _found(samples(), find)]
    if len(turns) >= FEWEST and (turn := float(np.median(np.abs(turns)))) > MOST_TURN:
        first, second = (scheme.landmarks[i] for i in scheme.normaliser)
        raise SchemeError(
            f"{where}: on an upright face the normaliser, from {first} to {second}, is turned by "
            f"{math.degrees(turn):.0f} degrees: name two landmarks that lie side by side, the one on the left of an "
            "upright picture first"
        )


def _angle(points: np.ndarray, scheme: Scheme) -> float:
    x, y = np.diff(points[scheme.normaliser_index], axis=0)[0].tolist()
    return math.atan2(y, x)


def _found(samples: Sequence[Sample], find: Find) -> Iterator[tuple[Sample, FoundFace]]:
    """The samples whose face is found, and the found one."""
    for sample in samples:
        middle = (sample.points.min(0) + sample.points.max(0)) / 2
        size = np.ptp(sample.points, axis=0).max()
        near = [
            f for f in find(Photo.from_array(sample.pixels)) if np.abs(np.asarray(f.centre) - middle).max() < size / 2
        ]
        if near:
            yield sample, min(near, key=lambda f: float(np.abs(np.asarray(f.centre) - middle).max()))
