import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hrlm.geometry import rotation_matrix
from hrlm.models.native import (
    CELL,
    HALO,
    LARGEST_TILE,
    RECEPTIVE_FIELD,
    SAMPLED,
    STRIDE,
    NativeLevel,
    NativeNet,
    cell_positions,
    log_prior,
    window_reach,
)
from hrlm.schemes import load_scheme

SCHEME = load_scheme("ibug68")
UNIT, WIDTH, HEIGHT = 200.0, 480, 440


def level(scores: bool = True) -> NativeLevel:
    """Level 2 for eyes and mouth; with `scores`, one that has something to say."""
    torch.manual_seed(0)
    made = NativeLevel(SCHEME, range(36, 68), 16, UNIT).eval()
    if scores:
        torch.nn.init.normal_(made.net.score.weight, std=2.0)
    return made


def photo() -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)


def face(angle: float = 0.2, unit: float = UNIT) -> tuple[torch.Tensor, torch.Tensor]:
    """Landmarks of a rolled face, and priors of 1 % and 0.5 % across each other."""
    assert SCHEME.shape is not None
    shape = torch.tensor(SCHEME.shape, dtype=torch.float64) * unit
    turn = rotation_matrix(torch.tensor(angle, dtype=torch.float64))
    points = shape @ turn.T + torch.tensor([235.0, 165.0], dtype=torch.float64)
    axes = rotation_matrix(torch.tensor(0.5, dtype=torch.float64))
    covariance = axes @ torch.diag(torch.tensor([0.01, 0.005], dtype=torch.float64) ** 2 * unit**2) @ axes.T
    return points, covariance.repeat(len(points), 1, 1)


REFINED = level().refine(photo(), *face(), size=600)


def test_it_moves_the_landmarks_that_it_looks_at_and_no_others() -> None:
    moved = (REFINED[0] - face()[0]).norm(dim=-1)
    assert (moved[36:] > 0.01).all()
    assert moved[:36].abs().max() == 0
    assert (REFINED[1][:36] == face()[1][:36]).all()


@settings(max_examples=8, deadline=None)
@given(st.integers(29, 100), st.integers(-40, 40), st.integers(-40, 40))
def test_tiled_equals_untiled(cells: int, right: int, down: int) -> None:
    size = max(STRIDE * cells, 2 * HALO + 8 * STRIDE)
    points, covariance = level().refine(photo(), *face(), size=size, offset=(right, down))
    assert (points - REFINED[0]).abs().max() < 0.005
    assert (covariance - REFINED[1]).abs().max() < 0.02


@settings(max_examples=20, deadline=None)
@given(st.floats(0.004, 0.035), st.floats(0, 3))
def test_the_default_tiles_cover_every_window_with_few_pixels(deviation: float, angle: float) -> None:
    points, covariance = face(angle)
    for _, windows in level().windows(points, covariance * (deviation / 0.01) ** 2):
        size = windows.tile_size()
        assert size % STRIDE == 0
        assert 2 * HALO < size <= LARGEST_TILE
        middles = windows.tiles(size)
        # a grid that begins at a multiple of 4 pixels may cost 4 more
        assert len(middles) * (size - STRIDE) ** 2 <= len(windows.tiles(256)) * 256**2
        half, reach = size / 2 - HALO, window_reach(windows.covariance)
        for mean, far in zip(windows.mean, reach, strict=True):
            for corner in mean + far * torch.tensor([[-1.0, -1], [-1, 1], [1, -1], [1, 1]]):
                assert ((middles - corner).abs().amax(-1) <= half + 1e-3).any()


def test_a_prior_has_its_variance_in_its_window_and_tails_beyond_a_gaussians() -> None:
    covariance = torch.tensor([[[400.0, 120.0], [120.0, 225.0]]])
    at = torch.arange(-200, 201, 2, dtype=torch.float32)
    density = log_prior(at, at, torch.zeros(1, 2), covariance)[0]
    share = density.flatten().softmax(0).reshape(density.shape)
    x, y = at, at[:, None]
    spread = torch.tensor(
        [[(share * x * x).sum(), (share * x * y).sum()], [(share * x * y).sum(), (share * y * y).sum()]]
    )
    assert spread.numpy() == pytest.approx(covariance[0].numpy(), rel=0.1)
    # at four deviations a Gaussian would have lost 8
    middle = len(at) // 2
    far = log_prior(at, at, torch.zeros(1, 2), 400 * torch.eye(2)[None])[0]
    assert 5.5 < far[middle, middle] - far[middle, middle + 40] < 6.5
    assert far[middle, middle + 50] == -torch.inf


def test_a_network_that_says_nothing_leaves_the_prior() -> None:
    before, covariance = face()
    points, spread = level(scores=False).refine(photo(), before, covariance)
    assert (points - before).norm(dim=-1).max() < 0.1
    # as wide as the prior, and as the cells that it was sampled at
    variance = spread[36:].diagonal(dim1=-2, dim2=-1).sum(-1)
    assert variance == pytest.approx(covariance[36:].diagonal(dim1=-2, dim2=-1).sum(-1) + 2 * (SAMPLED + CELL), rel=0.1)


def test_a_mirrored_photo_gives_mirrored_landmarks() -> None:
    before, covariance = face()
    twins = list(SCHEME.mirror)
    flip = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    there = before[twins] * flip + torch.tensor([WIDTH - 1.0, 0.0])
    points, spread = level().refine(
        np.ascontiguousarray(photo()[:, ::-1]), there, covariance[twins] * flip[:, None] * flip
    )
    back = points[twins] * flip + torch.tensor([WIDTH - 1.0, 0.0])
    # the mouth is not looked at through the mirror, the eyes are
    assert (back - REFINED[0])[36:48].abs().max() < 0.01
    assert (spread[twins] * flip[:, None] * flip - REFINED[1])[36:48].abs().max() < 0.05


def test_a_large_face_is_reduced_to_the_levels_density() -> None:
    """Twice the photo, twice the answer, nearly: reducing is not quite undone by enlarging."""
    large = cv2.resize(photo(), (2 * WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_LINEAR)
    before, covariance = face()
    points, _ = level().refine(large, (before + 0.5) * 2 - 0.5, 4 * covariance)
    assert ((points + 0.5) / 2 - 0.5 - REFINED[0])[36:].norm(dim=-1).mean() < 0.3
    assert (REFINED[0] - before)[36:].norm(dim=-1).mean() > 0.5


def test_the_convention_is_added_in_the_faces_own_frame() -> None:
    # off before the network looks, and on again after: a silent network shows that nothing is lost on the way
    silent = level(scores=False)
    before, covariance = face()
    silent.offset[40] = torch.tensor([0.02, -0.03])
    assert (silent.refine(photo(), before, covariance)[0] - before).norm(dim=-1).max() < 0.1
    moved = level().refine(photo(), before, covariance)[0][40]
    talking = level()
    talking.offset[40] = torch.tensor([0.02, -0.03])
    axis = (before[45] - before[36]) / UNIT
    step = UNIT * (0.02 * axis + -0.03 * torch.stack([-axis[1], axis[0]]))
    shifted = before.clone()
    shifted[40] += step
    assert (talking.refine(photo(), shifted, covariance)[0][40] - (moved + step)).norm() < 0.05


def test_a_lost_landmark_stays_where_it_is() -> None:
    before, covariance = face()
    covariance[40] *= 100
    points, spread = level().refine(photo(), before, covariance)
    assert (points[40] == before[40]).all()
    assert (spread[40] == covariance[40]).all()
    assert (points[41] != before[41]).any()


def test_outside_of_the_photo_nothing_breaks() -> None:
    before, covariance = face()
    points, spread = level().refine(photo(), before + 5000, covariance)
    assert points.isfinite().all()
    assert torch.linalg.eigvalsh(spread).min() > 0


def test_a_cell_sees_its_receptive_field_and_nothing_else() -> None:
    torch.manual_seed(1)
    net = NativeNet(1, 8).eval()
    torch.nn.init.normal_(net.score.weight)
    size = 2 * HALO + 9 * STRIDE
    pixels = torch.randn(1, 3, size, size, requires_grad=True)
    scores = net(pixels)
    assert scores.shape[-2:] == cell_positions(size).shape * 2
    scores[0, 0, 8, 9].backward()
    assert pixels.grad is not None
    seen = pixels.grad.abs().sum((0, 1)).nonzero()
    low, high = 4 * STRIDE, 4 * STRIDE + RECEPTIVE_FIELD - 1
    assert seen.amin(0).tolist() == [low, low]
    assert seen.amax(0).tolist() == [high, high]
    assert RECEPTIVE_FIELD <= 127
