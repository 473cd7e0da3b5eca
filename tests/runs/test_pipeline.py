import gc
import threading
import time
import weakref
from collections.abc import Sequence
from pathlib import Path, PurePath

import numpy as np
import pytest

from hrlm.errors import PhotoError
from hrlm.photos import Photo
from hrlm.results import Face, ModelInfo, PhotoResult
from hrlm.runs.discovery import Source
from hrlm.runs.pipeline import Choice, Item, Outcome, Work, Written, process

SHAPE = (100, 100, 3)
SIZE = 30_000


class Watched:
    """Finds no faces and remembers what it was shown."""

    info = ModelInfo("m", "s", "0")

    def __init__(self, seconds: float = 0) -> None:
        self.batches: list[list[str]] = []
        self._seconds = seconds

    def detect_batch(self, photos: Sequence[Photo], faces: str = "all", min_face: float = 0) -> list[list[Face]]:
        self.batches.append([p.path for p in photos])
        time.sleep(self._seconds)
        return [[] for _ in photos]


class Camera:
    """Opens photos and counts those that are alive."""

    def __init__(self) -> None:
        self._alive: weakref.WeakSet[np.ndarray] = weakref.WeakSet()
        self._lock = threading.Lock()
        self.most = 0

    def __call__(self, path: str) -> Photo:
        if "bad" in path:
            raise PhotoError(f"{path}: bad")
        with self._lock:
            # an array that is only referred to is gone at once; a view would keep its base alive
            pixels = np.zeros(SHAPE, np.uint8)
            photo = Photo(path, pixels)
            self._alive.add(photo)  # type: ignore[arg-type]
            self.most = max(self.most, len(self._alive))
        return photo


def items(*names: str) -> list[Item]:
    """Names with a `+` are to be detected, with a `>` to be converted, the others done already."""
    works = {"+": Work.DETECT, ">": Work.CONVERT}
    return [
        Item(Source(Path(n[1:]), n[1:], PurePath(n[1:]), PurePath(n[1:])), works.get(n[0], Work.NOTHING)) for n in names
    ]


def nothing(item: Item, photo: Photo | None, result: PhotoResult | None) -> Written:
    return Written(0)


def told(outcomes: list[Outcome]) -> list[tuple[str, str]]:
    return [(o.item.source.name, o.status) for o in outcomes]


def test_what_is_done_keeps_the_others_company() -> None:
    detector, written = Watched(), []

    def write(item: Item, photo: Photo | None, result: PhotoResult | None) -> Written:
        written.append((item.source.name, photo is not None, result is not None))
        return Written(2, "d")

    todo = items("-a", "+b", ">c", "-d", "-e", "-f", "+bad1", "-g", "-h", ">i", "+bad2", "+j")
    outcomes = list(process(todo, detector, Camera(), write, Choice(batch=3)))
    # not for those that cannot be read, and not where all are done
    assert detector.batches == [["a", "b", "c"], ["i", "j"]]
    assert sorted(written) == [("b", True, True), ("c", False, False), ("i", False, False), ("j", True, True)]
    assert told(outcomes) == [
        ("a", ""),
        ("b", "ok"),
        ("c", "ok"),
        ("d", ""),
        ("e", ""),
        ("f", ""),
        ("bad1", "error"),
        ("g", ""),
        ("h", ""),
        ("i", "ok"),
        ("bad2", "error"),
        ("j", "ok"),
    ]


def test_company_that_can_no_longer_be_read_is_no_error() -> None:
    outcomes = list(process(items("-bad", "+a"), Watched(), Camera(), nothing))
    assert told(outcomes) == [("bad", ""), ("a", "no-face")]


@pytest.mark.parametrize("slow", ["detector", "writer"])
@pytest.mark.parametrize("photos", [8, 40])
def test_what_is_held_is_bounded_by_the_memory(photos: int, slow: str) -> None:
    gc.collect()
    wait = 0.01

    def write(item: Item, photo: Photo | None, result: PhotoResult | None) -> Written:
        time.sleep(wait if slow == "writer" else 0)
        return Written(0)

    camera = Camera()
    choice = Choice(batch=2, memory=20 * SIZE)
    todo = items(*(f"+{k}" for k in range(photos)))
    assert (
        len(list(process(todo, Watched(wait if slow == "detector" else 0), camera, write, choice, threads=4))) == photos
    )
    assert camera.most <= 20


@pytest.mark.parametrize(("limit", "most"), [(1, 2), (SIZE, 2), (3 * SIZE, 4), (10 * SIZE, 11)])
@pytest.mark.parametrize("wait", [0, 0.005])
def test_no_more_than_one_picture_too_many(limit: int, most: int, wait: float) -> None:
    gc.collect()

    def write(item: Item, photo: Photo | None, result: PhotoResult | None) -> Written:
        time.sleep(wait)
        return Written(0)

    camera, detector = Camera(), Watched()
    todo = items(*(f"+{k}" for k in range(30)))
    # the first ones too, whose size nobody knows
    outcomes = list(process(todo, detector, camera, write, Choice(batch=8, memory=limit), threads=8))
    assert [o.status for o in outcomes] == ["no-face"] * 30
    assert camera.most <= most
    if limit <= SIZE:
        assert all(len(batch) == 1 for batch in detector.batches)


def test_pictures_that_cannot_be_opened_take_nothing() -> None:
    camera = Camera()
    todo = items(*(f"+bad{k}" if k % 3 else f"+{k}" for k in range(30)))
    outcomes = list(process(todo, Watched(), camera, nothing, Choice(batch=4, memory=SIZE), threads=4))
    assert sum(o.status == "error" for o in outcomes) == 20
    assert camera.most <= 2


def test_a_stop_finishes_whole_groups() -> None:
    stop, detector = threading.Event(), Watched()
    outcomes = []
    for outcome in process(items(*(f"+{k}" for k in range(60))), detector, Camera(), nothing, Choice(batch=4), stop):
        outcomes.append(outcome)
        stop.set()
    assert 0 < len(outcomes) < 60
    assert len(outcomes) % 4 == 0
    assert all(len(batch) == 4 for batch in detector.batches)
