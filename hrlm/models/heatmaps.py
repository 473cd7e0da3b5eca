"""Heat maps to sub-pixel points with covariance.

Raw score maps are `(B, N, H, W)`; a map's distribution is the softmax over its H x W cells. Positions are in **cells**,
centres at integers; `cells_to_pixels` takes them to the pixels of the network's input.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hrlm.geometry import resize_points

# a cell's own extent: even a one-hot map says no more than "somewhere in this cell"
CELL_VARIANCE = 1 / 12
# how often decoding moves its window. Last bits may make one cell of a flat top the mode instead of another: on sixty
# photos that moved a landmark by up to 0.9 photo pixels after two moves, and by 0.01 after eight
_MOVES = 8


def cells_to_pixels(cells: Tensor, stride: int) -> Tensor:
    """Heat-map cells `(..., 2)` to input pixels `(..., 2)`."""
    return resize_points(cells, stride)


def pixels_to_cells(pixels: Tensor, stride: int) -> Tensor:
    """Input pixels `(..., 2)` to heat-map cells `(..., 2)`."""
    return resize_points(pixels, 1 / stride)


def probabilities(scores: Tensor) -> Tensor:
    """Softmax over each map of `(B, N, H, W)`."""
    return scores.flatten(2).softmax(-1).view_as(scores)


def _axes(maps: Tensor) -> tuple[Tensor, Tensor]:
    """The x of every column and the y of every row."""
    h, w = maps.shape[-2:]
    return (
        torch.arange(w, device=maps.device, dtype=maps.dtype),
        torch.arange(h, device=maps.device, dtype=maps.dtype),
    )


def expectation(maps: Tensor) -> Tensor:
    """Mean position `(B, N, 2)` in cells of distributions `(B, N, H, W)`."""
    xs, ys = _axes(maps)
    return torch.stack([maps.sum(-2) @ xs, maps.sum(-1) @ ys], -1)


def moments(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Mean `(B, N, 2)` and covariance `(B, N, 2, 2)` in cells of distributions `(B, N, H, W)`."""
    xs, ys = _axes(maps)
    mean = expectation(maps)
    along_x, along_y = maps.sum(-2), maps.sum(-1)
    # centred before squaring: E[x²] - E[x]² loses all its digits in float32
    dx, dy = xs - mean[..., :1], ys - mean[..., 1:]
    xx, yy = (along_x * dx**2).sum(-1), (along_y * dy**2).sum(-1)
    xy = torch.einsum("bnhw,bnh,bnw->bn", maps, dy, dx)
    covariance = torch.stack([torch.stack([xx, xy], -1), torch.stack([xy, yy], -1)], -2)
    return mean, covariance


def windowed_expectation(scores: Tensor, centre: Tensor, radius: int) -> Tensor:
    """Mean position `(B, N, 2)` in cells of the maps inside a smooth-edged square around `centre` `(B, N, 2)`.

    Only the cells around the square are read, which costs a small part of what whole maps would.
    """
    h, w = scores.shape[-2:]
    reach = torch.arange(-radius - 1, radius + 2, device=scores.device)
    xs, ys = (centre[..., k, None].round().long() + reach for k in (0, 1))
    # the share of the cell inside the square: a hard edge would jump as the centre moves
    inside_x, inside_y = (
        (radius + 0.5 - (at - centre[..., k, None]).abs()).clamp(0, 1) * ((at >= 0) & (at < end))
        for k, (at, end) in enumerate(((xs, w), (ys, h)))
    )
    flat = ys.clamp(0, h - 1)[..., :, None] * w + xs.clamp(0, w - 1)[..., None, :]
    seen = scores.flatten(2).gather(-1, flat.flatten(2)).view(flat.shape)
    share = (inside_y[..., :, None] * inside_x[..., None, :]).clamp_min(1e-30).log()
    inside = probabilities(seen + share)
    return torch.stack([(inside.sum(-2) * xs).sum(-1), (inside.sum(-1) * ys).sum(-1)], -1)


def windowed_mode(scores: Tensor, start: Tensor, radius: int) -> Tensor:
    """Where a window that is moved onto the expectation inside of it comes to rest, `(B, N, 2)` in cells.

    Mean shift (Cheng, Mean Shift, Mode Seeking, and Clustering, PAMI 1995). Tops that are flat over more cells than the
    window has would take more moves than it makes.

    Args:
        scores: raw maps `(B, N, H, W)`.
        start: `(B, N, 2)` the window's first centre, in cells.
        radius: half the window's side in cells.
    """
    for _ in range(_MOVES):
        start = windowed_expectation(scores, start, radius)
    return start


def decode(scores: Tensor, radius: int = 4) -> tuple[Tensor, Tensor]:
    """Sub-pixel points and covariance from score maps.

    The expectation over a window around the mode (soft-argmax; Sun et al., Integral Human Pose Regression, ECCV 2018),
    with the window moved on from there, see `windowed_mode`: a window centred on the mode's cell would pull every
    point towards that cell's centre, and make it jump where another cell becomes the mode.

    Args:
        scores: raw maps `(B, N, H, W)`.
        radius: half the window's side in cells.

    Returns:
        points `(B, N, 2)` and covariance `(B, N, 2, 2)` in cells. The covariance is that of the **whole** map, so that
        a second hypothesis outside of the window still tells of doubt.
    """
    w = scores.shape[-1]
    mode = scores.flatten(2).argmax(-1)
    centre = torch.stack([mode % w, mode // w], -1).to(scores.dtype)
    spread = moments(probabilities(scores))[1]
    return windowed_mode(scores, centre, radius), spread + CELL_VARIANCE * torch.eye(
        2, device=scores.device, dtype=scores.dtype
    )


def gaussian_maps(points: Tensor, height: int, width: int, sigma: float) -> Tensor:
    """Distributions `(B, N, H, W)`: Gaussians of `sigma` cells around points `(B, N, 2)` in cells, each of sum 1."""
    xs = torch.arange(width, device=points.device, dtype=points.dtype)
    ys = torch.arange(height, device=points.device, dtype=points.dtype)
    log_x = -((xs - points[..., :1]) ** 2) / (2 * sigma**2)
    log_y = -((ys - points[..., 1:]) ** 2) / (2 * sigma**2)
    return log_y.softmax(-1)[..., :, None] * log_x.softmax(-1)[..., None, :]
