import numpy as np
import pytest

from hrlm.synthetic.look import darkness, draw_look


def test_a_key_gives_one_look_and_others_others() -> None:
    a, b, c = draw_look((3, 1), 60), draw_look((3, 1), 60), draw_look((3, 2), 60)
    assert (a.shot, a.skin, a.eyes, a.hair, a.worn, a.studio) == (b.shot, b.skin, b.eyes, b.hair, b.worn, b.studio)
    assert a.shot != c.shot
    assert a.skin != c.skin


@pytest.mark.parametrize("number", range(12))
def test_the_head_is_in_the_picture_at_any_size(number: int) -> None:
    look = draw_look((4, number), 60)
    small, large = look.camera(512), look.camera(4096)
    assert max(small.width, small.height) == 512
    assert max(large.width, large.height) == 4096
    face = np.array([[0, 12, 2.0], [0, -6, 8], [-7, 3, 4], [7, 3, 4]])
    pixels = small.project(face)
    assert (pixels > -0.05 * 512).all()
    assert (pixels < 1.05 * np.array([small.width, small.height])).all()
    height = np.ptp(pixels[:, 1])
    assert 0.25 * small.height < height < small.height
    scale = np.array([large.width / small.width, large.height / small.height])
    assert (pixels + 0.5) * scale - 0.5 == pytest.approx(large.project(face), rel=0.005, abs=2)


def test_many_looks_cover_what_people_are() -> None:
    looks = [draw_look((5, i), 60) for i in range(300)]
    dark = np.array([darkness(x.skin.tone) for x in looks])
    assert dark.min() < 0.15
    assert dark.max() > 0.75
    assert sum(x.worn.glasses is not None for x in looks) > 15
    assert sum(x.worn.hat is not None for x in looks) > 8
    assert len({x.hair.style for x in looks}) > 8
    assert not any(x.skin.lipstick and x.hair.beard != "none" for x in looks)
    assert sum(abs(x.shot.yaw) > np.radians(40) for x in looks) > 10
