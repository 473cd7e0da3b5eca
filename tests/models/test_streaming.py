import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hrlm.models.heatmaps import moments, probabilities
from hrlm.models.streaming import RunningMoments

MAPS, HEIGHT, WIDTH = 3, 17, 23


def maps(seed: int, spread: float) -> torch.Tensor:
    return torch.randn(MAPS, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed)) * spread


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 1000), st.sampled_from([0.1, 3.0, 60.0]), st.integers(1, WIDTH), st.integers(1, HEIGHT), st.data()
)
def test_parts_in_any_order_give_the_moments_of_the_whole(
    seed: int, spread: float, columns: int, rows: int, data: st.DataObject
) -> None:
    scores = maps(seed, spread)
    x, y = torch.arange(WIDTH) + 5000.0, torch.arange(HEIGHT) - 300.0
    sums = RunningMoments(torch.tensor([[5010.0, -290]]).expand(MAPS, -1))
    parts = [(i, j) for i in range(0, HEIGHT, rows) for j in range(0, WIDTH, columns)]
    for i, j in data.draw(st.permutations(parts)):
        sums.add(scores[:, i : i + rows, j : j + columns], x[j : j + columns], y[i : i + rows])
    mean, covariance = sums.result()
    expected, spread_expected = moments(probabilities(scores[None].double()))
    assert mean == pytest.approx(expected[0] + torch.tensor([5000.0, -300]), abs=2e-3)
    assert covariance == pytest.approx(spread_expected[0], abs=2e-3)


def test_a_map_that_has_nothing_stays_at_its_origin() -> None:
    sums = RunningMoments(torch.tensor([[4.0, 2.0], [1.0, 1.0]]))
    scores = torch.full((2, 3, 3), -torch.inf)
    sums.add(scores, torch.arange(3.0), torch.arange(3.0))
    scores[1, 2, 0] = 5
    sums.add(scores, torch.arange(3.0), torch.arange(3.0))
    mean, covariance = sums.result()
    assert mean.tolist() == [[4, 2], [0, 2]]
    assert covariance.abs().max() == 0
