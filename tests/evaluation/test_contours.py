import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrlm.evaluation.contours import contour_normals, face_offsets, split, split_subsets
from hrlm.schemes import load_scheme, parse_scheme

IBUG = load_scheme("ibug68")
RING = parse_scheme(
    """
name: ring
landmarks: [a, b, c, d, e, f, g, h, loose]
regions: {whole: {landmarks: [0-8]}}
normaliser: [0, 4]
contours: {ring: {landmarks: [0-7], closed: true}}
subsets: {round: [0-7]}
"""
)
ANGLES = np.arange(8) * np.pi / 4
CIRCLE = np.concatenate([np.stack([-np.cos(ANGLES), -np.sin(ANGLES)], 1) * 50, [[7, 7]]]) + 200


def turned(points: np.ndarray, angle: float, scale: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return scale * points @ np.array([[c, s], [-s, c]]) + 30


def test_normals_of_a_circle_point_to_its_middle_and_a_loose_point_has_none() -> None:
    normals = contour_normals(CIRCLE, RING)
    outward = (CIRCLE[:8] - 200) / 50
    assert np.abs((normals[:8] * outward).sum(1)) == pytest.approx(np.ones(8))
    assert np.isnan(normals[8]).all()


@given(st.floats(-3, 3), st.floats(0.1, 20))
def test_the_face_frame_turns_and_scales_with_the_face(angle: float, scale: float) -> None:
    moved = CIRCLE + np.random.default_rng(0).normal(0, 2, CIRCLE.shape)
    there = face_offsets(turned(moved, angle, scale), turned(CIRCLE, angle, scale), RING)
    assert there == pytest.approx(face_offsets(moved, CIRCLE, RING), abs=1e-6)
    # the first axis runs along the normaliser, whose length is the unit
    step = np.zeros_like(CIRCLE)
    step[3] = CIRCLE[4] - CIRCLE[0]
    assert face_offsets(CIRCLE + step, CIRCLE, RING)[3] == pytest.approx([1, 0])


def test_radial_errors_are_across_and_tangential_ones_along() -> None:
    rng = np.random.default_rng(1)
    outward = np.concatenate([(CIRCLE[:8] - 200) / 50, [[0, 0]]])
    tangent = outward @ np.array([[0, 1], [-1, 0]])
    radial = [CIRCLE + outward * rng.normal(0, 2, (9, 1)) for _ in range(40)]
    sideways = [CIRCLE + tangent * rng.normal(0, 2, (9, 1)) for _ in range(40)]
    normals = np.array([contour_normals(CIRCLE, RING)] * 40)
    for faces, across in ((radial, True), (sideways, False)):
        result = split(np.array([face_offsets(f, CIRCLE, RING) for f in faces]), normals, range(8))
        large, small = (result.across, result.along) if across else (result.along, result.across)
        assert large == pytest.approx(np.sqrt(2 / np.pi) * 2 / 100, rel=0.2)
        assert small < 1e-9
        assert result.total == pytest.approx(large)


def test_constant_offsets_of_a_convention_do_not_count() -> None:
    offset = np.random.default_rng(2).normal(0, 0.1, (9, 2))
    result = split_subsets(np.array([offset] * 5), np.array([contour_normals(CIRCLE, RING)] * 5), RING)
    assert set(result) == {"all", "round"}
    assert result["all"].total == pytest.approx(0, abs=1e-12)
    assert result["round"].across == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("faces", [2, 5])
def test_few_faces_tell_no_smaller_errors_than_many(faces: int) -> None:
    rng = np.random.default_rng(3)
    offsets = rng.normal(0, 0.02, (2000, faces, 9, 2))
    normals = np.array([contour_normals(CIRCLE, RING)] * faces)
    across = np.mean([split(some, normals, range(8)).across for some in offsets])
    assert across == pytest.approx(0.02 * np.sqrt(2 / np.pi), rel=0.02)


def test_one_face_has_an_offset_and_no_error_beside_it() -> None:
    told = split(np.full((1, 9, 2), 0.1), np.array([contour_normals(CIRCLE, RING)]), range(8))
    assert np.isnan([told.total, told.across, told.along]).all()


def test_corners_and_ends_have_no_direction_across() -> None:
    face = np.zeros((68, 2))
    face[36:42] = [[0, 0], [10, -5], [20, -5], [30, 0], [20, 5], [10, 5]]
    face[42:48] = face[36:42] + np.array([60, 0])
    face[0:17] = np.stack([np.linspace(-20, 110, 17), np.full(17, 80.0)], 1)
    face[17:36] += np.stack([np.linspace(0, 60, 19), np.linspace(20, 50, 19)], 1)
    face[48:68] = np.stack([40 + 15 * np.cos(np.arange(20)), 60 + 5 * np.sin(np.arange(20))], 1)
    normals = contour_normals(face, IBUG)
    assert np.isnan(normals[[36, 39, 0, 16], 0]).all()
    assert np.abs(normals[8]) == pytest.approx([0, 1])


def test_nothing_measured_is_nan() -> None:
    none = np.empty((0, 9, 2))
    assert np.isnan(split(none, none, [0, 1]).total)


def test_what_is_unknown_counts_nowhere() -> None:
    rng = np.random.default_rng(3)
    offsets = rng.normal(0, 0.1, (6, 9, 2))
    normals = np.array([contour_normals(CIRCLE, RING)] * 6)
    whole = split(offsets, normals, range(5))
    offsets[:, 5:] = np.nan
    assert vars(split(offsets, normals, range(9))) == pytest.approx(vars(whole))
    partial = CIRCLE.copy()
    partial[2] = np.nan
    known = ~np.isnan(contour_normals(partial, RING)[:, 0])
    assert np.flatnonzero(~known).tolist() == [1, 2, 3, 8]
