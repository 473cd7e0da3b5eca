"""A rehearsal: ten steps of every stage and everything that comes between and after, in a folder that goes again."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from hrlm.models.build import load_model
from hrlm.training.config import Stage, TrainConfig
from hrlm.training.trainer import Trainer

STEPS = 10
FACES = 8
FACES_TO_FIT = 60
Say = Callable[[str], None]


class _Stopped(Exception):
    """The first trainer's end half-way."""


def rehearse(config: TrainConfig, device: torch.device, say: Say) -> None:
    """Train ten steps of each stage with the real data, batches and sizes, and throw the result away.

    A first trainer is stopped within the first stage; a second one goes on from its checkpoint, validates, keeps the
    best, calibrates on a few faces and writes weights, which are read again. Without stages only the latter is done.

    Raises:
        HrlmError: whatever would have stopped the real training.
    """
    with tempfile.TemporaryDirectory(prefix="hrlm-smoke-") as folder:
        stages = tuple(_short(s) for s in config.stages)
        short = replace(config, out=Path(folder), stages=stages, checkpoint_seconds=0)

        def stop(stage: str, done: int, total: int, loss: float) -> None:
            if done >= total // 2:
                raise _Stopped

        first = Trainer(short, device, say, stop)
        first.load_data()
        first.validation = [first.validation[i] for i in range(min(FACES, len(first.validation)))]
        if stages:
            try:
                first.run()
            except _Stopped:
                say("smoke: stopped on purpose, going on from the checkpoint")
        second = Trainer(short, device, say, lambda *_: None)
        second.groups, second.shares, second.validation = first.groups, first.shares, first.validation
        second.described, second.faces_to_fit = first.described, FACES_TO_FIT
        load_model(second.run(), device)
        say("smoke: " + ("all stages, checkpoint, resume, " if stages else "") + "validation and writing work")


def _short(stage: Stage) -> Stage:
    return replace(stage, samples=STEPS * stage.batch, validate_every=STEPS // 2 * stage.batch, patience=0)
