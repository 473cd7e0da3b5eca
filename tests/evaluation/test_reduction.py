import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrlm.evaluation.reduction import reduced
from hrlm.photos import Photo


@settings(max_examples=40, deadline=None)
@given(st.integers(200, 320), st.integers(200, 320), st.floats(30, 90))
def test_reduced_points_lie_on_what_they_lay_on(width: int, height: int, face: float) -> None:
    # brightness falls off linearly around the landmarks' middle, so its centre of mass moves with them
    middle = np.array([width * 0.4, height * 0.55])
    y, x = np.mgrid[:height, :width]
    bump = np.clip(80 - np.hypot(x - middle[0], y - middle[1]), 0, None) * 3
    photo = Photo.from_array(np.repeat(bump.astype(np.uint8)[..., None], 3, axis=2))
    points = middle + np.array([[-50.0, 0.0], [50.0, 0.0], [0.0, 0.0]])
    small, moved = reduced(photo, points, 100, face)
    mass = small.pixels[..., 0].astype(float)
    y, x = np.mgrid[: small.height, : small.width]
    centre = np.array([(mass * x).sum(), (mass * y).sum()]) / mass.sum()
    assert np.abs(centre - moved[2]).max() < 0.1
    assert np.ptp(moved[:, 0]) == pytest.approx(face, rel=0.5 / (width * face / 100) + 1e-9)


def test_a_face_is_never_enlarged() -> None:
    photo = Photo.from_array(np.zeros((20, 20, 3), np.uint8))
    with pytest.raises(ValueError, match="only 8 pixels wide"):
        reduced(photo, np.array([[2.0, 2.0], [10.0, 4.0]]), 8, 9)
