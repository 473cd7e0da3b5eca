import numpy as np
import pytest

from hrlm.schemes import load_scheme
from hrlm.synthetic import truth
from hrlm.synthetic.camera import Camera, orbit
from hrlm.synthetic.dense import SCHEME, dense_lines
from hrlm.synthetic.eyes import draw_eyes
from hrlm.synthetic.head import HeadModel
from hrlm.synthetic.truth import Surface


@pytest.fixture(scope="module")
def lines(head: HeadModel) -> dict[str, np.ndarray]:
    edges = np.array([(a, b) for a, others in head.neighbours.items() for b in others if a < b])
    vertices = head.neutral.astype(np.float64)
    surface = Surface(vertices, truth.front_segments(vertices, edges, truth.front_of_face(head)))
    camera = Camera(*orbit(np.array([0, 3.0, 3]), 0, 0, 0, 120.0), 85.0, 1000, 1000)
    return dense_lines(head, surface, vertices, draw_eyes(np.random.default_rng(0)), camera)


def test_the_scheme_names_every_point_in_order(lines: dict[str, np.ndarray]) -> None:
    names = [name if len(p) == 1 else f"{name}_{i:02d}" for name, p in lines.items() for i in range(len(p))]
    assert tuple(names) == load_scheme(SCHEME).landmarks


def test_the_scheme_pairs_twins(lines: dict[str, np.ndarray]) -> None:
    """Frontal and symmetric: a mirrored picture's landmarks are the twins' own."""
    points = np.concatenate(list(lines.values()))
    scheme = load_scheme(SCHEME)
    flipped = points[list(scheme.mirror)] * [-1, 1] + [999, 0]
    assert np.linalg.norm(points - flipped, axis=1).max() < 0.01 * scheme.inter_ocular(points)


def test_irises_lie_between_the_corners_around_their_pupils(lines: dict[str, np.ndarray]) -> None:
    for side in ("right", "left"):
        lid = lines[f"lid_upper_{side}"]
        ring, pupil = lines[f"limbus_{side}"], lines[f"pupil_{side}"][0]
        assert lid[:, 0].min() < ring[:, 0].min() < ring[:, 0].max() < lid[:, 0].max()
        assert ring.mean(0) == pytest.approx(pupil, abs=1.5)
        inner = np.linalg.norm(lines[f"pupil_edge_{side}"] - pupil, axis=1)
        assert inner.max() < np.linalg.norm(ring - pupil, axis=1).min()
