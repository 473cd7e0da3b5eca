import numpy as np
import pytest

from hrlm.results import Face
from hrlm.runs.review import FLAG_WEIGHT, concern
from hrlm.schemes import load_scheme

SCHEME = load_scheme("ibug68")


def face(deviation: float, flags: tuple[str, ...] = ()) -> Face:
    points = np.random.default_rng(0).uniform(0, 100, (68, 2))
    points[[36, 45]] = (20, 40), (80, 40)
    return Face(points, np.full(68, deviation), (0, 0, 100, 100), 0.9, flags)


def test_uncertain_landmarks_rank_by_their_share_of_the_inter_ocular_distance() -> None:
    assert concern(face(0.6), SCHEME) == pytest.approx(0.01)
    assert concern(face(3.0), SCHEME) > concern(face(0.6), SCHEME)


def test_each_flag_adds_its_weight() -> None:
    assert concern(face(0.6, ("cut", "small")), SCHEME) == pytest.approx(0.01 + 2 * FLAG_WEIGHT)


def test_unknown_deviations_count_as_no_doubt() -> None:
    assert concern(face(float("nan")), SCHEME) == 0.0
