from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hrlm.errors import HrlmError
from hrlm.formats import pts
from hrlm.render.overlay import COLOURS, STYLES, Look, Style, draw_faces, face_scale
from hrlm.render.strokes import RIM_COLOUR, RIM_OPACITY
from hrlm.results import Face
from hrlm.schemes import load_scheme, parse_scheme

POINT_COLOUR, LINE_COLOUR = COLOURS["points"], COLOURS["contours"]
# the ten tones of the Monk Skin Tone Scale (Google, skintone.google)
SKINS = ["f6ede4", "f3e7db", "f7ead0", "eadaba", "d7bd96", "a07e56", "825c43", "604134", "3a312a", "292420"]
# what eyes without long, middle and short wave cones make of linear RGB (Machado, Oliveira and Fernandes 2009)
COLOUR_BLIND = [
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
]
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
    drawn = draw_faces(blank, [face([[-90, -90], [-80, -90], list(place)])], SCHEME, Look(("points",)))
    np.testing.assert_allclose(centre_of(drawn, blank), place, atol=0.08)


def linear(colour: np.ndarray) -> np.ndarray:
    share = np.asarray(colour, float) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    """The contrast ratio of WCAG 2, 1 … 21."""
    dark, light = sorted(float(linear(c) @ (0.2126, 0.7152, 0.0722)) for c in (one, other))
    return (light + 0.05) / (dark + 0.05)


def test_styles() -> None:
    blank = grey(100, 60)
    one = face([[10, 30], [90, 30], [50, 50]])
    both: tuple[Style, ...] = ("points", "contours")
    looks: list[tuple[Style, ...]] = [("points",), ("contours",), both, both[::-1], ("mesh",)]
    points, lines, all_of, reversed_, mesh = (draw_faces(blank, [one], SCHEME, Look(style)) for style in looks)
    assert tuple(points[30, 90]) == tuple(all_of[30, 90]) == POINT_COLOUR
    assert tuple(lines[30, 50]) == tuple(all_of[30, 50]) == LINE_COLOUR
    assert tuple(points[30, 50]) == (128, 128, 128)
    assert tuple(lines[50, 50]) == (128, 128, 128)
    np.testing.assert_array_equal(all_of, reversed_)
    assert tuple(mesh[40, 30]) == tuple(mesh[40, 70]) == COLOURS["mesh"], "the triangle's other two sides"
    assert (blank == 128).all()


def test_ellipses_have_the_covariance_s_axes() -> None:
    points = np.array([[60.0, 60.0], [400.0, 60.0], [60.0, 300.0]])
    turn = np.radians(30)
    axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    covariance = np.stack([axes @ np.diag([40.0**2, 10.0**2]) @ axes.T, *[np.eye(2)] * 2])
    sure = Face(points, np.ones(3), (0, 0, 1, 1), 1.0, (), covariance)
    drawn = draw_faces(grey(500, 400, 0), [sure], SCHEME, Look(("ellipses",)))
    for direction, length in ((axes[:, 0], 40), (axes[:, 1], 10)):
        for sign in (-1, 1):
            x, y = np.round(points[0] + sign * length * direction).astype(int)
            assert drawn[y - 1 : y + 2, x - 1 : x + 2].max() > 150
    assert not drawn[60, 60].any()
    known = Face(points, np.array([20.0, np.nan, 1.0]), (0, 0, 1, 1), 1.0)
    drawn = draw_faces(grey(500, 400, 0), [known], SCHEME, Look(("ellipses",)))
    assert drawn[60, 80].max() > 150, "without a covariance the deviation makes a circle"
    assert not drawn[40:80, 380:420].any(), "what is not known is not drawn"


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("skin", SKINS)
def test_visible_on_any_skin(style: Style, skin: str) -> None:
    tone = np.array([int(skin[i : i + 2], 16) for i in (0, 2, 4)])
    rim = np.array(RIM_COLOUR) * RIM_OPACITY + tone * (1 - RIM_OPACITY)
    colour = np.array(COLOURS[style])
    # the rim lies between the two: a mark that stands out from it is seen on any ground
    assert contrast(colour, rim) > 3


def test_drawn_colours_are_those_that_were_judged() -> None:
    tone = np.array([int(SKINS[0][i : i + 2], 16) for i in (0, 2, 4)], np.uint8)
    ground = np.broadcast_to(tone, (600, 1000, 3))
    drawn = draw_faces(ground, [face([[100, 300], [900, 300], [500, 500]])], SCHEME, Look(("contours",)))
    column = drawn[290:311, 500].astype(int)
    rim = np.array(RIM_COLOUR) * RIM_OPACITY + tone * (1 - RIM_OPACITY)
    assert np.abs(column - LINE_COLOUR).max(1).min() == 0
    assert np.abs(column - rim).max(1).min() <= 25


@pytest.mark.parametrize("eyes", [np.eye(3), *map(np.array, COLOUR_BLIND)])
def test_styles_are_told_apart_by_colour_blind_eyes(eyes: np.ndarray) -> None:
    seen = {style: (eyes @ linear(np.array(COLOURS[style]))).clip(0, 1) for style in STYLES}
    for one in STYLES:
        for other in STYLES:
            if one < other:
                assert np.abs(seen[one] ** (1 / 2.2) - seen[other] ** (1 / 2.2)).max() * 255 > 40, (one, other)


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


def test_real_points_lie_on_a_real_photo(shared: Path) -> None:
    scheme = load_scheme("ibug68")
    path = min((shared / "helen_dev").glob("*.jpg"), key=lambda p: p.stat().st_size)
    pixels = np.asarray(Image.open(path).convert("RGB"))
    points = pts.read(path.with_suffix(".pts"))
    drawn = draw_faces(pixels, [Face(points, np.ones(68), (0.0, 0.0, 1.0, 1.0), 1.0)], scheme)
    inside = [p for p in np.round(points).astype(int) if (p >= 0).all() and (p < pixels.shape[1::-1]).all()]
    assert len(inside) > 60
    assert all(np.abs(drawn[y, x].astype(int) - POINT_COLOUR).max() < 100 for x, y in inside)
