import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from hrlm.models.heatmaps import decode, gaussian_maps, moments, probabilities
from hrlm.schemes.scheme import Contour
from hrlm.training.config import OBJECTIVES, Stage
from hrlm.training.objectives import Label, adaptive_wing, gaussian_nll, objective, soft_argmax, star, structured
from hrlm.training.objectives.awing import THETA, wing
from hrlm.training.objectives.gaussian_nll import negative_log_likelihood
from hrlm.training.objectives.labels import contour_directions, contour_triples, edge_directions, stretch
from hrlm.training.objectives.star import star_distance
from hrlm.training.objectives.structured import distance_cost

STAGE = Stage("s", ("global",), samples=1, batch=1)
ALONG = torch.tensor([[1.0, 1.0], [1.0, 1.0]]) / 2


def label(
    points: list[list[float]], sigma: float = 1.0, elongation: float = 1.0, dtype: torch.dtype = torch.float32
) -> Label:
    at = torch.tensor([points], dtype=dtype)
    if elongation == 1:
        return Label(at, sigma)
    directions = ALONG.to(dtype).expand(1, len(points), 2, 2)
    return Label(at, sigma, stretch(directions, elongation))


def random_scores(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*shape, dtype=torch.float64, generator=generator, requires_grad=True)


@pytest.mark.parametrize("elongation", [1.0, 2.0])
@pytest.mark.parametrize("name", [n for n in OBJECTIVES if n != "star"])
def test_gradients_are_exact(name: str, elongation: float) -> None:
    stage = replace(STAGE, objective=name)
    wanted = label([[2.3, 3.1], [4.0, 1.2]], elongation=elongation, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: objective(s, wanted, stage), (random_scores(1, 2, 6, 6),))


def test_the_gradient_of_structured_is_the_augmented_softmax_less_the_label() -> None:
    scores, wanted = random_scores(1, 2, 7, 9), label([[2.3, 3.1], [6.5, 1.2]], dtype=torch.float64)
    for margin, epsilon in ((1.0, 1.0), (0.5, 1.0), (1.0, 0.3)):
        (gradient,) = torch.autograd.grad(structured(scores, wanted, margin, epsilon).sum(), scores)
        cost = distance_cost(wanted.points, 7, 9)
        augmented = probabilities((scores + margin * cost) / epsilon)
        assert torch.allclose(gradient, augmented - wanted.maps(7, 9), atol=1e-12)


def test_the_distance_cost_is_the_smooth_distance_in_cells() -> None:
    cost = distance_cost(torch.tensor([[[1.5, 2.0]]]), 6, 6)[0, 0]
    assert cost[2, 1] == pytest.approx(0.5**2 / 2)
    assert cost[2, 5] == pytest.approx(3.5 - 0.5)
    assert cost[5, 5] == pytest.approx(math.hypot(3.5, 3) - 0.5)


def test_the_gradient_of_star_leaves_the_spread_alone() -> None:
    """It is that of the same distance with the map's principal axes and spread written down beforehand."""
    scores, wanted = random_scores(1, 1, 6, 6), label([[2.3, 3.1]], dtype=torch.float64)
    (gradient,) = torch.autograd.grad(star_distance(scores, wanted).sum(), scores)
    covariance = moments(probabilities(scores.detach()))[1][0, 0] + torch.eye(2) / 12
    variance, axes = torch.linalg.eigh(covariance)

    def frozen(scores: Tensor) -> Tensor:
        off = (wanted.points - moments(probabilities(scores))[0])[0, 0] @ axes
        return (torch.where(off.abs() < 0.3, off**2 / 0.6, off.abs() - 0.15) / variance.sqrt()).sum()

    (expected,) = torch.autograd.grad(frozen(scores), scores)
    assert torch.allclose(gradient, expected, atol=1e-12)
    # a map of equal spread in every direction has no principal axes
    even = torch.zeros(1, 1, 6, 6, dtype=torch.float64, requires_grad=True)
    assert torch.isfinite(torch.autograd.grad(star(even, wanted, 1.0).sum(), even)[0]).all()


def test_star_forgives_error_in_the_direction_that_the_map_is_unsure_of() -> None:
    along, across = label([[10.0, 8.0]]), label([[8.0, 10.0]])
    xs = torch.arange(17.0)
    flat = -((xs[None, :] - 8) ** 2) / 18 - ((xs[:, None] - 8) ** 2) / 2
    maps = flat[None, None]
    assert star_distance(maps, along) < 0.5 * star_distance(maps, across)


@pytest.mark.parametrize("elongation", [1.0, 2.5])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_leads_to_a_map_that_decodes_to_the_label(name: str, elongation: float) -> None:
    points = [[9.3, 6.7], [6.0, 8.0], [7.51, 9.49]]
    wanted, stage = label(points, elongation=elongation), replace(STAGE, objective=name)
    scores = torch.zeros(1, 3, 16, 16, requires_grad=True)
    optimizer = torch.optim.Adam([scores], lr=0.3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 500)
    for _ in range(500):
        optimizer.zero_grad()
        objective(scores, wanted, stage).sum().backward()
        optimizer.step()
        schedule.step()
    found, _ = decode(scores.detach())
    assert (found - wanted.points).abs().max() < 0.05


def test_known_optima() -> None:
    wanted = label([[9.3, 6.7]], elongation=2.0, dtype=torch.float64)
    q = wanted.maps(20, 20)
    cost = distance_cost(wanted.points, 20, 20)
    for loss, best in (
        (lambda s: soft_argmax(s, wanted, 0.5), q.log()),
        (lambda s: structured(s, wanted, 1.0), q.log() - cost),
        (lambda s: adaptive_wing(s, wanted), q.log()),
        (lambda s: gaussian_nll(s, wanted, 0.5), q.log()),
        (lambda s: star(s, wanted, 0.5), q.log()),
    ):
        best = best.requires_grad_()
        (gradient,) = torch.autograd.grad(loss(best).sum(), best)
        assert gradient.abs().max() < 1e-3
        for seed in range(5):
            moved = best + 0.3 * torch.randn(best.shape, generator=torch.Generator().manual_seed(seed))
            assert loss(moved) > loss(best)


def test_the_likelihood_is_best_at_the_labels_mean_and_covariance() -> None:
    wanted = label([[9.3, 8.7]], sigma=1.5, dtype=torch.float64)

    def value(x: float, y: float, sigma: float) -> float:
        maps = gaussian_maps(torch.tensor([[[x, y]]], dtype=torch.float64), 20, 20, sigma)
        return float(negative_log_likelihood(maps.log(), wanted))

    best = value(9.3, 8.7, 1.5)
    assert all(
        best < v for v in (value(9.0, 8.7, 1.5), value(9.3, 8.9, 1.5), value(9.3, 8.7, 1.3), value(9.3, 8.7, 1.7))
    )


def test_adaptive_wing_is_smooth_where_its_parts_meet_and_sharper_on_the_landmark() -> None:
    for wanted in (0.0, 0.4, 1.0):
        at = torch.tensor([wanted + THETA - 1e-4, wanted + THETA + 1e-4], dtype=torch.float64, requires_grad=True)
        values = wing(at, torch.full((2,), wanted, dtype=torch.float64))
        (slopes,) = torch.autograd.grad(values.sum(), at)
        assert values[0].item() == pytest.approx(values[1].item(), rel=1e-3)
        assert slopes[0].item() == pytest.approx(slopes[1].item(), rel=1e-2)
    off = torch.tensor([0.05])
    assert wing(1 - off, torch.ones(1)) > 5 * wing(off, torch.zeros(1))


def test_soft_argmax_with_round_labels_is_what_it_always_was() -> None:
    """Computed by hand: cross-entropy to the Gaussian and half the smooth L1 distance of the expectation."""
    scores, wanted = random_scores(1, 1, 6, 6), label([[2.3, 3.1]], dtype=torch.float64)
    p = probabilities(scores)[0, 0].detach().numpy()
    ys, xs = np.mgrid[:6, :6]
    q = np.exp(-((xs - 2.3) ** 2 + (ys - 3.1) ** 2) / 2)
    off = np.abs([(p * xs).sum() - 2.3, (p * ys).sum() - 3.1])
    expected = -(q / q.sum() * np.log(p)).sum() + 0.5 * np.where(off < 0.3, off**2 / 0.6, off - 0.15).sum()
    assert soft_argmax(scores, wanted, 0.5).item() == pytest.approx(expected)


def test_the_coordinate_weight_and_the_margin_count() -> None:
    scores, wanted = torch.zeros(1, 1, 8, 8), label([[1.0, 1.0]])
    assert soft_argmax(scores, wanted, 2.0) > soft_argmax(scores, wanted, 0.0) + 2
    assert structured(scores, wanted, 1.0) > structured(scores, wanted, 0.0) + 2


def test_a_stretched_label_has_the_covariance_it_says() -> None:
    wanted = label([[15.2, 14.8]], sigma=1.0, elongation=3.0, dtype=torch.float64)
    mean, covariance = moments(wanted.maps(32, 32))
    assert torch.allclose(mean, wanted.points, atol=1e-2)
    assert covariance[0, 0].numpy() == pytest.approx(np.array([[5.0, 4.0], [4.0, 5.0]]), abs=0.02)
    assert torch.allclose(covariance, wanted.covariance, atol=0.02)
    round_again = Label(wanted.points, 1.0, stretch(torch.zeros(1, 1, 2, 2, dtype=torch.float64), 3.0))
    assert torch.allclose(round_again.maps(32, 32), label([[15.2, 14.8]], dtype=torch.float64).maps(32, 32))


def test_contours_give_directions_where_they_run_straight() -> None:
    contours = [Contour("open", (0, 1, 2)), Contour("closed", (3, 4, 5, 6), True)]
    points = torch.tensor([[[0, 0], [1, 1], [2, 2], [0, 0], [4, 0], [4, 4], [0, 4], [9, 9]]], dtype=torch.float64)
    found = contour_directions(points, contour_triples(contours))[0]
    assert found[1].numpy() == pytest.approx(ALONG.numpy())
    # ends of a line, right angles, and landmarks in no contour
    for i in (0, 2, 3, 4, 5, 6, 7):
        assert found[i].abs().max() == pytest.approx(0)
    points[0, 2] = torch.nan
    assert contour_directions(points, contour_triples(contours))[0, 1].abs().max() == 0
    assert contour_directions(points, []).abs().max() == 0


def test_edges_give_directions_of_the_picture() -> None:
    ys, xs = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    slanted = torch.sigmoid((ys - xs) / 2).expand(1, 3, 64, 64)
    at = torch.tensor([[[32.0, 32.0], [60.0, 3.0]]])
    found = edge_directions(slanted, at, 4)[0]
    assert found[0].numpy() == pytest.approx(ALONG.numpy(), abs=0.02)
    assert edge_directions(torch.zeros(1, 3, 64, 64), at, 4).abs().max() == 0
    noise = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert edge_directions(noise, at[:, :1], 4)[0, 0].diagonal().sum() < 0.3
