import numpy as np
import pytest

from hrlm.schemes import load_scheme
from hrlm.synthetic.camera import Camera, orbit
from hrlm.synthetic.views import NAMES, VIEWS, WHOLE, Window, window

CAMERA = Camera(*orbit(np.zeros(3), 0, 0, 0, 100.0), 50.0, 600, 800)


def face(middle: tuple[float, float] = (300, 300), size: float = 150) -> np.ndarray:
    return np.array(load_scheme("ibug68").shape) * size + middle


def test_the_whole_is_the_cameras_picture() -> None:
    assert window(WHOLE, face(), CAMERA) == Window(0, 0, 600, 800)
    assert set(NAMES) == {WHOLE, *VIEWS}


@pytest.mark.parametrize("view", list(VIEWS))
def test_a_view_shows_its_landmarks_with_room_around_them(view: str) -> None:
    points = face()
    shown, reach = VIEWS[view]
    part = window(view, points, CAMERA)
    inside = points[list(shown)] - part.corner
    assert inside.min() >= reach * 150 - 1e-6
    assert (np.array([part.width, part.height]) - 1 - inside >= reach * 150 - 1e-6).all()
    assert part.width * part.height < 600 * 800 / 3


def test_a_view_ends_where_the_picture_does() -> None:
    part = window("face", face((20, 760)), CAMERA)
    assert (part.left, part.top + part.height) == (0, 800)
    with pytest.raises(ValueError, match="does not show the mouth"):
        window("mouth", face((300, 5000)), CAMERA)
