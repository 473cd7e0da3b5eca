"""The face finder: every face, however it is turned and whatever part of the photo it fills."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hrlm.errors import ModelError
from hrlm.finding import FaceFinder, FoundFace, _Views, roll_of
from hrlm.geometry import box_overlap, resize_points
from hrlm.models import files
from hrlm.photos import Photo, open_photo

FACE = (181.0, 65.0, 90.0, 111.0)
"""The astronaut's face in her portrait."""
RIGHT_EYE, LEFT_EYE = np.array([204.0, 106.0]), np.array([246.0, 105.0])

UPRIGHT = np.array([[-1.0, -1.0], [1.0, -1.0], [0.0, 0.0], [-0.8, 1.0], [0.8, 1.0]])


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


@pytest.fixture(scope="module")
def portrait(astronaut: Path) -> Photo:
    return open_photo(astronaut)


def _warped(portrait: Photo, degrees: float, scale: float, size: int) -> tuple[Photo, np.ndarray]:
    """A square photo of the face turned clockwise about its middle, and the `(2, 3)` map to it."""
    matrix = cv2.getRotationMatrix2D((225, 115), -degrees, scale)
    matrix[:, 2] += size / 2 - np.array([225, 115])
    pixels = cv2.warpAffine(
        portrait.pixels, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return Photo.from_array(pixels), matrix


def test_the_portrait_has_one_face(finder: FaceFinder, portrait: Photo) -> None:
    (face,) = finder.find(portrait)
    assert box_overlap(face.box, FACE) > 0.8
    assert face.score > 0.85
    assert np.abs(face.points[:2] - [RIGHT_EYE, LEFT_EYE]).max() < 4
    assert abs(face.roll) < math.radians(8)
    assert face.quarter_turns == 0


def test_last_bits_of_a_proposal_do_not_move_the_face(finder: FaceFinder, portrait: Photo) -> None:
    (face,) = finder.find(portrait)
    x, y, w, h = face.box
    views = _Views(portrait)
    looks = [
        finder._look_closely(views, replace(face, box=(x + off, y - off, w + off, h + off)), face.roll + off / 100)
        for off in (0, 1e-6, -1e-6)
    ]
    assert all(look is not None and look.box == looks[0].box for look in looks)


@pytest.mark.parametrize("degrees", range(-150, 181, 30))
def test_a_face_is_found_however_it_is_turned(finder: FaceFinder, portrait: Photo, degrees: int) -> None:
    photo, matrix = _warped(portrait, degrees, 1.0, 400)
    face = finder.find(photo)[0]
    off = math.degrees(face.roll) - degrees
    assert abs((off + 180) % 360 - 180) < 25  # YuNet rounds rolls towards its patch's upright
    eyes = np.stack([RIGHT_EYE, LEFT_EYE]) @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(face.points[:2] - eyes).max() < 16
    assert face.size == pytest.approx(math.sqrt(FACE[2] * FACE[3]), rel=0.1)


@pytest.mark.parametrize("scale", [0.25, 1.0, 4.0, 20.0])
def test_a_face_that_fills_the_frame(finder: FaceFinder, portrait: Photo, scale: float) -> None:
    x, y, w, h = (round(v) for v in FACE)
    crop = cv2.resize(np.ascontiguousarray(portrait.window(x, y, x + w, y + h)), None, fx=scale, fy=scale)
    (face,) = finder.find(Photo.from_array(crop))
    assert box_overlap(face.box, (0, 0, w * scale, h * scale)) > 0.7


def test_small_faces_in_a_large_photo(finder: FaceFinder, portrait: Photo) -> None:
    """Two faces of 18 pixels in 1600: where the main view shows them at 7."""
    canvas = np.full((1000, 1600, 3), 90, np.uint8)
    small = portrait.reduced(90)[0]
    for x, y in ((100, 700), (1300, 200)):
        canvas[y : y + 90, x : x + 90] = small
    faces = finder.find(Photo.from_array(canvas))
    assert sorted(round(face.centre[0], -2) for face in faces) == [100, 1300]


def test_small_faces_in_a_very_large_photo(finder: FaceFinder, portrait: Photo) -> None:
    """A group of faces of 62 pixels in 6000 x 4000, which the large view shows at 13; two stand where tiles meet."""
    canvas = np.full((4000, 6000, 3), 90, np.uint8)
    small = portrait.reduced(320)[0]
    places = [(400, 300), (2320, 900), (5500, 3500), (3000, 2300)]
    for x, y in places:
        canvas[y : y + 320, x : x + 320] = small
    faces = finder.find(Photo.from_array(canvas))
    assert sorted(round(face.centre[0] - 0.44 * 320, -2) for face in faces) == sorted(round(x, -2) for x, _ in places)
    assert finder.find(Photo.from_array(canvas), min_face=120) == []


def test_small_faces_beside_one_that_is_none_of_the_largest(finder: FaceFinder, portrait: Photo) -> None:
    """Three faces of 70 pixels in 5000, beside one of 350."""
    canvas = np.full((2500, 5000, 3), 90, np.uint8)
    canvas[300:2300, 200:2200] = cv2.resize(portrait.pixels, (2000, 2000))
    small = portrait.reduced(400)[0]
    for x in (2700, 3500, 4300):
        canvas[1200:1600, x : x + 400] = small
    faces = finder.find(Photo.from_array(canvas))
    assert len(faces) == 4
    assert faces[0].size > 4 * faces[1].size


def test_a_small_face_before_the_chin_of_a_large_one(finder: FaceFinder, portrait: Photo) -> None:
    canvas = cv2.resize(portrait.pixels, (2560, 2560), interpolation=cv2.INTER_CUBIC)
    child = portrait.pixels[40:220, 140:320]
    # the large face's box is (905, 325, 450, 555)
    canvas[760:940, 900:1080] = child
    faces = finder.find(Photo.from_array(canvas))
    assert [round(face.size, -2) for face in faces] == [500, 100]
    assert box_overlap(faces[1].box, (941.0, 785.0, 90.0, 111.0)) > 0.6


def test_largest_first_and_min_face(finder: FaceFinder, portrait: Photo) -> None:
    canvas = np.full((600, 1200, 3), 128, np.uint8)
    canvas[:300, :300] = portrait.reduced(300)[0]
    canvas[50:562, 600:1112] = portrait.pixels
    photo = Photo.from_array(canvas)
    sizes = [face.size for face in finder.find(photo)]
    assert len(sizes) == 2
    assert sizes[0] > 1.5 * sizes[1]
    assert [face.size for face in finder.find(photo, min_face=80)] == sizes[:1]
    assert finder.find(photo, min_face=400) == []


def test_textures_are_no_faces(finder: FaceFinder) -> None:
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 256, (480, 640, 3), np.uint8)
    blobs = cv2.GaussianBlur(noise, (0, 0), 6)
    blobs = cv2.normalize(blobs, None, 0, 255, cv2.NORM_MINMAX)
    for pixels in (noise, blobs, np.zeros((40, 700, 3), np.uint8), np.zeros((1, 1, 3), np.uint8)):
        assert finder.find(Photo.from_array(pixels)) == []


def test_threads_share_a_finder(finder: FaceFinder, portrait: Photo) -> None:
    photos = [_warped(portrait, degrees, 1.2, size)[0] for degrees, size in ((0, 400), (40, 333), (180, 512))] * 2
    alone = [_numbers(finder.find(photo)) for photo in photos]
    with ThreadPoolExecutor(3) as pool:
        together = [_numbers(faces) for faces in pool.map(finder.find, photos)]
    assert together == alone
    assert all(alone)


def _numbers(faces: list[FoundFace]) -> list[tuple[object, ...]]:
    return [(face.box, face.score, face.points.tolist()) for face in faces]


@given(st.floats(-math.pi + 0.01, math.pi - 0.01), st.floats(0.5, 500))
def test_roll_follows_the_points(angle: float, size: float) -> None:
    c, s = math.cos(angle), math.sin(angle)
    assert roll_of(UPRIGHT * size @ np.array([[c, s], [-s, c]])) == pytest.approx(angle, abs=1e-6)


def test_roll_of_a_profile_comes_from_the_way_to_the_mouth() -> None:
    profile = UPRIGHT * [0.02, 1]
    profile[1, 1] -= 0.1  # eyes nearly fall together: their own direction says little
    assert abs(roll_of(profile)) < math.radians(5)


def test_nothing_is_printed(portrait: Photo, capfd: pytest.CaptureFixture[str]) -> None:
    FaceFinder().find(portrait)
    assert capfd.readouterr() == ("", "")


def test_an_opencv_without_a_log_level_will_do(portrait: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those before 4.13."""
    monkeypatch.delattr(cv2.utils, "logging", raising=False)
    assert len(FaceFinder().find(portrait)) == 1


def test_missing_and_damaged_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hrlm.yunet.weights_folder", lambda: tmp_path)
    with pytest.raises(ModelError, match="install hrlm again"):
        FaceFinder()
    (tmp_path / "face_detection_yunet_2023mar_int8bq.onnx").write_bytes(b"not a network")
    with pytest.raises(ModelError, match="install hrlm again"):
        FaceFinder()
    monkeypatch.setattr(files, "__file__", str(tmp_path / "hrlm" / "models" / "files.py"))
    with pytest.raises(ModelError, match="install hrlm again"):
        files.weights_folder()


def test_threshold_range() -> None:
    with pytest.raises(ValueError, match="threshold"):
        FaceFinder(1.5)


def test_faces_of_the_benchmark_are_found(finder: FaceFinder, shared: Path) -> None:
    for path in sorted((shared / "helen_dev").glob("*.pts"))[::12]:
        lines = path.read_text().split("{")[1].split("}")[0].strip().splitlines()
        points = np.array([line.split() for line in lines], float) - 1
        low, extent = points.min(0), np.ptp(points, axis=0)
        faces = finder.find(open_photo(path.with_suffix(".jpg")))
        assert max(box_overlap(face.box, (*low, *extent)) for face in faces) > 0.4, path.stem


@pytest.mark.parametrize(("width", "height"), [(5003, 3001), (2571, 4099), (1601, 900), (9000, 7)])
def test_reduced_views_show_everything_where_it_is(width: int, height: int) -> None:
    pixels = np.zeros((height, width, 3), np.uint8)
    x0, y0 = int(0.8 * width), int(0.7 * height)
    x1, y1 = x0 + width // 12, y0 + max(1, height // 12)
    pixels[y0:y1, x0:x1] = 255
    # along the long side: the short one is rounded to whole pixels
    axis, truth = (1, (x0 + x1 - 1) / 2) if width > height else (0, (y0 + y1 - 1) / 2)
    views = _Views(Photo.from_array(pixels))
    for long_side in (640, 320):
        view, ratio = views.at(long_side)
        assert view.shape[axis] == long_side
        light = view[..., 0].astype(float).sum(1 - axis)
        seen = light @ np.arange(long_side) / light.sum()
        assert resize_points(torch.tensor([seen]), 1 / ratio).item() == pytest.approx(truth, abs=0.3)
