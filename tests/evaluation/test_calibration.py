import numpy as np
import pytest

from hrlm.evaluation.calibration import LEVELS, calibrate

FACES = np.full(400, 100.0)


def drawn(stated: np.ndarray, factor: float) -> np.ndarray:
    """Errors of a true deviation `factor` times the stated one."""
    offsets = np.random.default_rng(0).normal(size=(*stated.shape, 2)) * factor * stated[..., None]
    return np.linalg.norm(offsets, axis=-1)


def test_true_deviations_are_calibrated() -> None:
    stated = np.random.default_rng(1).uniform(0.5, 5, (400, 68))
    c = calibrate(drawn(stated, 1), stated, FACES)
    assert c is not None
    assert c.landmarks == 400 * 68
    assert c.expected_error < 0.01
    assert c.coverage == pytest.approx(LEVELS, abs=0.01)
    assert c.real == pytest.approx(c.stated, rel=0.05)
    assert c.stated == sorted(c.stated)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_deviations_that_are_too_large_or_small_show(factor: float) -> None:
    stated = np.full((400, 68), 2.0)
    c = calibrate(drawn(stated, factor), stated, FACES)
    assert c is not None
    # an error within the stated region of confidence p: 1 - (1 - p) ** (1 / factor²)
    expected = 1 - (1 - LEVELS) ** factor**-2
    assert c.coverage == pytest.approx(expected, abs=0.01)
    assert c.expected_error == pytest.approx(np.abs(expected - LEVELS).mean(), abs=0.01)
    assert c.stated == pytest.approx([0.02] * 10)
    assert np.mean(c.real) == pytest.approx(0.02 * factor, rel=0.02)


def test_what_is_unknown_is_left_out() -> None:
    stated = np.array([[1.0, np.nan, 2.0, 0.0]])
    c = calibrate(np.array([[1.0, 1.0, np.nan, 1.0]]), stated, np.array([10.0]))
    assert c is not None
    assert (c.landmarks, c.stated, c.real) == (1, [0.1], [pytest.approx(0.1 / 2**0.5)])
    assert calibrate(np.ones((1, 4)), np.full((1, 4), np.nan), np.array([10.0])) is None
