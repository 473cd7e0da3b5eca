import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hrlm.evaluation.metrics import auc, box_diagonal, ced, failure_rate, inter_pupil, mean, nme, point_errors
from hrlm.schemes import Scheme, load_scheme, parse_scheme

SCHEME = parse_scheme(
    "name: four\nlandmarks: [a, b, c, d]\nnormaliser: [0, 1]\nregions: {whole: {landmarks: [0-3]}}\n"
    "subsets: {pair: [0-1], last: [3]}\n"
)
# a normaliser of 10 px, and landmarks off by 0, 1, 2 and 5 px
TRUTH = np.array([[0.0, 0.0], [6.0, 8.0], [20.0, 0.0], [0.0, 30.0]])
PREDICTED = TRUTH + np.array([[0, 0], [0, 1], [-2, 0], [3, -4]])

errors_of_faces = arrays(float, st.integers(1, 30), elements=st.floats(0, 0.5) | st.just(math.inf))


def test_errors_are_distances_over_the_normaliser() -> None:
    assert point_errors(PREDICTED, TRUTH, SCHEME) == pytest.approx([0, 0.1, 0.2, 0.5])


@pytest.mark.parametrize(("subset", "expected"), [(None, 0.2), ("pair", 0.05), ("last", 0.5), ([1, 2], 0.15)])
def test_nme_is_the_mean_over_the_subset(subset: str | list[int] | None, expected: float) -> None:
    assert nme(PREDICTED, TRUTH, SCHEME, subset) == pytest.approx(expected)


def test_nme_takes_batches_of_any_depth() -> None:
    predicted = np.stack([PREDICTED, TRUTH])[None]
    assert nme(predicted, np.stack([TRUTH, TRUTH])[None], SCHEME) == pytest.approx(np.array([[0.2, 0.0]]))


def test_an_unknown_subset_is_refused() -> None:
    with pytest.raises(KeyError):
        nme(PREDICTED, TRUTH, SCHEME, "ears")


# the scheme is read within
@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 50), st.floats(-math.pi, math.pi))
def test_nme_does_not_depend_on_size_place_and_turn_of_the_face(seed: int, scale: float, angle: float) -> None:
    scheme: Scheme = load_scheme("ibug68")
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(68, 2))
    predicted = truth + rng.normal(scale=0.05, size=(68, 2))
    turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    moved = [points @ turn.T + [30, -7] for points in (predicted, truth)]
    assert nme(*moved, scheme) == pytest.approx(nme(predicted, truth, scheme))


def test_ced_counts_the_errors_up_to_each_limit() -> None:
    errors = np.array([0.02, 0.05, 0.05, math.inf])
    assert ced(errors, np.array([0.0, 0.02, 0.049, 0.05, 1.0])).tolist() == [0, 0.25, 0.25, 0.75, 0.75]


def test_auc_of_known_distributions() -> None:
    assert auc(np.array([0.0]), 0.08) == 1
    assert auc(np.array([0.04]), 0.08) == pytest.approx(0.5)
    assert auc(np.array([0.08, 0.5, math.inf]), 0.08) == 0
    assert auc(np.array([0.0, 0.06, math.inf, 0.02]), 0.08) == pytest.approx((1 + 0.25 + 0 + 0.75) / 4)


@given(errors_of_faces)
def test_auc_is_the_area_under_the_ced(errors: np.ndarray) -> None:
    limits = (np.arange(20_000) + 0.5) * 0.08 / 20_000
    assert auc(errors, 0.08) == pytest.approx(ced(errors, limits).mean(), abs=1e-4)


@given(errors_of_faces, st.floats(0.001, 0.5))
def test_failures_are_what_the_ced_leaves(errors: np.ndarray, limit: float) -> None:
    assert failure_rate(errors, limit) == pytest.approx(1 - ced(errors, np.array([limit]))[0])


def test_an_error_at_the_limit_is_no_failure() -> None:
    assert failure_rate(np.array([0.08, 0.0800001, 0.01, math.inf]), 0.08) == 0.5


def test_no_faces_give_no_figures() -> None:
    none = np.empty(0)
    assert math.isnan(auc(none, 0.08))
    assert math.isnan(failure_rate(none, 0.08))
    assert np.isnan(ced(none, np.array([0.1, 0.2]))).all()


def test_the_pupils_are_the_middles_of_the_eyes() -> None:
    scheme = load_scheme("ibug68")
    face = np.zeros((68, 2))
    face[36:42] = np.array([[0, 0], [1, -1], [2, -1], [3, 0], [2, 1], [1, 1]])
    face[42:48] = face[36:42] + np.array([30, 40])
    assert inter_pupil(face, scheme) == pytest.approx(50)
    face[40] = np.nan
    assert math.isnan(inter_pupil(face, scheme))
    # a scheme without eye contours
    assert np.isnan(inter_pupil(np.zeros((3, 4, 2)), SCHEME)).tolist() == [True] * 3


def test_the_box_diagonal() -> None:
    assert box_diagonal(np.array([[1.0, 1.0], [4.0, 2.0], [2.0, 5.0]])) == 5
    assert math.isnan(box_diagonal(np.array([[1.0, 1.0], [np.nan, np.nan]])))


def test_landmarks_without_truth_do_not_count() -> None:
    partial = TRUTH.copy()
    partial[3] = np.nan
    assert nme(PREDICTED, partial, SCHEME) == pytest.approx(0.1)
    assert np.isnan(nme(PREDICTED, partial, SCHEME, "last"))
    assert np.isnan(mean(np.empty(0)))
