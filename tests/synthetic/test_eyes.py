from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrlm.synthetic.eyes import draw_eyes, eye_attributes, eye_frames, iris_rings, turn_eyes
from hrlm.synthetic.head import HeadModel


def rings(head: HeadModel, vertices: np.ndarray, pupil: float = 0.4) -> dict[str, np.ndarray]:
    return iris_rings(head, vertices, replace(draw_eyes(np.random.default_rng(0)), pupil=pupil))


@given(st.integers(0, 2**32 - 1))
def test_drawn_eyes_are_in_range_and_repeat(seed: int) -> None:
    look = draw_eyes(np.random.default_rng(seed))
    assert look == draw_eyes(np.random.default_rng(seed))
    assert 0.25 <= look.pupil <= 0.55
    assert all(0 <= c <= 1 for c in (*look.iris, *look.inner))
    assert all(0 <= a <= 1 for a in (look.fibres, look.limbal_ring, look.redness, look.yellowing, look.wetness))


def test_dark_faces_seldom_have_light_eyes() -> None:
    def blue(lightness: float) -> float:
        looks = [draw_eyes(np.random.default_rng(seed), lightness) for seed in range(300)]
        return float(np.mean([look.iris[2] > look.iris[0] for look in looks]))

    assert blue(0.2) < 0.1 < blue(0.8)


def test_the_eyes_frames_look_forward_from_the_iris(head: HeadModel) -> None:
    frames = eye_frames(head, head.neutral.astype(float))
    assert frames["right"].centre[0] < 0 < frames["left"].centre[0]
    for frame in frames.values():
        np.testing.assert_allclose(frame.basis @ frame.basis.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(frame.basis) == pytest.approx(1)
        assert frame.basis[2, 2] > 0.95
        assert frame.basis[1, 1] > 0.95
        assert 0.5 < frame.radius < 0.7
        assert 1.2 < np.linalg.norm(frame.centre - frame.ball) < 1.7


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000))
def test_rings_lie_one_iris_or_pupil_radius_from_the_axis(head: HeadModel, seed: int) -> None:
    identity = np.random.default_rng(seed).standard_normal(len(head.identity))
    vertices = head.shape(identity, {})
    found = rings(head, vertices, 0.3)
    frames = eye_frames(head, vertices)
    for side in ("right", "left"):
        limbus, pupil = (frames[side].local(found[f"{name}_{side}"]) for name in ("limbus", "pupil_edge"))
        np.testing.assert_allclose(np.linalg.norm(limbus[:, :2], axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(pupil[:, :2], axis=1), 0.3, atol=1e-6)
        # the front of the eye, not its back
        assert (limbus[:, 2] > -0.5).all()
        assert (pupil[:, 2] > -0.5).all()
        assert np.linalg.norm(frames[side].local(found[f"pupil_{side}"])[:2]) < 0.02


def test_the_shaders_see_the_ring_where_the_truth_says(head: HeadModel) -> None:
    vertices = head.neutral.astype(float)
    eye = eye_attributes(head, vertices)["eye"]
    skin = head.vertices_of("M_Face")
    assert (eye[skin] > 5).all()
    white = head.vertices_of("M_ScleraLeft")
    limbus = rings(head, vertices)["limbus_left"]
    for point in limbus:
        near = white[np.argsort(np.linalg.norm(vertices[white] - point, axis=1))[:4]]
        assert np.linalg.norm(eye[near, :2], axis=1).min() < 1.02
        assert np.linalg.norm(eye[near, :2], axis=1).max() > 0.98


def test_eyes_turn_where_the_expression_looks(head: HeadModel) -> None:
    vertices = head.neutral.astype(float)
    before = eye_frames(head, vertices)
    out = eye_frames(head, turn_eyes(head, vertices, {"eyeLookOut_L": 1.0, "eyeLookIn_R": 1.0}))
    for side in ("right", "left"):
        assert out[side].basis[2, 0] - before[side].basis[2, 0] > 0.4
        np.testing.assert_allclose(out[side].ball, before[side].ball, atol=1e-6)
        np.testing.assert_allclose(out[side].radius, before[side].radius, rtol=1e-6)
    up = eye_frames(head, turn_eyes(head, vertices, {"eyeLookUp_R": 1.0}))
    assert up["right"].basis[2, 1] - before["right"].basis[2, 1] > 0.3
    np.testing.assert_allclose(up["left"].basis, before["left"].basis)


def test_a_gaze_leaves_the_skin_alone(head: HeadModel) -> None:
    vertices = head.neutral.astype(float)
    moved = np.flatnonzero((turn_eyes(head, vertices, {"eyeLookDown_L": 0.7}) != vertices).any(1))
    eyeball = head.vertices_of("M_IrisLeft", "M_ScleraLeft")
    assert len(moved) > 100
    assert np.isin(moved, eyeball).all()


def test_the_lid_gap_is_measured_from_its_rim(head: HeadModel) -> None:
    lid = eye_attributes(head, head.neutral.astype(float))["lid"]
    shade = lid[head.vertices_of("M_EyeOcclusion")]
    assert shade.min() == 0
    assert 0.2 < shade.max() < 1
    assert (lid[head.vertices_of("M_Face")] == 1).all()
