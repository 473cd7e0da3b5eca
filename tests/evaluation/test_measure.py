from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from hrlm.errors import PhotoError
from hrlm.evaluation.measure import extent, match, measure
from hrlm.formats import pts
from hrlm.formats.truth import AnnotatedPhoto
from hrlm.photos import Photo
from hrlm.results import Box, Face
from hrlm.schemes import Scheme, load_scheme

SCHEME = load_scheme("ibug68")
SHAPE = np.random.default_rng(5).uniform(0, 1, (68, 2))
SHAPE[[36, 45]] = [[0.0, 0.4], [1.0, 0.4]]
SHAPE[[0, 16]] = [[0.5, 0.0], [0.5, 1.0]]


def points(x: float, y: float, side: float = 100) -> np.ndarray:
    return SHAPE * side + (x, y)


def face(landmarks: np.ndarray, box: Box | None = None) -> Face:
    return Face(landmarks, np.ones(68), box or extent(landmarks), 0.9)


def test_each_annotated_face_gets_the_face_in_its_place() -> None:
    left, right, stranger = face(points(2, 1)), face(points(301, 0)), face(points(600, 600))
    assert match([stranger, right, left], [points(0, 0), points(300, 0)], SCHEME) == [left, right]


def test_a_face_elsewhere_leaves_a_miss() -> None:
    assert match([face(points(300, 0))], [points(0, 0)], SCHEME) == [None]
    assert match([], [points(0, 0)], SCHEME) == [None]


@pytest.mark.parametrize("lost", ["landmarks", "box"])
def test_a_bad_fit_in_the_right_place_is_no_miss(lost: str) -> None:
    truth = points(0, 0)
    elsewhere = points(900, 900)
    bad = face(elsewhere, extent(truth)) if lost == "landmarks" else face(truth, extent(elsewhere))
    assert match([bad], [truth], SCHEME) == [bad]


def test_a_face_stands_for_one_annotation_only() -> None:
    only = face(points(0, 0))
    assert match([only], [points(10, 0), points(1, 0)], SCHEME) == [None, only]


class Knowing:
    """Finds `side` x `side` faces at known fractions of the photo, its landmarks off by `off` of their size."""

    scheme: Scheme = SCHEME

    def __init__(self, off: float, finds: Callable[[Photo], bool] = lambda _: True) -> None:
        self._off, self._finds = off, finds

    def detect_batch(self, photos: Sequence[Photo]) -> list[list[Face]]:
        return [
            [face(points(-0.5 + self._off * p.width / 4, p.width / 4 - 0.5, p.width / 4))] if self._finds(p) else []
            for p in photos
        ]


def annotate(folder: Path, name: str, side: float) -> AnnotatedPhoto:
    file = folder / f"{name}.pts"
    pts.write(file, points(-0.5, side - 0.5, side))
    return AnnotatedPhoto(folder / f"{name}.png", (file,))


def opened(path: str) -> Photo:
    if "bad" in path:
        raise PhotoError(f"{path}: damaged")
    return Photo.from_array(np.zeros((400, 400, 3), np.uint8), path)


def test_errors_are_measured_at_every_size(tmp_path: Path) -> None:
    data = [annotate(tmp_path, "a", 100), annotate(tmp_path, "bad", 100), annotate(tmp_path, "c", 100)]
    systems = {"near": Knowing(0.03), "blind when small": Knowing(0.02, lambda p: p.width > 300)}
    steps, told = [], []
    done = measure(data, systems, opened, [50, 200], lambda: steps.append(1), told.append)
    assert len(steps) == 3
    assert told == done.problems == [f"{data[1].photo}: damaged"]
    assert [m.photo for m in done.native] == [str(data[0].photo), str(data[2].photo)]
    for m in done.native:
        assert m.width == pytest.approx(100)
        assert m.errors["near"] == pytest.approx(np.full(68, 0.03), abs=1e-4)
        assert m.errors["blind when small"] == pytest.approx(np.full(68, 0.02), abs=1e-4)
    # only narrower than the face, and in the same units
    assert {w: len(m) for w, m in done.reduced.items()} == {50: 2, 200: 0}
    assert done.reduced[50][0].errors["near"] == pytest.approx(np.full(68, 0.03), abs=1e-4)
    assert done.reduced[50][0].errors["blind when small"] is None
    assert {stage: len(seconds) for stage, seconds in done.seconds.items()} == dict.fromkeys(("decode", *systems), 2)
