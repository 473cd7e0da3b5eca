from collections.abc import Sequence

import numpy as np
import pytest

from hrlm.errors import HrlmError
from hrlm.evaluation.metrics import nme
from hrlm.render import comparison
from hrlm.render.comparison import OTHER_COLOUR, OWN_COLOUR, VECTOR_COLOUR, draw_comparison, match_faces
from hrlm.results import Face
from hrlm.schemes import load_scheme

SCHEME = load_scheme("ibug68")
PIXELS = np.full((500, 900, 3), 70, np.uint8)


def points(x: float = 0.0) -> np.ndarray:
    return np.random.default_rng(3).uniform(0, 1, (68, 2)) * (250, 300) + (100 + x, 120)


def as_face(landmarks: np.ndarray) -> Face:
    return Face(landmarks, np.ones(68), (0.0, 0.0, 300.0, 300.0), 1.0)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    texts: list[str] = []

    def note(pixels: np.ndarray, places: Sequence[tuple[float, float, str]], *_: object) -> None:
        texts.extend(text for _, _, text in places)

    monkeypatch.setattr(comparison, "write_text", note)
    return texts


def test_vectors_run_from_the_other_landmarks_to_the_own(written: list[str]) -> None:
    own, other = points(), points()
    other[30] += (120, 0)
    drawn = draw_comparison(PIXELS, [as_face(own)], [other], SCHEME)
    for place, colour in ((own[30], OWN_COLOUR), (other[30], OTHER_COLOUR), ((own[30] + other[30]) / 2, VECTOR_COLOUR)):
        x, y = np.round(place).astype(int)
        assert np.abs(drawn[y - 3 : y + 4, x - 3 : x + 4].astype(int) - colour).max(-1).min() < 12
    assert written == [f"NME {100 * float(nme(own, other, SCHEME)):.2f} %"]


def test_the_nme_stands_in_the_corner() -> None:
    drawn = draw_comparison(PIXELS, [as_face(points())], [points() + 3], SCHEME)
    corner = drawn[:40, :160]
    assert (corner == 255).all(-1).any()
    assert (corner == 0).all(-1).any()
    assert (drawn[-40:] == 70).all()


def test_faces_are_matched_by_place_and_the_missing_named(written: list[str]) -> None:
    left, right = points(), points(400)
    assert match_faces([left, right], [right + 2, left - 2]) == [(0, 1), (1, 0)]
    assert match_faces([left], [right, left]) == [(0, 1), (None, 0)]
    assert match_faces([left, left + 40], [left + 38]) == [(0, None), (1, 0)]
    draw_comparison(PIXELS, [as_face(left)], [right], SCHEME)
    assert written == ["face 1: nothing to compare with", "face 2: not in the results"]
    written.clear()
    draw_comparison(PIXELS, [], [], SCHEME)
    assert written == ["no face"]


def test_other_schemes_are_refused() -> None:
    with pytest.raises(HrlmError, match="are not 68"):
        draw_comparison(PIXELS, [as_face(points())], [points()[:5]], SCHEME)
