import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrlm.review.fitting import fit_rest, mean_shape, shape_in_box

SHAPE = np.random.default_rng(1).uniform(0, 200, (30, 2))


def similar(points: np.ndarray, angle: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return points @ np.array([[c, s], [-s, c]]) + shift


@given(
    st.floats(-3, 3),
    st.floats(0.3, 3),
    st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
    st.sets(st.integers(0, 29), min_size=2, max_size=12),
)
def test_a_similarity_of_some_is_a_similarity_of_all(
    angle: float, scale: float, shift: tuple[float, float], chosen: set[int]
) -> None:
    wanted = similar(SHAPE, angle, scale, shift)
    placed = sorted(chosen)
    assert fit_rest(SHAPE, placed, wanted[placed]) == pytest.approx(wanted, abs=1e-6)


def test_placed_landmarks_stay_and_the_rest_bends_smoothly() -> None:
    placed = list(range(0, 30, 3))
    places = SHAPE[placed] + np.random.default_rng(2).normal(0, 6, (10, 2))
    fitted = fit_rest(SHAPE, placed, places)
    assert fitted[placed] == pytest.approx(places, abs=1e-9)
    # nothing is thrown further than it was pulled
    assert np.abs(fitted - SHAPE).max() < 3 * np.abs(places - SHAPE[placed]).max()


def test_a_neighbour_feels_a_move_more_than_a_far_landmark() -> None:
    line = np.stack([np.linspace(0, 100, 11), np.zeros(11)], 1)
    placed = [0, 4, 10]
    places = line[placed] + np.array([[0, 0], [0, 8], [0, 0]])
    moved = (fit_rest(line, placed, places) - line)[:, 1]
    assert moved[3] > moved[1] > 0
    assert moved[4] == pytest.approx(8)


def test_one_landmark_takes_the_face_along() -> None:
    assert fit_rest(SHAPE, [4], SHAPE[[4]] + 3.0) == pytest.approx(SHAPE + 3.0)


def test_landmarks_at_one_place_do_no_harm() -> None:
    twins = SHAPE.copy()
    twins[1] = twins[0]
    fitted = fit_rest(twins, [0, 1, 5], twins[[0, 1, 5]] + np.array([[1, 0], [3, 0], [0, 0]]))
    assert np.isfinite(fitted).all()


@pytest.mark.parametrize(("placed", "count"), [([], 0), ([1, 1], 2), ([1, 2], 1)])
def test_nonsense_is_refused(placed: list[int], count: int) -> None:
    with pytest.raises(ValueError, match="at least one landmark"):
        fit_rest(SHAPE, placed, np.zeros((count, 2)))


def test_the_mean_shape_fills_its_box() -> None:
    mean = mean_shape([SHAPE, SHAPE * 3 + 50])
    assert mean.min() == pytest.approx(0)
    assert mean.max() == pytest.approx(1)
    placed = shape_in_box(mean, (10.0, 20.0, 100.0, 400.0))
    assert np.ptp(placed, axis=0).max() == pytest.approx(100, rel=0.05)
    assert (placed.min(0) + placed.max(0)) / 2 == pytest.approx([60, 220])
    with pytest.raises(ValueError, match="no faces"):
        mean_shape([])
