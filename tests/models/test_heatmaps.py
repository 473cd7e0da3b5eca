import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hrlm.models import heatmaps
from hrlm.models.heatmaps import (
    CELL_VARIANCE,
    cells_to_pixels,
    decode,
    expectation,
    gaussian_maps,
    moments,
    pixels_to_cells,
    probabilities,
)

place = st.floats(12, 36)


@settings(max_examples=60, deadline=None)
@given(place, place, st.floats(0.7, 1.6))
def test_decode_has_no_sub_pixel_bias(x: float, y: float, sigma: float) -> None:
    truth = torch.tensor([[[x, y]]])
    points, covariance = decode(gaussian_maps(truth, 48, 48, sigma).log())
    assert (points - truth).abs().max() < 0.01
    expected = (sigma**2 + CELL_VARIANCE) * torch.eye(2)
    assert torch.allclose(covariance[0, 0], expected, atol=0.02 * sigma**2)


def test_a_distant_second_peak_widens_the_covariance_but_does_not_move_the_point() -> None:
    near, far = torch.tensor([[[20.3, 20.6]]]), torch.tensor([[[40.0, 8.0]]])
    mixed = 0.8 * gaussian_maps(near, 48, 48, 1.0) + 0.2 * gaussian_maps(far, 48, 48, 1.0)
    points, covariance = decode(mixed.log())
    assert (points - near).abs().max() < 0.01
    assert covariance[0, 0, 0, 0] > 30
    assert covariance[0, 0, 0, 1] < 0  # the second peak lies right and up


def test_moments_stay_precise_far_from_the_origin() -> None:
    truth = torch.tensor([[[500.25, 400.75]]])
    mean, covariance = moments(gaussian_maps(truth, 512, 512, 1.0))
    assert torch.allclose(mean, truth, atol=1e-2)
    assert torch.allclose(covariance[0, 0], torch.eye(2), atol=1e-2)


@given(st.floats(-5, 60), st.integers(1, 8))
def test_cells_and_pixels_round_trip(x: float, stride: int) -> None:
    cells = torch.tensor([x, x + 1], dtype=torch.float64)
    assert torch.allclose(pixels_to_cells(cells_to_pixels(cells, stride), stride), cells)


def test_the_first_cell_of_stride_4_is_centred_on_its_four_pixels() -> None:
    assert cells_to_pixels(torch.tensor([0.0]), 4).item() == pytest.approx(1.5)


def test_the_expectation_is_differentiable() -> None:
    scores = torch.randn(1, 2, 8, 8, dtype=torch.float64, requires_grad=True)

    def found(s: torch.Tensor) -> torch.Tensor:
        return expectation(s.flatten(2).softmax(-1).view_as(s))

    assert torch.autograd.gradcheck(found, (scores,))


def test_a_peak_at_the_border_decodes_inside_of_the_map() -> None:
    scores = torch.zeros(1, 1, 16, 16)
    scores[0, 0, 0, 15] = 50.0
    points, _ = decode(scores)
    assert torch.allclose(points[0, 0], torch.tensor([15.0, 0.0]), atol=1e-3)


@pytest.mark.parametrize(("length", "apart"), [(4, 0.1), (8, 0.5)])
def test_last_bits_that_choose_the_mode_hardly_move_the_point(length: int, apart: float) -> None:
    # a flat top along a contour, as jaw landmarks have, with its mode at either end; two moves of the window would
    # leave 0.4 and 3.1 cells between them
    ridge = sum(gaussian_maps(torch.tensor([[[x, 20.4]]]), 48, 48, 1.6) for x in torch.arange(20, 20.1 + length, 0.5))
    first, last = ridge.log(), ridge.log()
    top = float(ridge.log().amax())
    first[0, 0, 20, 20], last[0, 0, 20, 20 + length] = top + 1e-5, top + 1e-5
    assert (decode(first)[0] - decode(last)[0]).abs().max() < apart


def test_the_point_rests_where_the_window_holds_most_alike() -> None:
    # two peaks within one window: between them, nearer the higher one, whichever is the mode
    high, low = torch.tensor([[[20.0, 20.0]]]), torch.tensor([[[23.0, 20.0]]])
    maps = 0.6 * gaussian_maps(high, 48, 48, 1.0) + 0.4 * gaussian_maps(low, 48, 48, 1.0)
    points, _ = decode(maps.log())
    assert points[0, 0].tolist() == pytest.approx([21.2, 20.0], abs=0.05)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_decoding_reads_no_less_than_the_whole_window(seed: int, radius: int) -> None:
    scores = 3 * torch.randn(1, 5, 20, 24, generator=torch.Generator().manual_seed(seed))
    ys, xs = torch.arange(20.0), torch.arange(24.0)
    mode = scores.flatten(2).argmax(-1)
    centre = torch.stack([mode % 24, mode // 24], -1).float()
    for _ in range(heatmaps._MOVES):
        # the same over whole maps: what lies outside of the window weighs nothing
        inside_x = (radius + 0.5 - (xs - centre[..., :1]).abs()).clamp(0, 1)
        inside_y = (radius + 0.5 - (ys - centre[..., 1:]).abs()).clamp(0, 1)
        share = (inside_y[..., :, None] * inside_x[..., None, :]).clamp_min(1e-30).log()
        centre = expectation(probabilities(scores + share))
    assert torch.allclose(decode(scores, radius)[0], centre, atol=1e-3)
