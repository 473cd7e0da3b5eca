from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np
import pytest

from hrlm.errors import PhotoError
from hrlm.evaluation.data import KnownFace, Sample, known_box
from hrlm.evaluation.measure import measure
from hrlm.evaluation.metrics import point_errors
from hrlm.evaluation.systems import Prediction
from hrlm.formats.atomic import WriteError
from hrlm.photos import Photo
from hrlm.results import Face, PhotoInfo
from hrlm.schemes import load_scheme

SCHEME = load_scheme("ibug68")
SHAPE = np.random.default_rng(5).uniform(0, 1, (68, 2))
SHAPE[[36, 45]] = [[0.0, 0.4], [1.0, 0.4]]


class Knowing:
    """Is off by `off` of the face's size."""

    def __init__(self, off: float, finds: Callable[[Photo], bool] = lambda _: True, reduced: bool = True) -> None:
        self._off, self._finds, self._reduced = off, finds, reduced

    def has(self, width: int | None) -> bool:
        return width is None or self._reduced

    def faces(
        self, sample: Sample, photo: Photo, truths: Sequence[KnownFace], width: int | None
    ) -> list[Prediction | None]:
        found = [t.points + np.array([self._off * t.width, 0]) for t in truths] if self._finds(photo) else []
        faces: list[Prediction | None] = [Face(p, np.full(68, 2.0), known_box(p), 1.0) for p in found]
        return faces or [None] * len(truths)


def sample(name: str, problems: Sequence[str] = ()) -> Sample:
    points = SHAPE * 100 - 0.5
    return Sample(Path(name), PurePath(name), lambda: ([KnownFace(name, points, known_box(points))], list(problems)))


def opened(path: str) -> Photo:
    if "bad" in path:
        raise PhotoError(f"{path}: damaged")
    return Photo.from_array(np.zeros((400, 400, 3), np.uint8), path)


def error(points: np.ndarray | None, truth: np.ndarray) -> np.ndarray:
    assert points is not None
    return point_errors(points, truth, SCHEME)


def test_errors_are_measured_at_every_size() -> None:
    systems = {
        "near": Knowing(0.03),
        "blind when small": Knowing(0.02, lambda p: p.width > 300),
        "files": Knowing(0.01, reduced=False),
    }
    steps, told, saved = [], [], []
    done = measure(
        [sample("a"), sample("bad"), sample("c", ["c: half of it"])],
        systems,
        opened,
        [50, 200],
        lambda: steps.append(1),
        told.append,
        lambda width, one, number, photo, points: saved.append(
            (width, one.name, number, photo.width, np.ptp(points[:, 0]))
        ),
    )
    assert len(steps) == 3
    assert told == done.problems == ["bad: damaged", "c: half of it"]
    assert [m.photo for m in done.native] == ["a", "c"]
    for m in done.native:
        assert m.width == pytest.approx(100)
        for system, off in (("near", 0.03), ("blind when small", 0.02), ("files", 0.01)):
            assert error(m.predicted[system], m.points) == pytest.approx(np.full(68, off), abs=1e-4)
            assert m.deviation[system].tolist() == [2] * 68
    # only narrower than the face, in the same units, and by those alone that can be asked
    assert {w: len(m) for w, m in done.reduced.items()} == {50: 2, 200: 0}
    small = done.reduced[50][0]
    assert error(small.predicted["near"], small.points) == pytest.approx(np.full(68, 0.03), abs=1e-4)
    assert small.predicted["blind when small"] is None
    assert "files" not in small.predicted
    assert [s[:4] for s in saved] == [(50, PurePath("a"), 0, 200), (50, PurePath("c"), 0, 200)]
    assert saved[0][4] == pytest.approx(50)


def test_a_system_that_fails_on_a_photo_has_missed_it() -> None:
    def fails(photo: Photo) -> bool:
        raise RuntimeError("out of memory")

    done = measure([sample("a")], {"frail": Knowing(0, fails), "sound": Knowing(0)}, opened)
    assert done.problems == ["a: frail failed (RuntimeError: out of memory): counted as missed"]
    assert done.native[0].predicted["frail"] is None
    assert done.native[0].predicted["sound"] is not None


def test_whatever_goes_wrong_with_one_photo_costs_that_photo_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable() -> tuple[list[KnownFace], list[str]]:
        raise OverflowError("too long")

    def strange(path: str) -> Photo:
        if path == "b":
            raise ValueError("no photo at all")
        return opened(path)

    samples = [Sample(Path("a"), PurePath("a"), unreadable), sample("b", ["b: half"]), sample("c"), sample("d")]
    done = measure(samples, {"s": Knowing(0)}, strange)
    assert [m.photo for m in done.native] == ["c", "d"]
    assert done.problems == [
        "a: failed (OverflowError: too long): passed over",
        "b: half",
        "b: failed (ValueError: no photo at all): passed over",
    ]

    def fails(*_: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr("hrlm.evaluation.measure.reduced", fails)
    done = measure(samples[2:], {"s": Knowing(0)}, opened, [50])
    assert (len(done.native), done.reduced) == (2, {50: []})
    assert done.problems[0] == "c: failed (MemoryError: no room): passed over"


def test_what_save_raises_ends_the_run() -> None:
    def full(*_: object) -> None:
        raise WriteError(Path("x"), OSError("disk full"))

    with pytest.raises(WriteError):
        measure([sample("a")], {"s": Knowing(0)}, opened, [50], save=full)


def test_truth_of_another_size_than_the_photo_is_told_and_passed_over() -> None:
    samples = [
        replace(sample(name), stated=PhotoInfo(name, *size))
        for name, size in (("same", (400, 400)), ("unknown", (0, 0)), ("turned", (300, 400)))
    ]
    done = measure(samples, {"s": Knowing(0)}, opened)
    assert [m.photo for m in done.native] == ["same", "unknown"]
    (problem,) = done.problems
    assert "states a photo of 300 x 400, turned has 400 x 400" in problem


def test_a_reduced_photo_has_its_face_s_name() -> None:
    asked = []

    class Noting(Knowing):
        def faces(
            self, sample: Sample, photo: Photo, truths: Sequence[KnownFace], width: int | None
        ) -> list[Prediction | None]:
            asked.append((width, sample.name.as_posix()))
            return super().faces(sample, photo, truths, width)

    points = SHAPE * 100 - 0.5
    faces = [KnownFace(str(k), points, known_box(points)) for k in range(2)]
    measure([Sample(Path("d/a.jpg"), PurePath("d/a.jpg"), lambda: (faces, []))], {"n": Noting(0)}, opened, [50])
    assert asked == [(None, "d/a.jpg"), (50, "d/a.jpg"), (50, "d/a.face2.jpg")]


def test_a_face_s_own_box_shrinks_with_its_photo() -> None:
    """A template's box holds more than the landmarks that the scheme shares with it."""
    points = SHAPE * 100 + 100
    template = KnownFace("t", points, (60.0, 80.0, 200.0, 160.0))
    boxes = {}

    class Noting(Knowing):
        def faces(
            self, sample: Sample, photo: Photo, truths: Sequence[KnownFace], width: int | None
        ) -> list[Prediction | None]:
            boxes[width] = truths[0].box
            return super().faces(sample, photo, truths, width)

    measure([Sample(Path("a"), PurePath("a"), lambda: ([template], []))], {"n": Noting(0)}, opened, [50])
    assert boxes[None] == template.box
    # pixel centres: -0.5 is the photo's edge at every size
    ratio = 50 / template.width
    left, top, width, height = template.box
    expected = ((left + 0.5) * ratio - 0.5, (top + 0.5) * ratio - 0.5, width * ratio, height * ratio)
    assert boxes[50] == pytest.approx(expected, abs=0.2)
