"""A trained model's shape model: fitted to the training faces, kept where it serves the validation faces."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch

from hrlm.models.build import ModelConfig
from hrlm.models.nets import LandmarkModel
from hrlm.models.shape import ShapeModel
from hrlm.schemes import Scheme
from hrlm.training.data import Joined, Sample
from hrlm.training.validation import Look, looks, mahalanobis

# principal components at most, and faces that each of them needs
MODES, FACES_A_MODE = 80, 4
# fewer faces tell more of themselves than of what faces are like, or of habits; more than so many tell nothing new
FEWEST, FEWEST_FOR_HABITS, ENOUGH = 40, 10, 4000


def fit_shape_model(
    net: LandmarkModel,
    model: ModelConfig,
    training: Sequence[Sample],
    validation: Sequence[Sample],
    device: torch.device,
    before: ShapeModel | None,
    most: int = ENOUGH,
) -> ShapeModel | None:
    """The shape model with the least error on the validation faces: a new one, an earlier one, a mixture, or none.

    Without validation faces it is the earlier one's Gaussian alone: what faces are like remains, where annotators put
    landmarks may not.

    Args:
        net: calibrated, levels 0 and 1; its own shape model is not looked at.
        before: the shape model of the weights that training started from.
        most: so many of the training faces are looked at.
    """
    plain = _without_habits(before) if before is not None else None
    if not validation:
        return plain
    seen, judged = (list(looks(net, model, faces, device)) for faces in (Joined([training], most), validation))
    gaussian = fit_gaussian(net.scheme, seen)
    candidates = [None, before, plain, *(fit_habits(each, seen) for each in (before, gaussian) if each is not None)]
    chosen = min(candidates, key=lambda each: _error(net.scheme, each, judged))
    if chosen is not None:
        chosen = copy.deepcopy(chosen)
        _calibrate(chosen, judged)
    return chosen


def fit_gaussian(scheme: Scheme, seen: Sequence[Look]) -> ShapeModel | None:
    """A shape model without habits of the faces that show every landmark; None where there are too few."""
    labels = torch.cat([look.labels[look.visible.all(1)] for look in seen])
    modes = min(MODES, len(labels) // FACES_A_MODE, 2 * len(scheme) - 4)
    if len(labels) < FEWEST or modes < 1:
        return None
    shape_model = ShapeModel(scheme, modes)
    shape_model.fit(labels)
    return shape_model


def fit_habits(shape_model: ShapeModel, seen: Sequence[Look]) -> ShapeModel:
    """The shape model with new habits, for those landmarks that enough faces tell of."""
    shape_model = copy.deepcopy(shape_model)
    labels, visible = (torch.cat(part) for part in zip(*((look.labels, look.visible) for look in seen), strict=True))
    # a landmark that few faces show
    visible = visible * (visible.gt(0).sum(0) >= FEWEST_FOR_HABITS)
    for full in (False, True):
        points, covariance = (torch.cat([look.levels[full][part] for look in seen]) for part in range(2))
        shape_model.fit_habits(shape_model.draw(points, covariance)[0], labels, visible, full)
    return shape_model


def _without_habits(shape_model: ShapeModel) -> ShapeModel:
    plain = copy.deepcopy(shape_model)
    plain.habit.zero_()
    plain.habit_by_shape.zero_()
    return plain


def _error(scheme: Scheme, shape_model: ShapeModel | None, seen: Sequence[Look]) -> float:
    """Mean error over the landmarks that are labelled, in units of the normaliser."""
    told = []
    for look in seen:
        points = look.levels[1][0] if shape_model is None else shape_model(*look.levels[1], True)[0]
        size = torch.from_numpy(scheme.inter_ocular(look.labels.numpy()))[:, None]
        told.append(((points - look.labels).norm(dim=-1) / size)[look.visible > 0])
    return float(torch.cat(told).mean())


def _calibrate(shape_model: ShapeModel, seen: Sequence[Look]) -> None:
    """Fit the variances' scale as `validation.calibrate` does."""
    shape_model.variance_scale.fill_(1)
    for full in (False, True):
        distances = []
        for look in seen:
            points, covariance = shape_model(*look.levels[full], full)
            known = look.visible > 0
            distances.append(mahalanobis(points[known], covariance[known], look.labels[known]))
        shape_model.variance_scale[int(full)] = torch.cat(distances).median() / (2 * np.log(2))
