from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hrlm.synthetic.head import HeadModel
from hrlm.synthetic.worn import CLOTHES, GLASSES, HATS, WornLook, draw_glasses, draw_hat, draw_worn, grid_faces, tube
from hrlm.synthetic.worn_body import Body, body_distance, bust_edge
from hrlm.synthetic.worn_face import glasses_pieces, lens_outline
from hrlm.synthetic.worn_pieces import worn_pieces


@pytest.fixture(scope="module", params=[0, 1])
def person(head: HeadModel, request: pytest.FixtureRequest) -> np.ndarray:
    rng = np.random.default_rng(request.param)
    return head.shape(rng.standard_normal(len(head.identity)) * 0.8 * request.param, {})


def look(clothes: str, **changes: object) -> WornLook:
    drawn = draw_worn(np.random.default_rng(3))
    plain = dataclasses.replace(drawn, glasses=None, hat=None, earrings="", clothes=clothes)
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def test_looks_are_drawn_as_often_as_said() -> None:
    drawn = [draw_worn(np.random.default_rng(seed)) for seed in range(2000)]
    assert drawn[7] == draw_worn(np.random.default_rng(7))
    assert {d.clothes for d in drawn} == set(CLOTHES)
    assert np.mean([d.glasses is not None for d in drawn]) == pytest.approx(0.15, abs=0.03)
    assert np.mean([d.covers_scalp for d in drawn]) == pytest.approx(0.08, abs=0.025)
    assert {d.glasses.shape for d in drawn if d.glasses} == set(GLASSES)
    assert {d.hat.kind for d in drawn if d.hat} == set(HATS)


def test_closed_grid_joins_its_ends() -> None:
    faces = grid_faces(3, 5, closed=True)
    assert faces.shape == (10, 4)
    assert sorted(np.unique(faces)) == list(range(15))
    assert [4, 9, 5, 0] in faces.tolist()


def test_tube_keeps_its_distance_from_the_path() -> None:
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    path = np.stack([5 * np.cos(turn), 5 * np.sin(turn), 0 * turn], -1)
    vertices, faces = tube(path, path, np.array([0.2, 0.2]), closed=True, sides=8)
    away = np.hypot(np.hypot(vertices[:, 0], vertices[:, 1]) - 5, vertices[:, 2])
    assert away.min() > 0.19
    assert away.max() < 0.28
    assert len(faces) == 40 * 8


def test_body_is_symmetric_and_has_an_inside() -> None:
    here = np.random.default_rng(0).uniform([-20, -60, -10], [20, -20, 10], (500, 3))
    np.testing.assert_allclose(body_distance(here, 1.0, 0.5), body_distance(here * [-1, 1, 1], 1.0, 0.5))
    assert body_distance(np.array([0, -35.0, -2]), 1.0, 0.5) < 0 < body_distance(np.array([0, -35.0, 30]), 1.0, 0.5)


@pytest.mark.parametrize("shape", GLASSES)
def test_lens_outline_turns_once_around_its_middle(shape: str) -> None:
    outline = lens_outline(shape, 2.5, 1.0)
    angle = np.unwrap(np.arctan2(outline[:, 1], outline[:, 0]))
    assert (np.diff(angle) > 0).all()
    assert np.ptp(outline[:, 0]) == pytest.approx(5, abs=0.5)


def test_bust_edge_is_one_open_rim(head: HeadModel) -> None:
    rim = head.neutral[bust_edge(head)]
    assert 40 < len(rim) < 80
    assert rim[:, 1].max() < -12
    assert rim[:, 1].min() < -19


def test_body_lies_outside_the_bust(head: HeadModel, person: np.ndarray) -> None:
    body = Body(head, person, 1.0, 0.3)
    angle, height = np.meshgrid(np.linspace(0, 2 * np.pi, 240), np.linspace(-8, -24, 160))
    surface = body.place(angle, height, 0.0).reshape(-1, 3)
    outward = body.place(angle, height, 1.0).reshape(-1, 3) - surface
    for point in person[bust_edge(head)]:
        nearest = np.argmin(np.linalg.norm(surface - point, axis=1))
        # The closest-lying cloth is a quarter of a centimetre above the body.
        assert (point - surface[nearest]) @ outward[nearest] < 0.25


@pytest.mark.parametrize("clothes", CLOTHES)
def test_clothes_cover_the_shoulders_and_reach_below_the_picture(
    head: HeadModel, person: np.ndarray, clothes: str
) -> None:
    pieces = worn_pieces(head, person, look(clothes))
    everything = np.concatenate([p.vertices for p in pieces])
    assert np.isfinite(everything).all()
    assert len({p.name for p in pieces}) == len(pieces)
    assert all(p.faces.max() < len(p.vertices) == len(p.uv) for p in pieces)
    assert everything[:, 1].min() < -60
    assert 18 < everything[:, 0].max() < 32
    assert everything[:, 1].max() < person[head.landmarks[8], 1] + (3 if clothes == "hoodie" else 1)


@pytest.mark.parametrize("shape", GLASSES)
def test_glasses_clear_the_face_and_stay_close(head: HeadModel, person: np.ndarray, shape: str) -> None:
    pieces = glasses_pieces(head, person, draw_glasses(np.random.default_rng(1), shape))
    eyes = person[head.landmarks[36:48]]
    for side, name in ((1, "left"), (-1, "right")):
        lens = next(p for p in pieces if p.name == f"lens {name}").vertices
        own = eyes[eyes[:, 0] * side > 0].mean(0)
        assert lens[:, 0].min() < own[0] < lens[:, 0].max()
        assert lens[:, 1].min() < own[1] < lens[:, 1].max()
        middle = lens[np.argsort(np.linalg.norm((lens - own)[:, :2], axis=1))[:8], 2].mean()
        assert 0.3 < middle - own[2] < 3.5
    temple = next(p for p in pieces if p.name == "temple left").vertices
    assert temple[:, 2].min() < 0


@pytest.mark.parametrize("kind", ["beanie", "cap", "brimmed"])
def test_hats_clear_the_skull(head: HeadModel, person: np.ndarray, kind: str) -> None:
    hat = dataclasses.replace(draw_hat(np.random.default_rng(0), kind), tilt=0.0)
    pieces = worn_pieces(head, person, look("crew", hat=hat))
    shell = next(p for p in pieces if p.name == "hat").vertices
    skull = person[head.vertices_of("M_Face", "M_BackHead")]
    brow = person[head.landmarks[17:27], 1].max()
    assert shell[:, 1].max() > skull[:, 1].max() + 0.5
    assert shell[np.argmax(shell[:, 2]), 1] > brow
    crown = skull[skull[:, 1] > brow + 5]
    for direction in np.array([[1, 0.6, 0], [-1, 0.6, 0], [0, 0.6, -1], [0, 1, 0], [0, 1, 0.7]], float):
        assert (shell @ direction).max() > (crown @ direction).max() + 0.2


def test_scarf_leaves_the_face_bare(head: HeadModel, person: np.ndarray) -> None:
    pieces = worn_pieces(head, person, look("crew", hat=draw_hat(np.random.default_rng(0), "scarf")))
    scarf = next(p for p in pieces if p.name == "scarf").vertices
    face = person[head.landmarks[17:]]
    low, high = face.min(0), face.max(0)
    inside = (scarf[:, 0] > low[0]) & (scarf[:, 0] < high[0]) & (scarf[:, 1] > low[1]) & (scarf[:, 1] < high[1])
    assert (scarf[inside, 2] < 2).all()
