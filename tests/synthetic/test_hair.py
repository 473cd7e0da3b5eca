"""Strands on the head: how many, how long, where, and that they follow the face."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrlm.synthetic.facial_hair import BROWS, beard_regions
from hrlm.synthetic.hair import HairLook, Strands, draw_hair, grow, shade
from hrlm.synthetic.hair_look import BEARDS, STYLES
from hrlm.synthetic.hair_surface import Shell, scatter
from hrlm.synthetic.head import HeadModel
from hrlm.synthetic.scalp_hair import margin


def a_look(**changes: object) -> HairLook:
    return dataclasses.replace(draw_hair(np.random.default_rng(3), 35, 0.3), **changes)


def of(kind: str, strands: list[Strands]) -> list[Strands]:
    return [s for s in strands if s.kind == kind]


@given(seed=st.integers(0, 2**32 - 1), age=st.floats(2, 90), tone=st.floats(0, 1))
def test_a_drawn_look_stays_in_its_ranges_and_repeats(seed: int, age: float, tone: float) -> None:
    look = draw_hair(np.random.default_rng(seed), age, tone)
    assert look == draw_hair(np.random.default_rng(seed), age, tone)
    assert look.style in STYLES
    assert look.beard in BEARDS
    assert age >= 18 or look.beard == "none"
    for name in ("melanin", "redness", "grey", "sweep", "recession", "brow_arch", "brow_density"):
        assert 0 <= getattr(look, name) <= 1, name
    assert -1 <= look.length <= 1
    assert 0.6 <= look.brow_thickness <= 1.2
    assert 0.6 <= look.lash_length <= 1.1


def test_looks_vary() -> None:
    rng = np.random.default_rng(0)
    looks = [draw_hair(rng, 40, tone) for tone in np.linspace(0, 1, 300)]
    assert {look.style for look in looks} == set(STYLES)
    assert {look.beard for look in looks} == set(BEARDS)
    assert sum(look.beard == "none" for look in looks) > 150
    assert any(look.dye for look in looks)


@pytest.mark.parametrize("style", STYLES)
def test_scalp_hair_stays_in_its_budget_and_outside_the_head(head: HeadModel, style: str) -> None:
    vertices = head.neutral.astype(np.float64)
    look = a_look(style=style, beard="none", density=1.1, length=0.0)
    scalp = of("scalp", grow(head, vertices, look))
    if style == "bald":
        assert not scalp
        return
    assert 20_000 < sum(len(s.points) for s in scalp) <= 60_000
    assert sum(s.radius.size for s in scalp) <= 720_000
    shell = Shell(head, vertices)
    for strands in scalp:
        assert np.isfinite(strands.points).all()
        assert strands.points.shape[:2] == strands.radius.shape
        assert strands.radius.min() > 0.0003
        assert strands.radius.max() <= 0.006
        above = strands.points[:, 1:][strands.points[:, 1:, 1] > 2]
        assert (shell.height(above) < -0.25).mean() < 0.02


def test_the_same_look_grows_the_same_strands(head: HeadModel) -> None:
    vertices = head.neutral.astype(np.float64)
    look = a_look(style="short", beard="goatee")
    for one, other in zip(grow(head, vertices, look), grow(head, vertices, look), strict=True):
        assert np.array_equal(one.points, other.points)
        assert np.array_equal(one.radius, other.radius)


def test_brows_run_along_their_landmarks_and_rise_with_them(head: HeadModel) -> None:
    vertices = head.neutral.astype(np.float64)
    raised = head.shape(np.zeros(60), {"browOuterUp_L": 1.0, "browOuterUp_R": 1.0})
    look = a_look(style="bald", beard="none")
    before, after = (of("brow", grow(head, v, look)) for v in (vertices, raised))
    for marks, still, moved in zip(BROWS, before, after, strict=True):
        assert 350 <= len(still.points) <= 900
        places = vertices[head.landmarks[marks]]
        away = np.linalg.norm(still.points[:, 0, None] - places, axis=-1)
        assert away.min(1).max() < 1.6
        assert (away.min(0) < 0.35).all()  # hair at every landmark
        lift = (raised - vertices)[head.landmarks[marks[2]], 1]
        assert lift > 0.2
        middle = away[:, 2] < 0.4
        assert np.allclose((moved.points - still.points)[middle, 0, 1], lift, atol=0.25 * lift)
        outwards = np.abs(still.points[:, -1, 0]) - np.abs(still.points[:, 0, 0])
        assert (outwards > 0).mean() > 0.85


def test_lashes_leave_the_lids_and_close_with_them(head: HeadModel) -> None:
    look = a_look(style="bald", beard="none")
    still = of("lash", grow(head, head.neutral.astype(np.float64), look))
    shut = of("lash", grow(head, head.shape(np.zeros(60), {"eyeBlink_L": 1.0, "eyeBlink_R": 1.0}), look))
    assert len(still) == 4
    for k, eye in enumerate(("M_ScleraRight", "M_ScleraRight", "M_ScleraLeft", "M_ScleraLeft")):
        centre = head.neutral[head.vertices_of(eye)].mean(0)
        far = np.linalg.norm(still[k].points - centre, axis=-1)
        assert (far[:, -1] > far[:, 0]).all()
        upper = k % 2 == 0
        drop = (still[k].points[:, 0, 1] - shut[k].points[:, 0, 1]).mean()
        rise = (still[k].points[:, -1, 1] - still[k].points[:, 0, 1]).mean()
        assert (drop > 0.3 and rise > 0.1) if upper else (abs(drop) < 0.3 and rise < -0.05)
    assert 80 <= len(still[0].points) <= 140


def test_no_beard_grows_on_lips_or_nose(head: HeadModel) -> None:
    rest = head.neutral.astype(np.float64)
    regions = beard_regions(head, rest)
    lips, nose = head.landmarks[48:60], head.landmarks[27:36]
    for amount in regions.values():
        assert amount.min() >= 0
        assert amount.max() > 0.9
        assert not amount[lips].any()
        assert not amount[nose].any()
    assert regions["goatee"][head.landmarks[8]] > 0.3
    beard = of("beard", grow(head, rest, a_look(style="bald", beard="full beard")))
    assert len(beard) == 1
    assert len(beard[0].points) > 5000


def test_the_hair_line_runs_where_hair_lines_run(head: HeadModel) -> None:
    rest = head.neutral.astype(np.float64)
    brow_to_hair = margin(rest, 0.0)[head.landmarks[[17, 19, 24, 26, 27, 8, 30]]]
    assert (brow_to_hair < -1).all()
    temple = np.array([[5.5, 9.8, 6.2]])
    assert margin(temple, 1.0)[0] < margin(temple, 0.0)[0] - 0.5
    dark = shade(head, a_look(style="buzz cut", beard="none", recession=0.0))
    top = np.argmax(rest[:, 1] * (rest[:, 2] < 3))
    assert dark["scalp"][top] == 1
    assert not dark["beard"].any()
    assert not shade(head, a_look(style="bald"))["scalp"].any()


def test_scattered_roots_lie_on_the_skin_in_the_box(head: HeadModel) -> None:
    box = np.array([[-3.0, 7.0, 5.0], [3.0, 10.0, 12.0]])
    roots = scatter(head, np.random.default_rng(0), box, 50)
    places = roots.at(head.neutral)
    assert np.allclose(roots.weights.sum(1), 1)
    assert (places > box[0] - 0.7).all()
    assert (places < box[1] + 0.7).all()
    height = Shell(head, head.neutral.astype(np.float64)).height(places)
    assert np.abs(height).max() < 0.15
