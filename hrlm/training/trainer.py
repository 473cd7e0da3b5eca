"""The trainer: stages, checkpoints, validation, calibration and the finished weight file."""

from __future__ import annotations

import copy
import csv
import ctypes
import math
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from hrlm.errors import DataError, HrlmError, ModelError
from hrlm.geometry import face_crop
from hrlm.models.build import (
    ModelConfig,
    build_model,
    load_imagenet_backbones,
    load_model,
    save_model,
)
from hrlm.models.nets import LandmarkModel
from hrlm.schemes import load_scheme
from hrlm.training.batches import training_batches
from hrlm.training.config import FRESH, Stage, TrainConfig
from hrlm.training.conventions import fit_convention
from hrlm.training.data import Sample, load_samples, split
from hrlm.training.step import batch_losses
from hrlm.training.validation import calibrate, predict, validate

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
Say = Callable[[str], None]
Progress = Callable[[str, int, int, float], None]


class Trainer:
    """Trains a model as a configuration says; a second trainer with the same `out` goes on where the first stopped.

    Args:
        config: what to do.
        device: where.
        say: takes a line for people.
        progress: takes the stage's name, samples done, samples in all and the mean loss.
    """

    def __init__(self, config: TrainConfig, device: torch.device, say: Say, progress: Progress) -> None:
        self.config, self.device, self.say, self.progress = config, device, say, progress
        scheme = load_scheme(config.scheme)
        started_from: LandmarkModel | None = None
        if config.start in FRESH:
            self.model = ModelConfig(**{"name": config.name, "scheme": scheme.source, **config.model})
        else:
            loaded = load_model(config.start)
            if loaded.net.scheme.landmarks != scheme.landmarks:
                raise ModelError(f"{config.start}: was trained for another scheme than {scheme.name}")
            self.model, started_from = loaded.config, loaded.net
        torch.manual_seed(config.seed)
        self.net = build_model(self.model)
        if config.start == "imagenet":
            load_imagenet_backbones(self.net)
        elif started_from is not None:
            self.net.load_state_dict(started_from.state_dict())
        self.net.to(device)
        self.ema = copy.deepcopy(self.net).eval().requires_grad_(False)
        self.out = config.out
        self.groups: list[list[Sample]] = []
        self.validation: list[Sample] = []

    def load_data(self) -> None:
        """Read every source.

        Raises:
            DataError: nothing usable in one of them.
        """
        side = max(s.max_side for s in self.config.stages)
        for source in self.config.data:
            samples, problems = load_samples(source.path, self.net.scheme, side)
            for problem in problems:
                self.say(f"passed over: {problem}")
            if not samples:
                raise DataError(f"{source.path}: none of its landmark files fits {self.net.scheme.name}")
            if source.own_convention:
                samples = self._translated(samples, source.path.name)
            training, validation = split(samples, source.validation_every)
            self.groups.append(training)
            self.validation += validation
            self.say(f"{source.path.name}: {len(training)} faces to train on, {len(validation)} to validate on")

    @property
    def training(self) -> list[Sample]:
        """Every source's faces to train on."""
        return [sample for group in self.groups for sample in group]

    def _translated(self, samples: list[Sample], name: str) -> list[Sample]:
        """The samples with labels moved into the convention of the weights that training starts from."""
        start = load_model(self.config.start, self.device)
        convention = fit_convention(
            predict(start.net, start.config, samples, self.device), [s.points for s in samples], self.net.scheme
        )
        size = np.linalg.norm(convention.offsets[0], axis=-1)
        self.say(
            f"{name}: labels moved by {100 * size.mean():.2f} % of the normaliser in the mean, to {start.info.name}'s"
        )
        return [replace(s, points=convention.apply(s.points)) for s in samples]

    def run(self) -> Path:
        """Train all stages, calibrate and write the weights; returns their path."""
        keep_freed_memory()
        self.out.mkdir(parents=True, exist_ok=True)
        self.load_data()
        first, step, state = self._resume()
        if first == 0 and step == 0 and self.config.start in FRESH:
            points = torch.stack([self._upright(s) for s in self.training])
            for net in (self.net, self.ema):
                net.attention.fit(points.to(self.device), margin=1.5)
        for number in range(first, len(self.config.stages)):
            self._run_stage(number, step, state)
            step, state = 0, None
        return self.finish()

    def finish(self) -> Path:
        """Calibrate the averaged weights on the validation faces and write them."""
        figures: dict[str, Any] = {}
        if self.validation:
            calibrate(self.ema, self.model, self.validation, self.device)
            figures = validate(self.ema, self.model, self.validation, self.device)
            self.say("validation: " + ", ".join(f"{k} {v:.4g}" for k, v in figures.items()))
        path = self.out / f"hrlm-{self.config.name}.safetensors"
        metadata = {
            "version": self.config.version,
            "trained_on": [s.path.name for s in self.config.data],
            "terms": sorted({s.terms for s in self.config.data if s.terms}),
            "started_from": self.config.start if self.config.start in FRESH else Path(self.config.start).name,
            "faces": len(self.training),
            "samples": {s.name: s.samples for s in self.config.stages},
            "validation": figures,
        }
        save_model(path, self.ema, self.model, metadata)
        return path

    def _upright(self, sample: Sample) -> torch.Tensor:
        points = torch.from_numpy(sample.points)[None]
        return face_crop(points, self.net.scheme.normaliser, self.model.face_size, 1.0).to_crop(points)[0].float()

    def _run_stage(self, number: int, start: int, state: dict[str, Any] | None) -> None:
        stage, config = self.config.stages[number], self.config
        steps = stage.samples // stage.batch
        optimizer = self._optimizer(stage)
        generator = torch.Generator().manual_seed(config.seed * 1000 + number)
        if state is not None:
            optimizer.load_state_dict(state["optimizer"])
            generator.set_state(state["generator"])
        self._learn_only(stage)
        saved = time.monotonic()
        average = math.nan
        batches = training_batches(
            self.groups,
            [s.share for s in config.data],
            self.net.scheme,
            self.model,
            stage,
            (config.seed, number),
            start,
            config.workers,
        )
        for step, batch in enumerate(batches, start):
            rate = learning_rate(step, steps)
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * rate
            losses = batch_losses(self.net, batch, stage, self.device, generator)
            loss = losses.total
            if not torch.isfinite(loss):
                raise HrlmError(f"{config.name}: the loss of stage {stage.name} is {loss.item()} at step {step}")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_([p for g in optimizer.param_groups for p in g["params"]], 5.0)
            optimizer.step()
            self._average(min(config.ema, (1 + step) / (10 + step)), reset=step == 0)
            value = float(loss.detach())
            average = value if math.isnan(average) else 0.98 * average + 0.02 * value
            done = (step + 1) * stage.batch
            self.progress(stage.name, done, stage.samples, average)
            figures: dict[str, float] = {}
            every = stage.validate_every
            if self.validation and every and done // every > step * stage.batch // every:
                figures = validate(self.ema, self.model, self.validation, self.device)
                self._learn_only(stage)
                text = ", ".join(f"{k} {v:.4g}" for k, v in figures.items())
                self.say(f"{stage.name} {done}/{stage.samples}: loss {average:.4f}, {text}")
            if figures or step % 20 == 19:
                self._log(stage.name, done, average, rate, figures)
            if time.monotonic() - saved > config.checkpoint_seconds:
                self._save(number, step + 1, optimizer, generator)
                saved = time.monotonic()
        self._save(number + 1, 0, optimizer, generator)

    def _learn_only(self, stage: Stage) -> None:
        parts = {"global": self.net.global_net, "attention": self.net.attention, "regional": self.net.regional_net}
        for name, part in parts.items():
            part.requires_grad_(name in stage.train)
            part.train(name in stage.train)

    def _optimizer(self, stage: Stage) -> torch.optim.Optimizer:
        self._learn_only(stage)
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, parameter in self.net.named_parameters():
            if parameter.requires_grad:
                slow = stage.backbone_rate if ".backbone." in name else 1.0
                decay = 0.01 if parameter.ndim > 1 else 0.0
                groups.setdefault((slow, decay), []).append(parameter)
        return torch.optim.AdamW(
            [{"params": p, "weight_decay": decay, "peak": stage.rate * slow} for (slow, decay), p in groups.items()],
            lr=stage.rate,
        )

    @torch.no_grad()
    def _average(self, decay: float, reset: bool) -> None:
        for ours, theirs in zip(self.ema.state_dict().values(), self.net.state_dict().values(), strict=True):
            if ours.is_floating_point() and not reset:
                ours.lerp_(theirs, 1 - decay)
            else:
                ours.copy_(theirs)

    def _save(self, stage: int, step: int, optimizer: torch.optim.Optimizer, generator: torch.Generator) -> None:
        path = self.out / "checkpoint.pt"
        partial = path.with_suffix(".part")
        torch.save(
            {
                "stage": stage,
                "step": step,
                "net": self.net.state_dict(),
                "ema": self.ema.state_dict(),
                "optimizer": optimizer.state_dict(),
                "generator": generator.get_state(),
            },
            partial,
        )
        partial.replace(path)

    def _resume(self) -> tuple[int, int, dict[str, Any] | None]:
        path = self.out / "checkpoint.pt"
        if not path.exists():
            return 0, 0, None
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            self.net.load_state_dict(state["net"])
            self.ema.load_state_dict(state["ema"])
        except Exception as e:
            reason = str(e).splitlines()[0]
            raise ModelError(f"{path}: does not fit this configuration ({reason}): remove it or change out") from e
        self.say(f"resuming from {path} at stage {state['stage'] + 1}, step {state['step']}")
        return state["stage"], state["step"], state if state["step"] else None

    def _log(self, stage: str, samples: int, loss: float, rate: float, figures: dict[str, float]) -> None:
        path = self.out / "log.csv"
        names = ("global nme", "global inner", "full nme", "full inner")
        fresh = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as f:
            writer = csv.writer(f)
            if fresh:
                writer.writerow(["time", "stage", "samples", "loss", "rate", *names])
            row = [f"{time.time():.0f}", stage, samples, f"{loss:.5f}", f"{rate:.5f}"]
            writer.writerow(row + [f"{figures[n]:.5f}" if n in figures else "" for n in names])


def keep_freed_memory() -> None:
    """Let glibc keep freed blocks for reuse: giving large activations back at every step costs a third of the time."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(M_MMAP_THRESHOLD, 1 << 30)
            libc.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)


def learning_rate(step: int, steps: int) -> float:
    """Share of the peak rate at a step: linear warm-up over 5 % of the steps, then a half cosine to 1 %."""
    warm = max(1, round(0.05 * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
