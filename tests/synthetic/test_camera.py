import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrlm.synthetic.camera import Camera, orbit

angle = st.floats(-1.2, 1.2)


def camera(yaw: float = 0, pitch: float = 0, roll: float = 0) -> Camera:
    return Camera(*orbit(np.zeros(3), yaw, pitch, roll, 100.0), 85.0, 400, 300)


@given(angle, angle, angle)
def test_the_target_is_in_the_middle_at_the_distance(yaw: float, pitch: float, roll: float) -> None:
    taken = camera(yaw, pitch, roll)
    assert taken.project(np.zeros(3)) == pytest.approx([199.5, 149.5])
    assert taken.depth(np.zeros(3)) == pytest.approx(100)
    assert taken.rotation @ taken.rotation.T == pytest.approx(np.eye(3))
    assert np.linalg.det(taken.rotation) == pytest.approx(1)


def test_the_subjects_left_is_right_in_the_picture_and_up_is_up() -> None:
    left, up = camera().project(np.array([[5.0, 0, 0], [0, 5.0, 0]]))
    assert left[0] > 199.5
    assert up[1] < 149.5
    # a centimetre at the target: focal length in pixels over the distance
    assert left[0] - 199.5 == pytest.approx(5 * 85 / 36 * 400 / 100)


def test_yaw_shows_the_left_side_pitch_the_top_and_roll_leans_clockwise() -> None:
    ear, crown, nose = np.array([7.0, 0, 0]), np.array([0, 10.0, 0]), np.array([0, 0, 10.0])
    assert camera(yaw=0.5).depth(ear) < camera().depth(ear)
    assert camera(yaw=0.5).project(nose)[0] < 199.5
    assert camera(pitch=0.3).depth(crown) < camera().depth(crown)
    assert camera(roll=0.2).project(crown)[0] > 199.5
