"""Training objectives on raw score maps; the decoder that they train for is `hrlm.models.heatmaps`.

`docs/objectives.md` has the formulas and where they come from.
"""

from __future__ import annotations

from torch import Tensor

from hrlm.training.config import Stage
from hrlm.training.objectives.awing import adaptive_wing
from hrlm.training.objectives.gaussian_nll import gaussian_nll
from hrlm.training.objectives.labels import Label
from hrlm.training.objectives.soft_argmax import soft_argmax
from hrlm.training.objectives.star import star
from hrlm.training.objectives.structured import structured

__all__ = ["Label", "adaptive_wing", "gaussian_nll", "objective", "soft_argmax", "star", "structured"]


def objective(scores: Tensor, label: Label, stage: Stage) -> Tensor:
    """Losses `(B, N)` of raw score maps `(B, N, H, W)` by the objective that the stage names."""
    match stage.objective:
        case "soft-argmax":
            return soft_argmax(scores, label, stage.coordinate_weight)
        case "structured":
            return structured(scores, label, stage.margin)
        case "awing":
            return adaptive_wing(scores, label)
        case "gaussian-nll":
            return gaussian_nll(scores, label, stage.coordinate_weight)
        case "star":
            return star(scores, label, stage.coordinate_weight)
    raise ValueError(f"no objective {stage.objective!r}")
