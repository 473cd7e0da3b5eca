import dataclasses

import numpy as np
import pytest

from hrlm.anatomy import along, face_lines, smooth
from hrlm.errors import SchemeError
from hrlm.schemes import builtin_schemes, load_scheme, parse_scheme

OWN = "name: mine\nlandmarks: [a, b, c]\nregions: {all: {landmarks: [0-2]}}\nnormaliser: [0, 1]\n"


@pytest.mark.parametrize("name", builtin_schemes())
def test_lines_of_built_in_schemes_mirror_each_other_and_share_their_corners(name: str) -> None:
    scheme = load_scheme(name)
    lines = face_lines(scheme)
    for side in ("right", "left"):
        upper, lower = lines[f"lid_upper_{side}"], lines[f"lid_lower_{side}"]
        middle = [scheme.landmarks[i] for i in (upper[0], lower[0])]
        assert all(side in landmark for landmark in middle)
        assert len(upper) == len(lower)
    for line in ("lid_upper", "lid_lower", "brow"):
        mirrored = [scheme.mirror[i] for i in lines[f"{line}_right"]]
        assert sorted(mirrored) == sorted(lines[f"{line}_left"])
    assert [scheme.mirror[i] for i in lines["lid_upper_right"]] == list(lines["lid_upper_left"])
    for line in ("jaw", "nose_base", "lip_upper_outer", "lip_lower_outer", "lip_upper_inner", "lip_lower_inner"):
        assert [scheme.mirror[i] for i in lines[line]] == list(lines[line])[::-1]


def test_weights_from_before_lines_get_those_of_the_built_in_scheme() -> None:
    scheme = load_scheme("ibug68")
    head, _, rest = scheme.source.partition("lines:\n")
    old = dataclasses.replace(scheme, source=head + "regions:" + rest.partition("regions:")[2])
    assert "lip_upper_outer:" not in old.source
    assert face_lines(old) == face_lines(scheme)


def test_lines_of_ones_own() -> None:
    assert face_lines(parse_scheme(OWN)) == {}
    assert face_lines(parse_scheme(OWN + "lines: {jaw: [2, 0]}"))["jaw"] == (2, 0)
    for wrong in ("lines: [1]", "lines: {jaw: 1}", "lines: {jaw: [3]}", "lines: {jaw: [x]}", "lines: {jaw: []}"):
        with pytest.raises(SchemeError, match="mine"):
            face_lines(parse_scheme(OWN + wrong))


def test_smooth_curves_go_through_their_points_and_follow_a_circle() -> None:
    turn = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    ring = np.stack([np.cos(turn), np.sin(turn)], 1)
    closed = smooth(ring, closed=True)
    np.testing.assert_allclose(closed[::16], np.concatenate([ring, ring[:1]]), atol=1e-12)
    assert np.abs(np.hypot(*closed.T) - 1).max() < 0.002
    arc = smooth(ring[:5])
    np.testing.assert_allclose(arc[::16], ring[:5], atol=1e-12)


def test_smooth_takes_short_and_doubled_lines() -> None:
    two = np.array([[0.0, 0.0], [2.0, 1.0]])
    np.testing.assert_allclose(smooth(two), two)
    doubled = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    curve = smooth(doubled)
    assert np.isfinite(curve).all()
    assert np.abs(curve[:, 1]).max() < 1e-9
    assert np.isfinite(smooth(np.zeros((6, 2)), closed=True)).all()


def test_along_counts_in_landmarks() -> None:
    line = np.array([[0.0, 0.0], [1.0, 0.0], [4.0, 0.0]])
    assert along(line, 0.5).tolist() == [1, 0]
    assert along(line, 0.75).tolist() == [2.5, 0]
    assert along(line, 1.0).tolist() == [4, 0]
    np.testing.assert_allclose(along(np.stack([line, 2 * line]), 0.25), [[0.5, 0], [1, 0]])
