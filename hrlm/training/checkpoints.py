"""Files that a training goes on from, and those that tell why it could not."""

from __future__ import annotations

import math
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hrlm.errors import HrlmError, ModelError
from hrlm.formats.atomic import WriteError, replacing
from hrlm.training.batches import Batch
from hrlm.training.config import Stage


@dataclass
class Place:
    """Where a stage stands.

    Args:
        step: steps done.
        average: running mean of the loss.
        best: the best validation figure so far.
        waited: validations since then.
    """

    step: int = 0
    average: float = math.nan
    best: float = math.inf
    waited: int = 0

    def content(self) -> dict[str, float]:
        """As a checkpoint holds it."""
        return asdict(self)


@dataclass(frozen=True)
class Best:
    """The averaged weights with the best validation figure of a stage."""

    stage: int
    step: int
    figures: dict[str, float]
    ema: dict[str, Tensor]

    def content(self) -> dict[str, Any]:
        """As `best.pt` holds it."""
        return {"stage": self.stage, "step": self.step, "figures": self.figures, "ema": self.ema}


def check_writable(folder: Path) -> None:
    """Make the folder of a training's files, and sure that it takes some: not only when there are results.

    Raises:
        WriteError: it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as e:
        raise WriteError(folder, e) from e


def save(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint, whole or not at all."""
    with replacing(path) as f:
        torch.save(content, f)


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint; nothing but tensors, numbers, text and containers of them is read.

    Raises:
        ModelError: missing, damaged or no checkpoint.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:
        # damage shows in whatever way the archive and its pickle are broken
        raise refuse(path, e) from e
    if not isinstance(state, dict):
        raise refuse(path, TypeError("holds no mapping"))
    return state


def refuse(path: Path, reason: Exception) -> ModelError:
    """The error of a checkpoint that cannot be gone on from."""
    text = (str(reason).splitlines() or [type(reason).__name__])[0]
    return ModelError(f"{path}: does not fit this configuration ({text}): remove it or change out")


def save_failed(out: Path, batch: Batch, stage: Stage, step: int, what: str, rank: int) -> HrlmError:
    """Keep the batch that a step failed on; returns the error that names its file."""
    path = out / f"failed-batch{rank or ''}.pt"
    content = {
        "stage": stage.name,
        "step": step,
        "pixels": batch.pixels,
        "photos": [torch.from_numpy(p) for p in batch.photos],
        "points": batch.points,
        "visible": batch.visible,
        "centre": batch.face.centre,
        "side": batch.face.side,
        "angle": batch.face.angle,
        "mirrored": batch.face.mirrored,
    }
    save(path, content)
    return HrlmError(
        f"stage {stage.name}: {what} at step {step}; its batch is in {path}: look for faulty labels there, or lower "
        f"the stage's rate (precision {stage.precision}) and run again to go on from the last checkpoint"
    )
