import pytest
import torch

from hrlm.geometry import rotation_matrix
from hrlm.models.shape import ShapeModel, align
from hrlm.schemes import load_scheme

SCHEME = load_scheme("ibug68")
USUAL = torch.tensor(SCHEME.shape, dtype=torch.float64)
MODES = 6
RIGHT = torch.tensor([0.02, 0.0], dtype=torch.float64)


def faces(count: int, seed: int = 0) -> torch.Tensor:
    """Faces `(count, 68, 2)` that differ in six ways, each of another size, place and roll."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    axes = torch.randn(MODES, 68, 2, generator=torch.Generator().manual_seed(99), dtype=torch.float64) * 0.02
    shapes = USUAL + (normal(count, MODES) @ axes.flatten(1)).unflatten(1, (68, 2))
    return moved(shapes, 100 * (1 + normal(count).abs()), 0.3 * normal(count), 500 * normal(count, 1, 2))


def moved(points: torch.Tensor, scale: torch.Tensor, angle: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
    return scale[:, None, None] * points @ rotation_matrix(angle).mT + by


def doubt(points: torch.Tensor, share: float) -> torch.Tensor:
    """Covariance of a deviation of `share` of each face's normaliser."""
    size = (points[:, SCHEME.normaliser[0]] - points[:, SCHEME.normaliser[1]]).norm(dim=-1)
    return (share * size)[:, None, None, None].square() * torch.eye(2, dtype=torch.float64).expand(68, 2, 2)


def right_of(points: torch.Tensor) -> torch.Tensor:
    """The points moved by 2 % of the usual face's normaliser to the face's own right in the picture."""
    frame, _ = align(points, USUAL - USUAL.mean(0))
    return points + RIGHT.expand(len(points), 1, 2) @ torch.linalg.inv(frame)


@pytest.fixture(scope="module")
def model() -> ShapeModel:
    # those of the mirrored faces too
    model = ShapeModel(SCHEME, 2 * MODES)
    known = faces(400)
    model.fit(known)
    for full in (False, True):
        model.fit_habits(known, right_of(known), torch.ones(400, 68), full)
    return model


def test_the_mean_shape_is_level_and_of_unit_size(model: ShapeModel) -> None:
    a, b = SCHEME.normaliser
    assert model.mean[b] - model.mean[a] == pytest.approx([1, 0], abs=1e-6)
    assert model.mean.mean(0) == pytest.approx([0, 0], abs=1e-6)


def test_alignment_undoes_any_similarity() -> None:
    turned = moved(
        USUAL.expand(3, -1, -1), *(torch.tensor(v).double() for v in ([3, 50, 0.1], [1, -2, 3], [[[7, -9]]]))
    )
    frame, middle = align(turned, USUAL - USUAL.mean(0))
    assert torch.allclose((turned - middle) @ frame, USUAL - USUAL.mean(0), atol=1e-9)


def test_a_face_that_is_sure_stays_but_for_the_habit(model: ShapeModel) -> None:
    truth = faces(20, seed=1)
    points, covariance = model(truth, doubt(truth, 1e-4), True)
    size = (truth[:, 36] - truth[:, 45]).norm(dim=-1)[:, None]
    assert ((points - right_of(truth)).norm(dim=-1) / size).max() < 2e-3
    assert torch.linalg.eigvalsh(covariance).min() > 0


def test_a_landmark_that_nobody_sees_is_put_where_the_others_have_it(model: ShapeModel) -> None:
    truth = faces(20, seed=2)
    size = (truth[:, 36] - truth[:, 45]).norm(dim=-1)
    seen, covariance = truth.clone(), doubt(truth, 1e-3)
    seen[:, 8] += torch.tensor([0.3, 0.5]) * size[:, None]
    covariance[:, 8] *= 1e8
    drawn, left = model.draw(seen, covariance)
    # what is wrong by half an inter-ocular distance tilts the face that everything is aligned by, a little
    assert ((drawn - truth).norm(dim=-1)[:, 8] / size).max() < 0.1
    assert (left[:, 8] < 0.01 * covariance[:, 8]).diagonal(dim1=-2, dim2=-1).all()


def test_noise_gets_less(model: ShapeModel) -> None:
    truth = faces(50, seed=3)
    covariance = doubt(truth, 0.02)
    noisy = truth + torch.randn(truth.shape, generator=torch.Generator().manual_seed(4)) * covariance[..., :1, 0].sqrt()
    drawn = model.draw(noisy, covariance)[0]
    assert (drawn - truth).square().mean() < 0.25 * (noisy - truth).square().mean()


def test_a_turned_larger_face_elsewhere_gets_the_same(model: ShapeModel) -> None:
    points = faces(5, seed=5) + torch.randn(5, 68, 2, generator=torch.Generator().manual_seed(6))
    covariance = doubt(points, 0.02)
    own = model(points, covariance, False)
    scale, angle, by = torch.full((5,), 7.0).double(), torch.full((5,), 2.0).double(), torch.tensor([[[1e4, -3.0]]])
    turn = rotation_matrix(angle)[:, None]
    other = model(moved(points, scale, angle, by), 49 * turn @ covariance @ turn.mT, False)
    assert torch.allclose(other[0], moved(own[0], scale, angle, by), atol=1e-6)
    assert torch.allclose(other[1], 49 * turn @ own[1] @ turn.mT, rtol=1e-6, atol=1e-9)


def test_a_mirrored_face_is_drawn_to_the_mirror_image(model: ShapeModel) -> None:
    """Only habits tell left from right, though the faces that it learnt from differ in unsymmetric ways."""
    points = faces(5, seed=8) + torch.randn(5, 68, 2, generator=torch.Generator().manual_seed(9))
    covariance = doubt(points, 0.02)
    over = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    mirrored = model.draw((points * over)[:, SCHEME.mirror], covariance)[0]
    assert torch.allclose((mirrored * over)[:, SCHEME.mirror], model.draw(points, covariance)[0], atol=1e-6)


def test_habits_are_bounded_however_odd_a_face(model: ShapeModel) -> None:
    usual = 100 * USUAL[None]
    for odd in ([0.2, 1.0], [1.0, 3.0]):
        points = usual * torch.tensor(odd, dtype=torch.float64)
        moved = model(points, doubt(points, 1e-4), True)[0] - model(points, doubt(points, 1e-4), True, habits=False)[0]
        size = 1 / align(points, model.mean.double())[0].det().sqrt()
        assert (moved.norm(dim=-1) / size[:, None]).max() < 0.06


def test_a_face_gets_the_same_alone_and_beside_others(model: ShapeModel) -> None:
    points = faces(4, seed=7)
    together = model(points, doubt(points, 0.02), True)[0]
    alone = torch.cat([model(p[None], doubt(p[None], 0.02), True)[0] for p in points])
    assert torch.allclose(together, alone, atol=1e-9)
