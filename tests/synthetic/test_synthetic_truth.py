import numpy as np
import pytest

from hrlm.schemes import load_scheme
from hrlm.synthetic import truth
from hrlm.synthetic.camera import Camera, orbit
from hrlm.synthetic.head import HeadModel
from hrlm.synthetic.truth import Surface


@pytest.fixture(scope="module")
def surface(head: HeadModel) -> Surface:
    """The neutral head without subdivision."""
    edges = np.array([(a, b) for a, others in head.neighbours.items() for b in others if a < b])
    vertices = head.neutral.astype(np.float64)
    return Surface(vertices, truth.front_segments(vertices, edges, truth.front_of_face(head)))


def camera(yaw: float, pitch: float = 0, roll: float = 0) -> Camera:
    return Camera(*orbit(np.array([0, 3.0, 3.0]), *np.radians([yaw, pitch, roll]), 120.0), 85.0, 1000, 1000)


def test_the_front_of_the_face_ends_at_jaw_and_forehead(head: HeadModel) -> None:
    inside = truth.front_of_face(head) > 0
    marks = head.landmarks
    assert inside[marks[[27, 30, 33, 48, 51, 54, 57, 36, 45]]].all()
    crown = int(head.neutral[:, 1].argmax())
    neck = int(head.vertices_of("M_Face")[head.neutral[head.vertices_of("M_Face"), 1].argmin()])
    assert not inside[[crown, neck]].any()
    assert 0.2 < inside.sum() / len(head.vertices_of("M_Face")) < 0.8


def test_a_frontal_jaw_is_its_edge_and_the_chins_outline(head: HeadModel, surface: Surface) -> None:
    pixels, points = truth.jaw_outline(head, surface, camera(0))
    edge = camera(0).project(surface.vertices[head.jaw_line])
    ocular = np.linalg.norm(np.subtract(*camera(0).project(surface.vertices[head.landmarks[[36, 45]]])))
    moved = (pixels[::2] - edge) / ocular
    assert np.linalg.norm(moved[[0, 1, 2, 3, 4, 12, 13, 14, 15, 16]], axis=1).max() < 0.02
    # the chin's skin bends on below the jaw's line before it turns away
    assert (moved[6:11, 1] > 0.01).all()
    assert moved[:, 1].max() < 0.08
    assert camera(0).project(points) == pytest.approx(pixels, abs=0.3)


def test_from_above_the_chin_hides_what_is_below_it(head: HeadModel, surface: Surface) -> None:
    """The steeper a camera looks down, the less of the skin below the jaw's line it sees."""
    below = []
    for pitch in (0.0, 15.0, 35.0):
        view = camera(0, pitch)
        pixels, _ = truth.jaw_outline(head, surface, view)
        below.append(pixels[16, 1] - view.project(surface.vertices[head.jaw_line[8]])[1])
    assert below[0] > below[1] > below[2] >= -0.01


@pytest.mark.parametrize("yaw", [25.0, 45.0])
def test_the_far_jaw_of_a_turned_head_is_its_outline(head: HeadModel, surface: Surface, yaw: float) -> None:
    """Looking at the subject's left side, the right cheek hides the right jaw; its outline stands for it."""
    view = camera(yaw)
    pixels, _ = truth.jaw_outline(head, surface, view)
    edge = view.project(surface.vertices[head.jaw_line])
    # the far side's points moved outwards, to the left in the picture, the near side's stayed
    assert (pixels[0:8:2, 0] < edge[:4, 0] - 3).all()
    assert np.abs(pixels[26::2] - edge[13:]).max() < 2
    # nothing of the front of the face lies further out at the same height
    ends = view.project(surface.segments)
    for x, y in pixels[2:8]:
        a, b = ends[:, 0], ends[:, 1]
        across = (a[:, 1] < y) != (b[:, 1] < y)
        t = (y - a[across, 1]) / (b[across, 1] - a[across, 1])
        assert (a[across, 0] * (1 - t) + b[across, 0] * t).min() > x - 1.5


def test_mirrored_views_give_mirrored_landmarks(head: HeadModel, surface: Surface) -> None:
    left, _ = truth.landmarks(head, surface, camera(30))
    right, _ = truth.landmarks(head, surface, camera(-30))
    flipped = right[list(load_scheme("ibug68").mirror)] * [-1, 1] + [999, 0]
    ocular = np.linalg.norm(left[36] - left[45])
    assert np.linalg.norm(left - flipped, axis=1).max() < 0.03 * ocular


def shut(head: HeadModel, amount: float) -> np.ndarray:
    """Vertices of the head with both eyes shut by so much of the expression's way, without subdivision."""
    return head.shape(np.zeros(len(head.identity)), {"eyeBlink_L": amount, "eyeBlink_R": amount})


@pytest.mark.parametrize(("yaw", "roll"), [(0.0, 0.0), (20.0, 100.0)])
def test_the_lower_lid_of_an_eye_that_is_shut_lies_on_the_upper_ones_edge(
    head: HeadModel, surface: Surface, yaw: float, roll: float
) -> None:
    view = camera(yaw, 0, roll)
    tight = Surface(shut(head, 1.4), surface.segments)
    bare = view.project(tight.vertices[head.landmarks])
    points, points_3d = truth.landmarks(head, tight, view)
    assert view.project(points_3d[17:]) == pytest.approx(points[17:])
    # in units of the inter-ocular distance
    frame = load_scheme("ibug68").face_frame(bare)
    down, before = points @ frame[:, 1], bare @ frame[:, 1]
    for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
        # they had passed each other, and now meet
        assert before[lower] < before[upper] - 0.01
        assert down[lower] > before[lower] + 0.01
        assert abs(down[lower] - down[upper]) < 0.02
    others = [i for i in range(17, 68) if i not in (40, 41, 46, 47)]
    assert points[others] == pytest.approx(bare[others])


def test_an_open_eye_stays_as_it_is(head: HeadModel, surface: Surface) -> None:
    points, _ = truth.landmarks(head, surface, camera(15))
    assert points[36:48] == pytest.approx(camera(15).project(surface.vertices[head.landmarks[36:48]]))


def test_contours_run_through_the_landmarks(head: HeadModel, surface: Surface) -> None:
    found = truth.contours(head, surface)
    marks = surface.vertices[head.landmarks]
    for name, (numbers, count) in {**truth.LIDS, **truth.LIPS, **truth.BROWS}.items():
        line = found[name]
        assert len(line) == count
        assert line[[0, -1]] == pytest.approx(marks[[numbers[0], numbers[-1]]], abs=2e-3), name
        steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
        for number in numbers:
            # evenly spaced points pass a landmark at half a step at most
            assert np.linalg.norm(line - marks[number], axis=1).min() < 0.6 * steps.max(), (name, number)
        if name not in truth.BROWS:
            assert steps.max() < 1.3 * steps.min(), name


def test_twins_of_the_dense_truth_have_the_same_number(head: HeadModel, surface: Surface) -> None:
    found = truth.contours(head, surface)
    for name in ("lid_upper", "lid_lower", "brow"):
        flipped = found[f"{name}_left"] * [-1, 1, 1]
        assert np.linalg.norm(found[f"{name}_right"] - flipped, axis=1).max() < 0.05, name
    for name in ("lip_upper_outer", "lip_lower_outer", "lip_upper_inner"):
        assert np.linalg.norm(found[name] - found[name][::-1] * [-1, 1, 1], axis=1).max() < 0.05, name


def test_hair_before_a_point_covers_it_and_hair_behind_does_not() -> None:
    view = camera(0)
    points = np.array([[0.0, 3, 9], [5.0, 3, 9]])
    rows = np.linspace(-0.15, 0.15, 25)
    curtain = np.array([[[x, 3 + y, 10.0] for y in np.linspace(-0.3, 0.3, 30)] for x in rows])
    radius = np.full(curtain.shape[:2], 0.005)
    front = truth.covered_by_strands(points, [curtain], [radius], view)
    assert front[0] > 0.6
    assert front[1] == 0
    assert truth.covered_by_strands(points, [curtain - [0, 0, 5]], [radius], view).max() == 0
