import numpy as np
import pytest

from hrlm.schemes import load_scheme
from hrlm.training.conventions import fit_convention, mean_move

SCHEME = load_scheme("ibug68")


def faces(count: int, seed: int) -> list[np.ndarray]:
    """Turned, scaled and varied faces of 68 points."""
    rng = np.random.default_rng(seed)
    mean = np.random.default_rng(99).uniform(-50, 50, (68, 2))
    mean[36], mean[45] = [-40, 0], [40, 0]
    widening = np.zeros((68, 2))
    widening[48:68] = np.random.default_rng(98).normal(0, 10, (20, 2))
    made = []
    for _ in range(count):
        angle, scale = rng.normal(0, 0.4), np.exp(rng.normal(0, 0.5))
        c, s = np.cos(angle), np.sin(angle)
        shape = mean + widening * rng.normal() + rng.normal(0, 0.3, (68, 2))
        made.append(shape @ np.array([[c, s], [-s, c]]) * scale + rng.uniform(0, 500, 2))
    return made


def relabelled(points: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """The face as another labeller sees it: moved by `offset` `(68, 2)` of the eye distance in the face's own frame."""
    return points + offset @ np.linalg.inv(SCHEME.face_frame(points))


def test_a_constant_offset_is_found_through_noise_and_lost_faces() -> None:
    offset = np.random.default_rng(0).normal(0, 0.03, (68, 2))
    labelled = faces(150, 1)
    rng = np.random.default_rng(2)
    predicted = [relabelled(p, offset + rng.normal(0, 0.01, (68, 2))) for p in labelled]
    predicted[3] = predicted[3] + 1e4
    convention = fit_convention(predicted, labelled, SCHEME)
    assert convention.offsets[0] == pytest.approx(offset, abs=0.006)
    for points in faces(5, 3):
        assert (convention.apply(points) - relabelled(points, offset)) @ SCHEME.face_frame(points) == pytest.approx(
            np.zeros((68, 2)), abs=0.012
        )


def test_an_offset_that_follows_the_expression_is_followed() -> None:
    """The offset of the mouth grows with how wide it is."""
    direction = np.zeros((68, 2))
    direction[48:68, 1] = 0.01

    def other(points: np.ndarray) -> np.ndarray:
        shape = points @ SCHEME.face_frame(points)
        return relabelled(points, direction * np.linalg.norm(shape[54] - shape[48]))

    labelled = faces(200, 4)
    convention = fit_convention([other(p) for p in labelled], labelled, SCHEME)
    fresh = faces(30, 5)
    left = np.array([np.abs((convention.apply(p) - other(p)) @ SCHEME.face_frame(p)).max() for p in fresh])
    constant = np.array([np.abs((other(p) - p) @ SCHEME.face_frame(p) - convention.offsets[0]).max() for p in fresh])
    assert left.mean() < 0.4 * constant.mean()


def test_equal_conventions_stay() -> None:
    labelled = faces(20, 6)
    convention = fit_convention(labelled, labelled, SCHEME)
    for points in faces(3, 7):
        assert convention.apply(points) == pytest.approx(points, abs=1e-6)


def test_landmarks_that_were_not_labelled_tell_nothing() -> None:
    offset = np.random.default_rng(8).normal(0, 0.03, (68, 2))
    labelled = faces(60, 9)
    predicted = [relabelled(p, offset) for p in labelled]
    visible = []
    for i, face in enumerate(labelled):
        seen = np.ones(68, bool)
        # nobody labelled landmark 5, every other face lacks landmark 6: their places are made up
        seen[5], seen[6] = False, i % 2 == 0
        face[5] += 40
        face[6] += 0 if seen[6] else 40
        visible.append(seen)
    convention = fit_convention(predicted, labelled, SCHEME, visible)
    assert (convention.offsets[:, 5] == 0).all()
    others = [i for i in range(68) if i != 5]
    assert convention.offsets[0][others] == pytest.approx(offset[others], abs=0.006)


def test_how_far_a_model_has_moved_is_told_in_the_faces_frame() -> None:
    rng = np.random.default_rng(3)
    move = rng.normal(0, 0.02, (68, 2))
    before, after = [], []
    for _ in range(9):
        turn, size = rng.uniform(-1, 1), rng.uniform(50, 400)
        c, s = np.cos(turn), np.sin(turn)
        points = np.asarray(SCHEME.shape) @ np.array([[c, s], [-s, c]]) * size + rng.uniform(100, 900, 2)
        before.append(points)
        after.append(points + move @ np.linalg.inv(SCHEME.face_frame(points)))
    # one face that went elsewhere altogether
    after[4] = after[4] + 300
    np.testing.assert_allclose(mean_move(before, after, SCHEME), move, atol=1e-9)
