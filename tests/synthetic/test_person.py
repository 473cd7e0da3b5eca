import numpy as np
import pytest

from hrlm.synthetic.person import MOST_DEVIATIONS, draw_expression, draw_person, draw_shot


def test_people_stay_within_what_faces_can_be_and_differ() -> None:
    people = [draw_person(np.random.default_rng(i), 60) for i in range(50)]
    assert all(np.abs(p.identity).max() <= MOST_DEVIATIONS for p in people)
    assert all(0 <= v <= 1 for p in people for v in p.expression.values())
    assert len({p.identity.tobytes() for p in people}) == 50
    assert np.std([p.age for p in people]) > 5


def test_a_seed_gives_the_same_person_and_shot() -> None:
    a, b = (draw_person(np.random.default_rng(3), 60) for _ in range(2))
    assert a.expression == b.expression
    assert (a.identity == b.identity).all()
    assert draw_shot(np.random.default_rng(3)) == draw_shot(np.random.default_rng(3))


def test_expressions_hold_closed_eyes_open_mouths_and_one_sided_ones() -> None:
    drawn = [draw_expression(np.random.default_rng(i)) for i in range(600)]
    blinks = [(e.get("eyeBlink_L", 0), e.get("eyeBlink_R", 0)) for e in drawn]
    assert sum(min(b) > 0.8 for b in blinks) > 5
    assert sum(max(b) > 0.7 and min(b) < 0.4 for b in blinks) > 5
    assert sum(e.get("jawOpen", 0) > 0.5 for e in drawn) > 10
    smiles = [(e.get("mouthSmile_L", 0), e.get("mouthSmile_R", 0)) for e in drawn]
    assert sum(max(s) > 0.3 and min(s) < 0.3 * max(s) for s in smiles) > 5


def test_shots_keep_to_the_largest_turn() -> None:
    yaws = np.degrees([draw_shot(np.random.default_rng(i), 20).yaw for i in range(200)])
    assert np.abs(yaws).max() <= 20
    wide = np.degrees([draw_shot(np.random.default_rng(i)).yaw for i in range(400)])
    assert np.abs(wide).max() == pytest.approx(60, abs=3)
