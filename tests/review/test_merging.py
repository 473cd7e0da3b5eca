from dataclasses import replace

import numpy as np
import pytest

from hrlm.formats.corrections import CorrectedFace
from hrlm.results import Face
from hrlm.review.merging import merged, same

POINTS = np.random.default_rng(3).uniform(0, 100, (20, 2)).round(3)
PREDICTED = (CorrectedFace(POINTS, 0), CorrectedFace(POINTS + 300, 1))


def moved(face: CorrectedFace, landmark: int, by: float) -> CorrectedFace:
    points = face.landmarks.copy()
    points[landmark, 0] += by
    return replace(face, landmarks=points, moved=(*face.moved, landmark))


def written(*faces: CorrectedFace, tells: bool = True) -> list[Face]:
    """The faces as a tool's file has them, to a tenth of a pixel, whether it tells what is visible or not."""
    made = []
    for face in faces:
        seen = {i: i not in face.invisible for i in range(len(POINTS))} if tells else {}
        points = face.landmarks.round(1)
        made.append(Face(points, np.full(len(points), np.nan), (0.0, 0.0, 9.0, 9.0), 1.0, visibility=seen))
    return made


@pytest.mark.parametrize("tells", [True, False])
def test_a_file_from_any_time_that_nobody_touched_changes_nothing(tells: bool) -> None:
    one, other = PREDICTED
    hidden = replace(one, invisible=(4, 5))
    added = CorrectedFace(POINTS - 200, None, came=POINTS)
    states = [PREDICTED, (hidden, other), (moved(hidden, 3, 40), other, added), (moved(hidden, 3, 8), added), (other,)]
    for last in range(1, len(states) + 1):
        for exported in states[:last]:
            faces = merged(written(*exported, tells=tells), states[:last], 0.2)
            # what is only marked may be marked in the tool too: there no state tells when the file is from
            only_marked = exported == PREDICTED and tells and last > 1
            assert same(faces, states[last - 1]) or only_marked
            assert [f.came for f in faces] == [f.came for f in states[last - 1]]


def test_what_the_tool_changed_joins_what_was_changed_here() -> None:
    one, other = PREDICTED
    added = CorrectedFace(POINTS - 200, None, came=POINTS)
    exported = (moved(one, 5, 70), other)
    here = (moved(one, 5, 30), added)
    faces = merged(written(moved(exported[0], 9, 7), other), [PREDICTED, exported, here], 0.2)
    assert [(f.predicted, f.moved) for f in faces] == [(0, (5, 9)), (None, ())]
    assert faces[0].landmarks == pytest.approx(moved(here[0], 9, 7).landmarks, abs=0.06)
    # to the last bit, where the tool moved nothing
    still = np.delete(np.arange(len(POINTS)), 9)
    assert np.array_equal(faces[0].landmarks[still], here[0].landmarks[still])
    # taken once and refined here, it comes no second time
    refined = (moved(faces[0], 9, 2), added)
    states = [PREDICTED, exported, here, faces, refined]
    assert same(merged(written(moved(exported[0], 9, 7), other), states, 0.2), refined)


def test_faces_come_and_go() -> None:
    one, other = PREDICTED
    assert [f.predicted for f in merged(written(other), [PREDICTED, PREDICTED], 0.2)] == [1]
    new = merged(written(one, other, CorrectedFace(POINTS - 200)), [PREDICTED, PREDICTED], 0.2)[2]
    assert (new.predicted, new.moved) == (None, tuple(range(len(POINTS))))
    # deleted here, worked on there
    back = merged(written(moved(one, 9, 7), other), [PREDICTED, (other,)], 0.2)
    assert sorted((f.predicted, 9 in f.moved) for f in back) == [(0, True), (1, False)]


def test_marks_of_the_tool_are_taken() -> None:
    one, _ = PREDICTED
    hidden = replace(one, invisible=(4, 5))
    states = [PREDICTED[:1], (hidden,)]
    assert merged(written(replace(one, invisible=(5, 6))), states, 0.2)[0].invisible == (5, 6)
    assert merged(written(one, tells=False), states, 0.2)[0].invisible == (4, 5)
    # from before the marks were made, as another landmark shows
    now = moved(hidden, 3, 40)
    assert merged(written(moved(one, 9, 7)), [*states[:1], (now,)], 0.2)[0].invisible == (4, 5)


def test_a_face_that_was_found_twice_stays_deleted() -> None:
    """Though the one that was kept lies where the other one lay."""
    one = PREDICTED[0]
    twice = CorrectedFace(POINTS + 3, 1)
    states = [(one, twice), (one,)]
    assert same(merged(written(one, twice), states, 0.2), (one,))
    assert same(merged(written(twice, one), states, 0.2), (one,))
    # one that is added here beside another stays too
    beside = CorrectedFace(POINTS + 3, None)
    assert same(merged(written(one), [(one,), (one, beside)], 0.2), (one, beside))
    # and one that is drawn there beside another is its own
    new = merged(written(one, CorrectedFace(POINTS + 20)), [(one,), (one,)], 0.2)
    assert [f.predicted for f in new] == [0, None]
    assert np.array_equal(new[0].landmarks, one.landmarks)
