"""Where a scheme's landmarks lie for a found face: what a detector needs to cut its first crop for this scheme."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from hrlm.finding import FoundFace
from hrlm.geometry import rotation_matrix
from hrlm.photos import Photo
from hrlm.training.data import Sample

# fewer faces than this tell nothing
FEWEST = 5


def placement(samples: Sequence[Sample], find: Callable[[Photo], list[FoundFace]]) -> dict[str, float] | None:
    """Medians over faces, in units of the found box's size and in the face's upright frame.

    Args:
        samples: annotated faces.
        find: the faces of a photo.

    Returns:
        `below`, how far the centre of the landmarks' box lies below the found box's, and `extent`, the larger side of
        the landmarks' box; None where too few faces are found, as with animals.
    """
    told = []
    for sample in samples:
        middle = (sample.points.min(0) + sample.points.max(0)) / 2
        size = np.ptp(sample.points, axis=0).max()
        near = [
            f for f in find(Photo.from_array(sample.pixels)) if np.abs(np.asarray(f.centre) - middle).max() < size / 2
        ]
        if near:
            face = min(near, key=lambda f: float(np.abs(np.asarray(f.centre) - middle).max()))
            turn = rotation_matrix(torch.tensor(face.roll, dtype=torch.float64)).numpy()
            upright = (sample.points - np.asarray(face.centre)) @ turn / face.size
            low, high = upright.min(0), upright.max(0)
            told.append(((low[1] + high[1]) / 2, (high - low).max()))
    if len(told) < FEWEST:
        return None
    below, extent = np.median(told, axis=0).tolist()
    return {"below": round(below, 4), "extent": round(extent, 4)}
