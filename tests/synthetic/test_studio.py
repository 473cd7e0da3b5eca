from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hrlm.synthetic.backdrop import BACKDROPS, paint_backdrop
from hrlm.synthetic.studio import (
    KINDS,
    Lamp,
    ball_light,
    camera_axes,
    draw_studio,
    exposure_gain,
    kelvin_colour,
    lamp_tiles,
    luminance,
    surroundings,
)


def test_same_seed_same_studio() -> None:
    assert draw_studio(np.random.default_rng(5)) == draw_studio(np.random.default_rng(5))
    assert draw_studio(np.random.default_rng(5)) != draw_studio(np.random.default_rng(6))


def test_every_kind_is_drawn_and_within_a_stop_of_the_meter() -> None:
    drawn = [draw_studio(np.random.default_rng(seed)) for seed in range(300)]
    assert {look.kind for look in drawn} == set(KINDS)
    assert {look.backdrop for look in drawn} == set(BACKDROPS)
    assert all(abs(np.log2(look.level)) <= 1.15 for look in drawn)


@pytest.mark.parametrize("seed", range(8))
def test_exposure_meters_the_ball(seed: int) -> None:
    look = draw_studio(np.random.default_rng(seed))
    gain = exposure_gain(look)
    brighter = dataclasses.replace(
        look,
        lamps=tuple(dataclasses.replace(lamp, irradiance=lamp.irradiance * 3) for lamp in look.lamps),
        sky=tuple(3 * v for v in look.sky),
        horizon=tuple(3 * v for v in look.horizon),
        ground=tuple(3 * v for v in look.ground),
    )
    assert luminance(ball_light(look)) * gain == pytest.approx(look.level)
    assert exposure_gain(brighter) == pytest.approx(gain / 3)


def test_a_lamp_at_the_camera_lights_the_ball_by_two_thirds() -> None:
    look = draw_studio(np.random.default_rng(0))
    dark = dataclasses.replace(
        look, lamps=(Lamp(0, 0, 100, 10, 10, 1.0),), sky=(0, 0, 0), horizon=(0, 0, 0), ground=(0, 0, 0)
    )
    # The mean of the cosine over a disc is 2/3.
    np.testing.assert_allclose(ball_light(dark), 2 / 3, atol=0.01)


def test_surroundings_are_brighter_behind_the_head_when_said() -> None:
    look = dataclasses.replace(draw_studio(np.random.default_rng(0)), behind=1.0)
    ways = np.random.default_rng(1).standard_normal((50, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    even, bright = surroundings(look, ways), surroundings(dataclasses.replace(look, behind=2.0), ways)
    np.testing.assert_allclose(bright / even, np.repeat(1.5 - 0.5 * ways[:, 2:], 3, 1))
    assert (even > 0).all()


def test_low_temperatures_are_warm() -> None:
    np.testing.assert_allclose(kelvin_colour(6500), 1)
    warm, cold = kelvin_colour(2800), kelvin_colour(9000)
    assert warm[0] > 1.2 > 0.6 > warm[2]
    assert cold[2] > 1.05 > cold[0]


def test_lamp_stands_where_its_angles_say() -> None:
    np.testing.assert_allclose(Lamp(90, 0, 100, 10, 10, 1).direction, [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(Lamp(0, 90, 100, 10, 10, 1).direction, [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(Lamp(0, 0, 100, 10, 10, 1).direction, [0, 0, 1], atol=1e-12)


def test_panes_lie_inside_the_window_and_apart() -> None:
    tiles = lamp_tiles(Lamp(0, 0, 100, 80, 120, 1, panes=(2, 3)))
    assert len(tiles) == 6
    low, high = tiles[:, :2] - tiles[:, 2:] / 2, tiles[:, :2] + tiles[:, 2:] / 2
    assert low.min(0) == pytest.approx([-40, -60], abs=2)
    assert high.max(0) == pytest.approx([40, 60], abs=2)
    assert (tiles[:, 2:].prod(1)).sum() < 80 * 120


def test_camera_axes_are_right_handed() -> None:
    axes = camera_axes(np.array([0.3, 0.1, 1.0]), np.array([0, 1.0, 0]))
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1)
    assert axes[0, 0] > 0
    assert axes[1, 1] > 0


@pytest.mark.parametrize("kind", BACKDROPS)
def test_backdrop_is_the_same_each_time_and_at_any_size(kind: str) -> None:
    colour = np.array([0.2, 0.3, 0.4])
    small, again, large = (paint_backdrop(kind, colour, 7, size) for size in (64, 64, 128))
    assert small.shape == (64, 64, 3)
    np.testing.assert_array_equal(small, again)
    halved = large.reshape(64, 2, 64, 2, 3).mean((1, 3))
    assert np.abs(halved - small).mean() < 0.1 * max(small.mean(), 0.1)
    assert (small >= 0).all()
    assert not np.array_equal(small, paint_backdrop(kind, colour, 8, 64))
