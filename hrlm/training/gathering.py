"""A configuration's faces, as they are trained on: in one convention, with stylised ones added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from hrlm.errors import DataError
from hrlm.models.build import load_model
from hrlm.schemes import Scheme
from hrlm.training.begun import described_data
from hrlm.training.config import TrainConfig, cache_bytes
from hrlm.training.conventions import Convention, fit_convention
from hrlm.training.data import Joined, Memory, Sample, Samples, Say, SourceSamples, load_sources
from hrlm.training.style import judge, stylised
from hrlm.training.validation import looks, mahalanobis

# faces that settle how a source's labels differ from the starting model's
CONVENTION_FACES = 2000


@dataclass(frozen=True)
class Gathered:
    """What there is to train on.

    Args:
        groups: the sources' faces, none empty.
        shares: of the faces shown, as of `batches.places_in_groups`.
        validation: faces that are never trained on.
        prior: for level 2, whose labels stay as they are, how the start's estimates differ from them.
        described: of `begun.described_data`.
    """

    groups: list[Samples]
    shares: list[float]
    validation: Sequence[Sample]
    prior: Prior | None
    described: dict[str, Any]


@dataclass(frozen=True)
class Prior:
    """How a model's estimates differ from exact labels.

    Args:
        offset: `(N, 2)` the mean difference, in units of the normaliser in the face's frame.
        share: of the variance that the model states, how much remains after that.
    """

    offset: np.ndarray
    share: float


def gather(
    config: TrainConfig, scheme: Scheme, device: torch.device, say: Say, margin: float, refined: Sequence[int] = ()
) -> Gathered:
    """Read every source.

    Args:
        margin: as of `ModelConfig.face_margin`.
        refined: the landmarks that level 2 looks at, where it learns.

    Raises:
        DataError: nothing usable in one of them, or no face for what the configuration does with validation faces.
    """
    memory = Memory(cache_bytes(config.cache))
    groups: list[Samples] = []
    shares, styles, prior = [], [], None
    validation: list[Samples] = []
    loaded = load_sources(config.data, scheme, config.max_side, memory, say, margin)
    described = described_data(loaded)
    if not any(len(own.validation) for own in loaded):
        _do_without_validation(config, say)
    for own in loaded:
        source = own.source
        say(f"{source.path.name}: {len(own.training)} faces to train on, {len(own.validation)} to validate on")
        if source.own_convention:
            convention, left = _convention(own, config, scheme, device, say, refined)
            if config.native:
                prior = Prior(convention.offsets[0], left)
            else:
                own = replace(
                    own,
                    training=own.training.moved(convention.apply),
                    validation=own.validation.moved(convention.apply),
                )
        validation.append(own.validation)
        if len(own.training):
            groups.append(own.training)
            shares.append(source.share)
            styles.append(source.style)
    if not groups:
        raise DataError("no face is left to train on: every source validates")
    if any(styles):
        groups = _with_styled(groups, styles, config, scheme, device, memory, say)
    return Gathered(groups, shares, Joined(validation), prior, described)


def _do_without_validation(config: TrainConfig, say: Say) -> None:
    for needed, what in (
        (config.keep == "best", "keep: best"),
        (not config.stages, "stages: []"),
        (any(s.patience for s in config.stages), "patience"),
    ):
        if needed:
            raise DataError(f"{what} chooses by validation faces, and there are none: set validation_every")
    idle = ", validate_every does nothing" if any(s.validate_every for s in config.stages) else ""
    uncalibrated = "" if config.native else " and how sure they say to be stays uncalibrated"
    say(
        f"no face validates{idle}: nothing tells how good the weights are{uncalibrated}; "
        "set a source's validation_every to have some"
    )


def _with_styled(
    groups: Sequence[Samples],
    styles: Sequence[float],
    config: TrainConfig,
    scheme: Scheme,
    device: torch.device,
    memory: Memory,
    say: Say,
) -> list[Samples]:
    """Each source's stylised faces, joined to its own; looks are taken from all sources."""
    errors = judge(load_model(config.style_judge or config.start, device), scheme.landmarks, device)
    donors = [entry for group in groups for entry in group.entries]
    return [
        Samples.join(own, stylised(own, donors, share, config.seed * 1000 + i, errors, memory, say)) if share else own
        for i, (own, share) in enumerate(zip(groups, styles, strict=True))
    ]


def _convention(
    own: SourceSamples, config: TrainConfig, scheme: Scheme, device: torch.device, say: Say, refined: Sequence[int]
) -> tuple[Convention, float]:
    """From a source's labels to the convention of the weights that training starts from, and `Prior.share`."""
    start = load_model(config.start, device)
    # each face is read once, and none is kept: the cache is all that faces may take
    seen = list(looks(start.net, start.config, Joined([own.training, own.validation], CONVENTION_FACES), device))
    labels = [points for look in seen for points in look.labels.numpy()]
    visible = [each for look in seen for each in look.visible.numpy() > 0]
    found = [pair for look in seen for pair in zip(*(part.numpy() for part in look.levels[1]), strict=True)]
    convention = fit_convention([points for points, _ in found], labels, scheme, visible)
    distances = []
    for (points, covariance), truth in zip(found, labels, strict=True):
        meant = truth + convention.offsets[0] @ np.linalg.inv(scheme.face_frame(truth))
        every = [torch.from_numpy(part).double() for part in (points, covariance, meant)]
        distances.append(mahalanobis(*(part[list(refined)] for part in every)))
    # the squared distance of a Gaussian of two dimensions has the median 2 ln 2; nothing is surer than it was
    left = min(1.0, float(torch.cat(distances).median()) / (2 * np.log(2))) if refined else 1.0
    size = np.linalg.norm(convention.offsets[0], axis=-1)
    moved = "level 2's landmarks" if config.native else "labels"
    say(
        f"{own.source.path.name}: {moved} moved by {100 * size.mean():.2f} % of the normaliser in the mean, "
        f"to {start.info.name}'s"
    )
    return convention, left
