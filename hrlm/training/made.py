"""What a finished weight file tells of its making."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hrlm.training.config import FRESH, TrainConfig


def metadata(
    config: TrainConfig,
    started: Mapping[str, Any],
    faces: int,
    figures: Mapping[str, float],
    placement: Mapping[str, float] | None,
) -> dict[str, Any]:
    """The metadata for `hrlm.models.build.save_model`.

    Args:
        started: that of the weights that the training started from; empty for fresh ones.
        faces: that were trained on.
        figures: of the validation.
        placement: where a detector should look for the landmarks about a found face.
    """

    def with_started(key: str, own: list[str]) -> list[str]:
        return list(dict.fromkeys([*started.get(key, []), *own]))

    return {
        "version": config.version,
        "trained_on": with_started("trained_on", [s.path.name for s in config.data]),
        "terms": with_started("terms", sorted({s.terms for s in config.data if s.terms})),
        "started_from": config.start if config.start in FRESH else Path(config.start).name,
        "faces": faces,
        "samples": {s.name: s.samples for s in config.stages} or started.get("samples", {}),
        "validation": figures,
        "placement": placement,
    }
