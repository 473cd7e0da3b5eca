"""What another tool changed in a photo's faces since they were exported, and only that, put into them as they stand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hrlm.formats.correcting import nearest
from hrlm.formats.corrections import CorrectedFace
from hrlm.results import Face

State = Sequence[CorrectedFace]


def merged(faces: Sequence[Face], states: Sequence[State], tolerance: float) -> tuple[CorrectedFace, ...]:
    """A photo's faces as they stand, with what another tool did to them.

    It worked on one of the `states`, nobody knows on which: on the one that its file agrees with best, of several the
    last. A landmark that came back where it stood in any of them was not moved there, and stays where it stands now. A
    face that was added or deleted here since stays so, unless the tool changed the deleted one. Whether a landmark is
    visible changes where the file tells another thing than that state.

    Args:
        faces: as the tool's file has them.
        states: the photo's faces over time: as predicted first, as they stand last.
        tolerance: photo pixels; what the file's format rounds landmarks by.
    """
    left = states[-1]
    base = max(reversed(states), key=lambda state: _agreement(faces, state, tolerance))
    made, taken = [], _paired(faces, left)
    standing = {f.predicted for f in left}
    deleted = [f for f in states[0] if f.predicted not in standing]
    for face, old, now in zip(faces, _paired(faces, base), taken, strict=True):
        if now is not None:
            made.append(_moved(face, left[now], None if old is None else base[old], states, tolerance))
        elif old is None or not _close(face.landmarks, base[old].landmarks, tolerance).all():
            made.append(_come(face, deleted))
    made += [
        f for k, (f, old) in enumerate(zip(left, _paired(left, base), strict=True)) if old is None and k not in taken
    ]
    return tuple(made)


def same(faces: State, others: State) -> bool:
    """Whether two states of a photo have the same faces, in whatever order."""
    one, other = ([(f.landmarks.tobytes(), sorted(f.invisible)) for f in side] for side in (faces, others))
    return sorted(one) == sorted(other)


def _agreement(faces: Sequence[Face], state: State, tolerance: float) -> int:
    """How many landmarks stand where they stand in a state, less those of faces that only one of both has."""
    pairs = _paired(faces, state)
    agreed = 0
    for face, own in zip(faces, pairs, strict=True):
        agreed += (
            -len(face.landmarks) if own is None else int(_close(face.landmarks, state[own].landmarks, tolerance).sum())
        )
    return agreed - sum(len(f.landmarks) for k, f in enumerate(state) if k not in pairs)


def _paired(faces: Sequence[Face] | State, state: State) -> list[int | None]:
    """For each face the one of a state that it is a version of, each of those once, the closest first."""
    free = list(range(len(state)))
    found: list[int | None] = [None] * len(faces)
    for i in sorted(range(len(faces)), key=lambda i: _away(faces[i].landmarks, state)):
        own = nearest(faces[i].landmarks, [state[k] for k in free])
        if own is not None:
            found[i] = free.pop(own)
    return found


def _away(points: np.ndarray, state: State) -> float:
    """The distance to the closest face of a state."""
    fit = [f.landmarks for f in state if len(f.landmarks) == len(points)]
    return min((float(np.linalg.norm(points - other, axis=-1).mean()) for other in fit), default=np.inf)


def _moved(
    face: Face, left: CorrectedFace, base: CorrectedFace | None, states: Sequence[State], tolerance: float
) -> CorrectedFace:
    """A face as it stands, with the landmarks that the tool moved."""
    points = face.landmarks
    stood = np.zeros(len(points), bool)
    for state in states:
        own = nearest(points, state)
        # two faces may have changed places in the list, but not on the photo
        if own is not None and own == nearest(left.landmarks, state):
            stood |= _close(points, state[own].landmarks, tolerance)
    landmarks = np.where(stood[:, None], left.landmarks, points)
    told = {i: seen for i, seen in face.visibility.items() if base is None or seen == (i in base.invisible)}
    invisible = {i for i in left.invisible if not told.get(i)} | {i for i, seen in told.items() if not seen}
    moved = set(left.moved) | set(np.flatnonzero(~stood).tolist())
    return CorrectedFace(landmarks, left.predicted, tuple(sorted(moved)), tuple(sorted(invisible)), left.came)


def _come(face: Face, deleted: State) -> CorrectedFace:
    """A face that does not stand there: a new one, or one that was deleted here and worked on there."""
    points, own = face.landmarks, nearest(face.landmarks, deleted)
    if own is None:
        return CorrectedFace(points, None, tuple(range(len(points))), tuple(face.invisible))
    moved = np.flatnonzero((points != deleted[own].landmarks).any(-1)).tolist()
    return CorrectedFace(points, deleted[own].predicted, tuple(moved), tuple(face.invisible))


def _close(points: np.ndarray, others: np.ndarray, tolerance: float) -> np.ndarray:
    if len(points) != len(others):
        return np.zeros(len(points), bool)
    close: np.ndarray = np.linalg.norm(points - others, axis=-1) <= tolerance
    return close
