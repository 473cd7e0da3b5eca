from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrlm.errors import PhotoError
from hrlm.evaluation.stability import (
    FRAMES,
    Movement,
    aligned,
    changes,
    measure_stability,
    stability_rows,
    turned,
    warped,
)
from hrlm.geometry import CropTransform
from hrlm.photos import Photo
from hrlm.results import Face
from hrlm.schemes import Scheme, load_scheme

SCHEME = load_scheme("ibug68")
SHAPE = np.random.default_rng(6).uniform(-0.5, 0.5, (68, 2))
SHAPE[[36, 45]] = [[-0.5, 0.0], [0.5, 0.0]]


def spots(centre: tuple[float, float], size: int = 600) -> Photo:
    """A large bright spot, wide enough to outlive every change, above a small one."""
    y, x = np.mgrid[:size, :size]
    light = sum(np.exp(-((x - centre[0] + s) ** 2 + (y - centre[1]) ** 2) / 800) for s in (-90, 90))
    return Photo.from_array(np.repeat((light * 250).astype(np.uint8)[..., None], 3, 2), "photo")


class SpotFinder:
    """A face between the two spots, at their centres of mass; off by `jitter` pixels at every second look."""

    scheme: Scheme = SCHEME
    face_margin = 1.5

    def __init__(self, jitter: float = 0, finds: Callable[[Photo], bool] = lambda _: True) -> None:
        self._jitter, self._finds, self._looks = jitter, finds, 0

    def detect_batch(self, photos: Sequence[Photo]) -> list[list[Face]]:
        return [[self._face(p)] if self._finds(p) else [] for p in photos]

    def locate(self, photos: Sequence[Photo], crops: Sequence[CropTransform]) -> list[object]:
        raise NotImplementedError

    def _face(self, photo: Photo) -> Face:
        mass = np.where(photo.pixels[..., 0] > 100, photo.pixels[..., 0], 0).astype(float)
        y, x = np.mgrid[: photo.height, : photo.width]
        middle = (mass * x).sum() / mass.sum()
        ends = []
        for part in (x <= middle, x > middle):
            m = mass * part
            ends.append([(m * x).sum() / m.sum(), (m * y).sum() / m.sum()])
        a, b = np.array(ends)
        across = b - a
        points = (a + b) / 2 + SHAPE[:, :1] * across + SHAPE[:, 1:] * np.array([-across[1], across[0]])
        self._looks += 1
        points = points + np.array([self._jitter * (self._looks % 2), 0])
        low, size = points.min(0), np.ptp(points, 0)
        return Face(points, np.ones(68), (low[0], low[1], size[0], size[1]), 1.0)


@settings(max_examples=20, deadline=None)
@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(-5, 5))
def test_points_taken_back_from_a_changed_picture_are_those_of_the_unchanged(
    x: float, y: float, degrees: float
) -> None:
    photo = spots((120, 110), 240)
    before = SpotFinder().detect_batch([photo])[0][0].landmarks
    for picture, back in (warped(photo, np.array([[1.0, 0, x], [0, 1, y]])), turned(photo, degrees)):
        after = back(SpotFinder().detect_batch([picture])[0][0].landmarks)
        assert np.abs(after - before).max() < 0.15


def test_every_change_leaves_a_perfect_detector_still_and_moves_one_that_trembles() -> None:
    steady, trembling = SpotFinder(), SpotFinder(jitter=3)
    photo = spots((301.3, 290.6), 620)
    moved = measure_stability([Path("photo")], {"steady": steady, "trembling": trembling}, lambda _: photo)
    names = [name for name, _ in changes(180)]
    assert [m.change for m in moved if m.system == "steady"] == names
    for m in moved:
        assert m.pixels is not None
        if m.system == "steady":
            assert m.pixels.max() < 0.25, m.change
    far = [m for m in moved if m.system == "trembling" and m.pixels is not None and m.pixels.min() > 2]
    assert far
    assert moved[0].inter_ocular == pytest.approx(180, rel=0.02)


def test_a_large_face_is_also_reduced_to_256_pixels() -> None:
    assert "face 256 px" in [name for name, _ in changes(300)]
    assert "face 256 px" not in [name for name, _ in changes(200)]


def test_lost_faces_and_bad_photos_are_told() -> None:
    photo = spots((150, 150), 300)
    told: list[str] = []

    def opened(path: str) -> Photo:
        if path == "bad":
            raise PhotoError("bad: damaged")
        return photo

    # the first look finds, the second is the picture at rest, later ones are blind
    shy = SpotFinder(finds=lambda p: p.width > 200)
    moved = measure_stability([Path("bad"), Path("a")], {"shy": shy}, opened, problem=told.append)
    assert told == ["bad: damaged"]
    assert [m.change for m in moved if m.pixels is None] == ["half size"]
    measure_stability([Path("a")], {"blind": SpotFinder(finds=lambda _: False)}, opened, problem=told.append)
    assert "no face found" in told[1]


def test_frames_tell_jitter_but_no_movement_of_the_head() -> None:
    places = {"d/a": (140.0, 150.0), "d/b": (150.0, 152.0), "d/c": (161.0, 153.0), "e/a": (120.0, 150.0)}
    photos = {name: spots(place, 300) for name, place in places.items()}
    moved = measure_stability(
        [Path(p) for p in ("d/c", "d/a", "e/a", "d/b")], {"s": SpotFinder()}, lambda p: photos[Path(p).as_posix()], True
    )
    frames = [m for m in moved if m.change == FRAMES]
    assert [Path(m.photo) for m in frames] == [Path("d/b")]
    assert frames[0].pixels is not None
    assert frames[0].pixels.max() < 0.2


def test_frames_tell_how_far_a_detector_trembles() -> None:
    class Trembling(SpotFinder):
        def detect_batch(self, photos: Sequence[Photo]) -> list[list[Face]]:
            faces = super().detect_batch(photos)
            for (face,) in faces:
                face.landmarks[:] += rng.normal(0, 2, face.landmarks.shape)
            return faces

    rng = np.random.default_rng(8)
    photo = spots((150, 150), 300)
    moved = measure_stability([Path(f"d/{i:03}") for i in range(40)], {"s": Trembling()}, lambda _: photo, True)
    jitter = [m.pixels for m in moved if m.change == FRAMES and m.pixels is not None]
    assert len(jitter) == 38
    # the mean length of a normal deviate of 2 pixels along each axis, less what alignment takes
    assert np.mean(jitter) == pytest.approx(2 * np.sqrt(np.pi / 2), rel=0.06)


def test_frames_on_both_sides_of_a_gap_are_no_neighbours() -> None:
    photo, dark = spots((150, 150), 300), spots((150, 150), 120)
    for gap in ("no face", "damaged"):

        def opened(path: str, gap: str = gap) -> Photo:
            if Path(path).name == "3" and gap == "damaged":
                raise PhotoError("3: damaged")
            return dark if Path(path).name == "3" else photo

        shy = SpotFinder(finds=lambda p: p.width > 120)
        moved = measure_stability([Path(f"d/{i}") for i in range(1, 7)], {"s": shy}, opened, True)
        assert [Path(m.photo).name for m in moved if m.change == FRAMES] == ["5"]


def test_frames_are_in_order_of_their_numbers() -> None:
    photo = spots((150, 150), 300)
    opened: list[str] = []
    names = ["d/f10", "d/f9", "e/f1", "d/f8", "d/f11", "d/f010b"]
    measure_stability([Path(n) for n in names], {"s": SpotFinder()}, lambda p: opened.append(p) or photo, True)
    assert [Path(p).as_posix() for p in opened] == ["d/f8", "d/f9", "d/f10", "d/f010b", "d/f11", "e/f1"]


def test_a_photo_that_fails_in_its_midst_leaves_no_movement() -> None:
    class Failing(SpotFinder):
        def detect_batch(self, photos: Sequence[Photo]) -> list[list[Face]]:
            if self._looks == 4:
                raise RuntimeError("out of memory")
            return super().detect_batch(photos)

    told: list[str] = []
    photo = spots((150, 150), 300)
    assert measure_stability([Path("a")], {"s": Failing()}, lambda _: photo, problem=told.append) == []
    assert told == ["a: stability failed (RuntimeError: out of memory)"]


@given(st.floats(-3, 3), st.floats(0.2, 5), st.floats(-50, 50))
def test_alignment_undoes_a_similarity(angle: float, scale: float, shift: float) -> None:
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    there = SHAPE @ np.array([[c, s], [-s, c]]) + shift
    assert aligned(there, SHAPE) == pytest.approx(SHAPE, abs=1e-6)


def movement(change: str, width: float, pixels: list[float] | None) -> Movement:
    return Movement("p", change, "s", width, 100, None if pixels is None else np.array(pixels, np.float32))


def test_rows_sum_up_landmarks_of_all_faces() -> None:
    rows = stability_rows([movement("x", 300, [1, 2]), movement("x", 300, [3, 6]), movement("x", 300, None)])
    (row,) = rows
    assert (row.group, row.change, row.faces, row.missed) == ("all", "x", 3, 1)
    assert (row.median_pixels, row.mean_pixels, row.median, row.mean) == pytest.approx((2.5, 3, 0.025, 0.03))
    assert row.percentile_90_pixels == pytest.approx(np.percentile([1, 2, 3, 6], 90))
    sizes = stability_rows([movement("x", 300, [1]), movement("x", 2000, None)])
    assert [(r.group, r.faces, r.missed) for r in sizes] == [
        ("all", 2, 1),
        ("256 to 512 px", 1, 0),
        (">= 1024 px", 1, 1),
    ]
    assert np.isnan(sizes[2].median_pixels)
