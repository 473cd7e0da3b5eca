from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrlm.synthetic.head import HeadModel
from hrlm.synthetic.skin import SkinLook, draw_skin, paint_skin
from hrlm.synthetic.skin_look import to_linear, to_srgb
from hrlm.synthetic.skin_regions import outer_joint
from hrlm.synthetic.truth import lip_border
from hrlm.synthetic.uvspace import polygon_mask, pore_tile, strokes, texel_places, through, to_texels

SIZE = 1024
HAIR = (0.2, 0.13, 0.1)


@pytest.fixture(scope="module")
def plain() -> SkinLook:
    """A skin without marks, with clearly red lips."""
    return replace(
        draw_skin(np.random.default_rng(4)),
        tone=(0.85, 0.66, 0.55),
        freckles=0.0,
        moles=0.0,
        wrinkles=0.0,
        stubble=0.0,
        shadow=0.0,
        liner=0.0,
        lipstick=1.0,
        lip_colour=(0.5, 0.05, 0.1),
        age=20.0,
    )


@pytest.fixture(scope="module")
def maps(head: HeadModel, plain: SkinLook) -> dict[str, np.ndarray]:
    return paint_skin(head, plain, HAIR, SIZE)


@given(st.integers(0, 2**32 - 1))
def test_drawn_skins_are_in_range_and_repeat(seed: int) -> None:
    look = draw_skin(np.random.default_rng(seed))
    assert look == draw_skin(np.random.default_rng(seed))
    assert 18 <= look.age <= 80
    assert all(0 <= c <= 1 for c in (*look.tone, *look.lip_colour, *look.shadow_colour))
    amounts = (look.freckles, look.moles, look.blush, look.lipstick, look.lip_gloss, look.pores, look.wrinkles)
    assert all(0 <= a <= 1 for a in (*amounts, look.oil, look.shadow, look.liner, look.stubble))
    assert look.tone[0] > look.tone[2]


def test_tones_reach_from_very_light_to_very_dark() -> None:
    light = [np.mean(draw_skin(np.random.default_rng(seed)).tone) for seed in range(200)]
    assert min(light) < 0.3
    assert max(light) > 0.75


def test_age_is_taken_over_and_wrinkles_follow_it() -> None:
    young, old = ([draw_skin(np.random.default_rng(s), age) for s in range(20)] for age in (20, 75))
    assert {look.age for look in young} == {20}
    assert max(look.wrinkles for look in young) < min(look.wrinkles for look in old)


def test_linear_light_and_back() -> None:
    values = np.linspace(0, 1, 256)
    np.testing.assert_allclose(to_srgb(to_linear(values)), values, atol=1e-6)


def test_maps_have_their_shapes_and_repeat(head: HeadModel, plain: SkinLook, maps: dict[str, np.ndarray]) -> None:
    assert maps["albedo"].shape == maps["surface"].shape == (SIZE, SIZE, 3)
    assert maps["height"].shape == (SIZE, SIZE)
    assert maps["height"].dtype == maps["pores"].dtype == np.uint16
    again = paint_skin(head, plain, HAIR, SIZE)
    assert all((again[name] == maps[name]).all() for name in maps)


def test_the_lip_edge_runs_through_the_border_landmarks(head: HeadModel, maps: dict[str, np.ndarray]) -> None:
    """Along lines across the border the colour is half way at the landmark, to 0.1 mm."""
    green = to_linear(maps["albedo"][..., 1] / 255).astype(np.float32)
    outline = to_texels(lip_border(head, 96), SIZE)
    marks = to_texels(head.vertex_uv[head.landmarks[48:60]], SIZE)
    places = texel_places(head, "M_Face", SIZE)
    for k, mark in enumerate(marks):
        if k in (0, 6):
            continue  # the corners are sharp: a soft edge is rounded there
        tangent = outline[(8 * k + 1) % 96] - outline[(8 * k - 1) % 96]
        normal = np.array([-tangent[1], tangent[0]]) / np.linalg.norm(tangent)
        steps = np.arange(-8, 8.01, 0.05)
        path = (mark + steps[:, None] * normal).astype(np.float32)
        values = cv2.remap(green, path[:, 0], path[:, 1], cv2.INTER_LINEAR)
        half = (np.median(values[:40]) + np.median(values[-40:])) / 2
        edge = steps[np.abs(values - half).argmin()]
        x, y = np.round(mark).astype(int)
        texel = np.nanmean(np.linalg.norm(np.diff(places[y - 4 : y + 5, x], axis=0), axis=-1))
        assert abs(edge) * texel < 0.01, k


def test_the_face_fades_into_the_plain_tone_where_the_head_goes_on(
    head: HeadModel, plain: SkinLook, maps: dict[str, np.ndarray]
) -> None:
    face = head.material == "M_Face"
    corners = head.faces[face]
    joint = np.isin(corners, outer_joint(head))
    uv = head.uv[head.face_uv[face][joint & (corners >= 0)]]
    column, row = np.clip(np.round(to_texels(uv, SIZE)).astype(int), 0, SIZE - 1).T
    away = np.abs(maps["albedo"][row, column].astype(int) - np.array(plain.tone) * 255).max(1)
    assert np.median(away) <= 2
    assert np.percentile(away, 95) <= 6


def test_two_sizes_show_the_same_skin(head: HeadModel, plain: SkinLook, maps: dict[str, np.ndarray]) -> None:
    freckled = replace(plain, freckles=1.0, stubble=0.6)
    large, small = (paint_skin(head, freckled, HAIR, size)["albedo"] for size in (SIZE, SIZE // 2))
    reduced = cv2.resize(large, (SIZE // 2, SIZE // 2), interpolation=cv2.INTER_AREA)
    assert np.abs(reduced.astype(int) - small).mean() < 2
    assert np.abs(large.astype(int) - maps["albedo"]).mean() > 1


def test_wrinkles_are_dents(head: HeadModel, plain: SkinLook, maps: dict[str, np.ndarray]) -> None:
    old = paint_skin(head, replace(plain, wrinkles=1.0), HAIR, SIZE)["height"].astype(int)
    lips = slice(30 * SIZE // 64, 42 * SIZE // 64)
    change = np.delete(old - maps["height"], np.r_[lips], axis=0)
    assert change.max() <= 1
    assert change.min() < -5000


def test_a_polygon_covers_its_area_with_half_on_its_edge() -> None:
    square = np.array([[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]])
    mask = polygon_mask(square, 200, 0.01)
    assert mask.sum() / 200**2 == pytest.approx(0.25, abs=2e-3)
    assert (mask[100, 49] + mask[100, 50]) / 2 == pytest.approx(0.5, abs=0.04)
    assert (mask[49, 100] + mask[50, 100]) / 2 == pytest.approx(0.5, abs=0.04)


def test_a_smooth_line_runs_through_its_points() -> None:
    points = np.random.default_rng(0).uniform(0, 1, (6, 2))
    np.testing.assert_allclose(through(points, 5)[::5], points)
    np.testing.assert_allclose(through(points, 5, closed=True)[::5], points)


def test_a_stroke_is_as_strong_as_asked_at_any_size() -> None:
    line = (np.array([[0.1, 0.5], [0.9, 0.5]]), 1.0)
    for size in (256, 1024):
        assert strokes([line], size, 0.01).max() == pytest.approx(1, abs=0.1)


def test_texels_know_their_places(head: HeadModel) -> None:
    places = texel_places(head, "M_Face", 512)
    for landmark in (8, 27, 30, 48, 51, 57):
        vertex = head.landmarks[landmark]
        column, row = np.round(to_texels(head.vertex_uv[vertex], 512)).astype(int)
        assert np.linalg.norm(places[row, column] - head.neutral[vertex]) < 0.12


def test_pores_tile() -> None:
    tile = pore_tile(np.random.default_rng(1), 128, 8)
    seam = np.abs(tile[:, 0] - tile[:, -1]).mean()
    assert seam < 1.5 * np.abs(np.diff(tile, axis=1)).mean()
    assert tile.min() < -0.8
