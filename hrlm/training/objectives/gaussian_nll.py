"""`gaussian-nll`: the map's mean and covariance as a Gaussian that has to explain the label."""

from __future__ import annotations

import torch
from torch import Tensor

from hrlm.models.heatmaps import CELL_VARIANCE, moments
from hrlm.training.objectives.labels import Label
from hrlm.training.objectives.soft_argmax import cross_entropy


def negative_log_likelihood(scores: Tensor, label: Label) -> Tensor:
    """Expected negative log-likelihood `(B, N)` of the label under the Gaussian of each map's moments, less log 2π.

    With mean m and covariance S of the map, label y and its covariance Q:
    `(log det S + trace S⁻¹ (Q + (y - m)(y - m)ᵀ)) / 2`. Least where m = y and S = Q. Without Q the best map would be
    a single cell, whichever is next to the label.
    """
    mean, covariance = moments(scores.flatten(2).softmax(-1).view_as(scores))
    cell = CELL_VARIANCE * torch.eye(2, device=scores.device, dtype=scores.dtype)
    # the label's own map is sampled at cells as well: both get the cell's extent
    covariance = covariance + cell
    off = label.points - mean
    wanted = label.covariance + cell + off[..., :, None] * off[..., None, :]
    a, b, c = covariance[..., 0, 0], covariance[..., 0, 1], covariance[..., 1, 1]
    determinant = a * c - b * b
    trace = (c * wanted[..., 0, 0] - 2 * b * wanted[..., 0, 1] + a * wanted[..., 1, 1]) / determinant
    return (determinant.log() + trace) / 2


def gaussian_nll(scores: Tensor, label: Label, coordinate_weight: float) -> Tensor:
    """Cross-entropy to the label's map plus the negative log-likelihood of the label.

    After Kendall and Gal (What Uncertainties Do We Need in Bayesian Deep Learning for Computer Vision?, NIPS 2017) and
    Kumar et al. (LUVLi Face Alignment, CVPR 2020), with the covariance that the map itself has instead of one from a
    branch of its own: it is what the decoder reports.

    Args:
        scores: raw maps `(B, N, H, W)`.
        coordinate_weight: of the likelihood against the cross-entropy, both in nats.

    Returns:
        `(B, N)` losses.
    """
    h, w = scores.shape[-2:]
    heat_map = cross_entropy(scores.flatten(2).log_softmax(-1), label, h, w)
    return heat_map + coordinate_weight * negative_log_likelihood(scores, label)
