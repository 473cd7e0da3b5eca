from typing import Any

import numpy as np
import pytest

from hrlm.results import Face

GOOD: dict[str, Any] = {
    "landmarks": np.arange(6.0).reshape(3, 2),
    "deviation": np.ones(3),
    "box": (1.0, 2.0, 30.0, 40.0),
    "score": 0.9,
    "covariance": np.tile(np.eye(2), (3, 1, 1)),
}


def test_a_sound_face() -> None:
    face = Face(**GOOD)
    assert face.area == 1200
    assert face.flags == ()
    assert face.visibility == {}
    assert Face(**GOOD, visibility={0: True, 2: False}).visibility == {0: True, 2: False}
    assert Face(**GOOD | {"covariance": None}).covariance is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"landmarks": np.zeros((3, 3))}, r"landmarks must be \(N, 2\)"),
        ({"landmarks": np.zeros((0, 2)), "deviation": np.zeros(0)}, r"landmarks must be \(N, 2\)"),
        ({"deviation": np.ones(4)}, r"deviation must be \(3,\)"),
        ({"deviation": np.ones((3, 1))}, r"deviation must be \(3,\)"),
        ({"covariance": np.ones((3, 2))}, r"covariance must be \(3, 2, 2\)"),
        ({"visibility": {3: True}}, "landmarks, 0 to 2"),
        ({"visibility": {-1: False}}, "landmarks, 0 to 2"),
        ({"box": (1.0, 2.0, 3.0)}, "x, y, width, height"),
        ({"box": (1.0, float("nan"), 3.0, 4.0)}, "finite"),
        ({"landmarks": np.array([[0, 0], [1, np.inf], [2, 2]])}, "finite"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Face(**GOOD | change)
