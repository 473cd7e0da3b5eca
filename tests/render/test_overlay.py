import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hrlm.errors import HrlmError
from hrlm.formats import pts
from hrlm.render.overlay import LINE_COLOUR, POINT_COLOUR, Look, draw_faces, face_scale, jpeg_bytes, png_bytes
from hrlm.results import Face
from hrlm.schemes import load_scheme, parse_scheme

SCHEME = parse_scheme(
    """
    name: three
    landmarks: [a, b, c]
    contours: {line: {landmarks: [0, 1]}}
    regions: {all: {landmarks: [0-2]}}
    normaliser: [0, 1]
    """
)


def face(points: list[list[float]], size: float = 1.0) -> Face:
    return Face(np.array(points, dtype=float), np.ones(len(points)), (0.0, 0.0, size, size), 1.0)


def grey(width: int, height: int, level: int = 128) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def centre_of(drawn: np.ndarray, blank: np.ndarray) -> np.ndarray:
    weight = np.abs(drawn.astype(float) - blank).sum(2)
    y, x = np.mgrid[: weight.shape[0], : weight.shape[1]]
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


@pytest.mark.parametrize("place", [(20.0, 20.0), (20.25, 19.5), (31.75, 12.1)])
def test_points_are_drawn_at_sub_pixel_places(place: tuple[float, float]) -> None:
    # on black the rim does not show, so that brightness is the mark's coverage; the two others lie outside
    blank = grey(50, 40, 0)
    drawn = draw_faces(blank, [face([[-90, -90], [-80, -90], list(place)])], SCHEME, Look("points"))
    np.testing.assert_allclose(centre_of(drawn, blank), place, atol=0.08)


def test_styles() -> None:
    blank = grey(100, 60)
    one = face([[10, 30], [90, 30], [50, 50]])
    seen = {style: draw_faces(blank, [one], SCHEME, Look(style)) for style in ("points", "contours", "both")}
    assert tuple(seen["points"][30, 90]) == tuple(seen["both"][30, 90]) == POINT_COLOUR
    assert tuple(seen["contours"][30, 50]) == tuple(seen["both"][30, 50]) == LINE_COLOUR
    assert tuple(seen["points"][30, 50]) == (128, 128, 128)
    assert tuple(seen["contours"][50, 50]) == (128, 128, 128)
    assert (blank == 128).all()


@pytest.mark.parametrize("level", [0, 60, 128, 200, 255])
def test_visible_on_any_skin(level: int) -> None:
    drawn = draw_faces(grey(100, 60, level), [face([[10, 30], [90, 30], [50, 50]])], SCHEME)
    contrast = np.abs(drawn.astype(int) - level)
    assert contrast[45:56, 45:56].max() > 120
    assert contrast[27:34, 50].max() > 120


def test_sizes_grow_with_the_face() -> None:
    def painted(scale: int) -> float:
        points = np.array([[10, 30], [90, 30], [50, 50]]) * scale
        drawn = draw_faces(grey(100 * scale, 60 * scale), [face(points.tolist())], SCHEME)
        return float((drawn != 128).any(2).mean())

    assert painted(20) == pytest.approx(painted(10), rel=0.1)


def test_a_profile_takes_its_size_from_the_box() -> None:
    assert face_scale(face([[10, 30], [10, 30], [50, 50]], size=1000.0), SCHEME) == pytest.approx(300)


def test_faces_outside_and_far_coordinates() -> None:
    blank = grey(40, 30)
    far = face([[-1e9, 5], [1e9, 5], [1e12, -1e12]])
    assert draw_faces(blank, [far], SCHEME, Look(numbers=True)).shape == blank.shape
    gone = face([[-50, -50], [-60, -50], [-50, -60]])
    np.testing.assert_array_equal(draw_faces(blank, [gone], SCHEME), blank)


def test_numbers() -> None:
    one = face([[30, 60], [150, 60], [90, 120]])
    plain = draw_faces(grey(200, 200), [one], SCHEME)
    numbered = draw_faces(grey(200, 200), [one], SCHEME, Look(numbers=True))
    assert (plain != numbered).any(2)[40:60, 30:45].any()


def test_another_number_of_landmarks_is_refused() -> None:
    with pytest.raises(HrlmError, match="2 landmarks, the scheme three 3"):
        draw_faces(grey(9, 9), [face([[1, 1], [2, 2]])], SCHEME)


def test_files_hold_the_picture() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (33, 47, 3), dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png_bytes(pixels)))), pixels)
    smooth = draw_faces(grey(120, 80), [face([[10, 30], [90, 30], [50, 50]])], SCHEME)
    again = np.asarray(Image.open(io.BytesIO(jpeg_bytes(smooth, 95))))
    assert again.shape == smooth.shape
    assert np.abs(again.astype(int) - smooth).mean() < 2


def test_a_picture_too_long_for_jpeg() -> None:
    with pytest.raises(HrlmError, match="PNG"):
        jpeg_bytes(np.zeros((1, 65536, 3), np.uint8))


def test_real_points_lie_on_a_real_photo(shared: Path) -> None:
    scheme = load_scheme("ibug68")
    path = min((shared / "helen_dev").glob("*.jpg"), key=lambda p: p.stat().st_size)
    pixels = np.asarray(Image.open(path).convert("RGB"))
    points = pts.read(path.with_suffix(".pts"))
    drawn = draw_faces(pixels, [Face(points, np.ones(68), (0.0, 0.0, 1.0, 1.0), 1.0)], scheme)
    inside = [p for p in np.round(points).astype(int) if (p >= 0).all() and (p < pixels.shape[1::-1]).all()]
    assert len(inside) > 60
    assert all(np.abs(drawn[y, x].astype(int) - POINT_COLOUR).max() < 100 for x, y in inside)
