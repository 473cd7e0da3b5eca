import torch

from hrlm.models.heatmaps import decode, gaussian_maps
from hrlm.training.objectives import soft_argmax


def test_gradients_are_exact() -> None:
    scores = torch.randn(1, 2, 6, 6, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([[[2.3, 3.1], [4.0, 1.2]]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: soft_argmax(s, targets, 1.0, 0.5), (scores,))


def test_the_optimum_is_the_gaussian_and_decodes_to_the_target() -> None:
    target = torch.tensor([[[9.3, 6.7]]])
    scores = torch.zeros(1, 1, 16, 16, requires_grad=True)
    optimizer = torch.optim.Adam([scores], lr=0.3)
    for _ in range(300):
        optimizer.zero_grad()
        soft_argmax(scores, target, 1.0, 0.5).sum().backward()
        optimizer.step()
    points, _ = decode(scores.detach())
    assert (points - target).abs().max() < 0.02
    best = soft_argmax(gaussian_maps(target, 16, 16, 1.0).log(), target, 1.0, 0.5)
    assert soft_argmax(scores, target, 1.0, 0.5).item() < best.item() + 0.02


def test_the_coordinate_weight_counts() -> None:
    scores, target = torch.zeros(1, 1, 8, 8), torch.tensor([[[1.0, 1.0]]])
    without = soft_argmax(scores, target, 1.0, 0.0)
    assert soft_argmax(scores, target, 1.0, 2.0) > without + 2
