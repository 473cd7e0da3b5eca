import torch

from hrlm.models.fusion import fuse


def test_equal_estimates_average_and_halve_the_variance() -> None:
    points = torch.tensor([[0.0, 0.0], [2.0, 4.0], [7.0, 7.0]])
    covariance = torch.eye(2).expand(3, 2, 2) * 4
    fused, spread = fuse(points, covariance, torch.tensor([0, 0, 1]), 2)
    assert torch.allclose(fused, torch.tensor([[1.0, 2.0], [7.0, 7.0]]))
    assert torch.allclose(spread[0], torch.eye(2) * 2)
    assert torch.allclose(spread[1], torch.eye(2) * 4)


def test_each_estimate_counts_along_the_axis_that_it_knows() -> None:
    points = torch.tensor([[0.0, 0.0], [10.0, 10.0]], dtype=torch.float64)
    sharp_x, sharp_y = torch.diag(torch.tensor([1e-6, 1e3])), torch.diag(torch.tensor([1e3, 1e-6]))
    fused, _ = fuse(points, torch.stack([sharp_x, sharp_y]).double(), torch.tensor([0, 0]), 1)
    assert torch.allclose(fused, torch.tensor([[0.0, 10.0]], dtype=torch.float64), atol=1e-5)
