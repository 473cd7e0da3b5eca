"""The trainer: stages, checkpoints, validation, calibration and the finished weight file."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hrlm.finding import FaceFinder
from hrlm.geometry import face_crop
from hrlm.models.build import load_model, save_model
from hrlm.models.native import NativeLevel
from hrlm.schemes import load_scheme
from hrlm.training.batches import Batch, training_batches
from hrlm.training.begun import described, refuse_changes
from hrlm.training.checkpoints import Best, Place, check_writable, load, refuse, save, save_failed
from hrlm.training.config import FRESH, Stage, TrainConfig
from hrlm.training.conventions import mean_move
from hrlm.training.data import Entry, Joined, Sample, Samples
from hrlm.training.distributed import Processes
from hrlm.training.gathering import gather
from hrlm.training.log import Clock, Log
from hrlm.training.made import metadata
from hrlm.training.memory import keep_freed_memory, recomputed_activations
from hrlm.training.native_step import validate_native
from hrlm.training.optimisation import average_into, learn_only, learning_rate, make_optimizer
from hrlm.training.placement import PLACED_FACES, check_normaliser, placement
from hrlm.training.shape_fitting import ENOUGH, fit_shape_model
from hrlm.training.starting import check_stages, start
from hrlm.training.step import batch_losses
from hrlm.training.validation import calibrate, change_table, predict, region_errors, validate

# faces that settle how far a training has moved the landmarks
MOVED_FACES = 200
Say = Callable[[str], None]
Progress = Callable[[str, int, int, float], None]


class Trainer:
    """Trains a model as a configuration says; a second trainer with the same `out` goes on where the first stopped.

    Args:
        config: what to do.
        device: where.
        say: takes a line for people.
        progress: takes the stage's name, samples done, samples in all and the mean loss.
        processes: which one this is of those that train together; the first one speaks and writes.

    Raises:
        ConfigError: a stage cannot be done on this device or by so many processes.
        ModelError: the weights to start from do not fit.
    """

    def __init__(
        self,
        config: TrainConfig,
        device: torch.device,
        say: Say,
        progress: Progress,
        processes: Processes | None = None,
    ) -> None:
        self.config, self.device, self.say, self.progress = config, device, say, progress
        self.processes = processes or Processes()
        check_stages(config.stages, device, self.processes.count)
        self.scheme = load_scheme(config.scheme)
        started = start(config, self.scheme)
        self.model, self.net = started.model, started.net
        self.started_from, self.shape_before = started.metadata, started.shape
        self.net.to(device)
        self.ema = copy.deepcopy(self.net).eval().requires_grad_(False)
        self.out = config.out
        self.faces_to_fit = ENOUGH
        """How many of the training faces the shape model is fitted to at most."""
        self.groups: list[Samples] = []
        self.shares: list[float] = []
        self.validation: Sequence[Sample] = []
        self.described: dict[str, Any] = {}
        """The faces, as `begun` describes them."""
        self.begun: dict[str, Any] = {}

    def load_data(self) -> None:
        """Read every source.

        Raises:
            DataError: nothing usable in one of them.
            SchemeError: the scheme's normaliser stands faces up otherwise than the face finder does.
        """
        refined = self.net.native.landmarks if self.net.native is not None and self.config.native else ()
        gathered = gather(self.config, self.scheme, self.device, self.say, self.model.face_margin, refined)
        self.groups, self.shares, self.validation = gathered.groups, gathered.shares, gathered.validation
        self.described = gathered.described
        points = [face.points for face in self.training]
        some = partial(Joined, self.groups, PLACED_FACES)
        check_normaliser(self.config.scheme, self.scheme, points, some, FaceFinder().find)
        if gathered.prior is not None:
            for net in (self.net, self.ema):
                if net.native is not None:
                    net.native.offset.copy_(torch.from_numpy(gathered.prior.offset))
                    net.native.prior_scale.fill_(gathered.prior.share)

    @property
    def training(self) -> list[Entry]:
        """Every source's faces to train on, unread."""
        return [entry for group in self.groups for entry in group.entries]

    def run(self) -> Path:
        """Train all stages, calibrate and write the weights; returns their path.

        Raises:
            ConfigError: a training that was begun in the same `out` cannot go on with this configuration.
            HrlmError: the faces cannot be had, a step failed, or something cannot be written.
        """
        keep_freed_memory()
        if self.processes.first:
            check_writable(self.out)
        if not self.groups:
            self.load_data()
        self.begun = described(self.config, self.model, self.scheme, self.described)
        first, state = self._resume()
        if first == 0 and state is None and self.config.start in FRESH:
            points = torch.stack([self._upright(s) for s in self.training])
            for net in (self.net, self.ema):
                net.attention.fit(points.to(self.device), margin=1.5)
        log = Log(self.out, self.config.tensorboard) if self.processes.first else None
        try:
            for number in range(first, len(self.config.stages)):
                self._run_stage(number, state, log)
                state = None
        finally:
            if log:
                log.close()
        return self.finish()

    def finish(self) -> Path:
        """Calibrate the averaged weights on the validation faces and write them."""
        path = self.config.weights
        if not self.processes.first:
            self.processes.wait()
            return path
        figures: dict[str, Any] = {}
        if not self.config.native:
            if self.validation:
                calibrate(self.ema, self.model, self.validation, self.device)
            self._fit_shape_model()
        if self.ema.native is not None and not self.config.refines:
            self._move_level_2(self.ema.native)
        if self.validation:
            figures = self._figures()
            self.say("validation: " + ", ".join(f"{k} {v:.4g}" for k, v in figures.items()))
            if not self.config.native:
                self._say_changes()
        if self.config.refines:
            figures = {**self.started_from.get("validation", {}), **figures}
        place = self.started_from.get("placement")
        if not self.config.refines:
            place = placement(Joined(self.groups, PLACED_FACES), FaceFinder().find)
        about = metadata(self.config, self.started_from, len(self.training), figures, place)
        save_model(path, self.ema, self.model, about)
        self.processes.wait()
        return path

    def _move_level_2(self, level: NativeLevel) -> None:
        """Level 2 answers in the convention of the levels before: what they learnt, it has to follow."""
        start = load_model(self.config.start, self.device)
        faces = Joined(self.groups, MOVED_FACES)
        before, after = (
            predict(net, model, faces, self.device)
            for net, model in ((start.net, start.config), (self.ema, self.model))
        )
        move = torch.from_numpy(mean_move(before, after, self.scheme)).to(level.offset)
        level.offset += move
        size = 100 * float(move[level.landmarks].norm(dim=-1).mean())
        self.say(f"level 2's landmarks moved by {size:.2f} % of the normaliser in the mean, with the levels before")

    def _fit_shape_model(self) -> None:
        before = self.shape_before
        before = before.cpu() if before is not None else None
        faces = Joined(self.groups)
        found = fit_shape_model(self.ema, self.model, faces, self.validation, self.device, before, self.faces_to_fit)
        self.ema.shape_model = found
        self.model = replace(self.model, shape_modes=found.modes.shape[1] if found else 0)
        self.say(f"shape model: {self.model.shape_modes} components" if found else "shape model: none")

    def _figures(self) -> dict[str, float]:
        """What the averaged weights do on the validation faces."""
        if self.ema.native is not None and self.config.native:
            return validate_native(self.ema.native, self.validation, self.device)
        return validate(self.ema, self.model, self.validation, self.device)

    def _say_changes(self) -> None:
        """What the weights do on the validation faces beside what those did that the training started from."""
        before = None
        if self.config.start not in FRESH:
            start = load_model(self.config.start, self.device)
            # by one measure, whatever the scheme was then
            start.net.scheme = self.scheme
            before = region_errors(start.net, start.config, self.validation, self.device)
        after = region_errors(self.ema, self.model, self.validation, self.device)
        self.say(f"NME in % on the {len(self.validation)} validation faces:")
        for line in change_table(before, after):
            self.say(line)

    def _upright(self, sample: Entry) -> torch.Tensor:
        points = torch.from_numpy(sample.points)[None]
        return face_crop(points, self.net.scheme.normaliser, self.model.face_size, 1.0).to_crop(points)[0].float()

    def _run_stage(self, number: int, state: dict[str, Any] | None, log: Log | None) -> None:
        stage, config = self.config.stages[number], self.config
        optimizer = make_optimizer(self.net, stage)
        generator = torch.Generator().manual_seed(config.seed * 1000 + number)
        scaler = torch.amp.GradScaler(self.device.type, enabled=stage.precision == "fp16")
        place = Place()
        if state is not None:
            # rates are the configuration's: who goes on after a failed step may have lowered them
            own = [{key: group[key] for key in ("peak", "weight_decay")} for group in optimizer.param_groups]
            try:
                optimizer.load_state_dict(state["optimizer"])
                for group, kept in zip(optimizer.param_groups, own, strict=True):
                    group.update(kept)
                generator.set_state(state["generator"])
                scaler.load_state_dict(state["scaler"])
                place = Place(**state["place"])
            except (ValueError, KeyError, TypeError, RuntimeError) as e:
                raise refuse(self.out / "checkpoint.pt", e) from e
        learn_only(self.net, stage)
        saved, clock = time.monotonic(), Clock()
        before = sum(s.samples for s in config.stages[:number])
        batches = training_batches(
            self.groups,
            self.shares,
            self.net.scheme,
            self.model,
            stage,
            (config.seed, number),
            place.step,
            config.workers,
            self.processes.rank,
            self.processes.count,
        )
        with recomputed_activations(self.net, stage.checkpoint_activations):
            while place.step < stage.steps and not (stage.patience and place.waited >= stage.patience):
                rate = learning_rate(place.step, stage.steps)
                for group in optimizer.param_groups:
                    group["lr"] = group["peak"] * rate
                value = self._step(stage, place, batches, optimizer, scaler, generator, clock)
                decay = min(config.ema, (1 + place.step) / (10 + place.step)) if place.step else 0.0
                average_into(self.ema, self.net, decay)
                place.average = value if math.isnan(place.average) else 0.98 * place.average + 0.02 * value
                place.step += 1
                done = place.step * stage.batch
                self.progress(stage.name, done, stage.samples, place.average)
                figures = self._validate(number, place) if self._validates(stage, place.step) else {}
                if log and (figures or place.step % 20 == 0):
                    told = {"loss": place.average, "rate": rate, **clock.read()}
                    log.write(stage.name, done, before, {**told, **figures})
                    if figures:
                        text = ", ".join(f"{k} {v:.4g}" for k, v in figures.items())
                        waiting = 100 * told["loading_seconds"] / max(1e-9, told["step_seconds"])
                        self.say(
                            f"{stage.name} {done}/{stage.samples}: loss {place.average:.4f}, {text}; "
                            f"{told['step_seconds']:.2f} s a step, {waiting:.0f} % of it waiting for photos"
                        )
                if time.monotonic() - saved > config.checkpoint_seconds:
                    self._save(number, place, optimizer, scaler, generator)
                    saved = time.monotonic()
        if place.step < stage.steps:
            self.say(f"{stage.name}: ends early, {stage.patience} validations without a better figure")
        if config.keep == "best":
            self._take_best(number)
        else:
            # the averaged weights are the stage's result: later stages learn on what is written in the end
            self.net.load_state_dict(self.ema.state_dict())
        self._save(number + 1, Place(), optimizer, scaler, generator)

    def _step(
        self,
        stage: Stage,
        place: Place,
        batches: Iterator[Batch],
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        generator: torch.Generator,
        clock: Clock,
    ) -> float:
        """One step of the optimiser over all parts of its batch; returns the mean loss."""
        processes = self.processes
        drawn, total = generator.get_state(), 0.0
        optimizer.zero_grad(set_to_none=True)
        for k in range(stage.accumulate):
            with clock.waiting():
                batch = next(batches)
            generator.set_state(drawn)
            part = processes.rank * stage.accumulate + k
            losses = batch_losses(
                self.net, batch, stage, self.device, generator, part, processes.count * stage.accumulate
            )
            value = float(losses.total.detach())
            if not math.isfinite(value):
                raise save_failed(self.out, batch, stage, place.step, f"the loss is {value}", processes.rank)
            scaler.scale(losses.total / stage.accumulate).backward()
            total += value / stage.accumulate
        parameters = [p for g in optimizer.param_groups for p in g["params"]]
        processes.average_gradients(parameters)
        scaler.unscale_(optimizer)
        norm = float(nn.utils.clip_grad_norm_(parameters, stage.clip or math.inf))
        # in fp16 a gradient may overflow: the scaler leaves that step out
        if not math.isfinite(norm) and not scaler.is_enabled():
            raise save_failed(self.out, batch, stage, place.step, f"the gradient is {norm}", processes.rank)
        scaler.step(optimizer)
        scaler.update()
        processes.average_statistics(self.net)
        clock.steps += 1
        return processes.mean(total, self.device)

    def _validates(self, stage: Stage, step: int) -> bool:
        if not self.validation:
            return False
        if step == stage.steps and self.config.keep == "best":
            return True
        every = stage.validate_every
        return bool(every) and step * stage.batch // every > (step - 1) * stage.batch // every

    def _validate(self, number: int, place: Place) -> dict[str, float]:
        """Figures of the averaged weights; those that are the stage's best so far are kept in a file."""
        stage = self.config.stages[number]
        figures: dict[str, float] = {}
        if self.processes.first:
            figures = self._figures()
        figures = self.processes.share(figures)
        figure = figures[next((f"{name} nme" for name in ("global", "native") if stage.train == (name,)), "full nme")]
        place.waited += 1
        if figure < place.best:
            place.best, place.waited = figure, 0
            if self.processes.first:
                save(self.out / "best.pt", Best(number, place.step, figures, self.ema.state_dict()).content())
        return figures

    def _take_best(self, number: int) -> None:
        self.processes.wait()
        best = Best(**load(self.out / "best.pt"))
        if best.stage != number:
            return
        for net in (self.net, self.ema):
            net.load_state_dict(best.ema)
        self.say(f"{self.config.stages[number].name}: kept the weights of step {best.step}")

    def _save(
        self,
        stage: int,
        place: Place,
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        generator: torch.Generator,
    ) -> None:
        if self.processes.first:
            content = {
                "stage": stage,
                "place": place.content(),
                "net": self.net.state_dict(),
                "ema": self.ema.state_dict(),
                "optimizer": optimizer.state_dict(),
                "scaler": scaler.state_dict(),
                "generator": generator.get_state(),
                "begun": self.begun,
            }
            save(self.out / "checkpoint.pt", content)

    def _resume(self) -> tuple[int, dict[str, Any] | None]:
        """The stage to go on with, and the checkpoint if it was made within that stage."""
        path = self.out / "checkpoint.pt"
        # without stages the networks are those that it starts from, whatever a training left here
        if not self.config.stages or not path.exists():
            return 0, None
        state = load(path)
        try:
            stage, step = state["stage"], state["place"]["step"]
            if "begun" in state:
                for line in refuse_changes(path, state["begun"], self.begun, stage, step):
                    self.say(line)
            else:
                self.say(f"{path}: an older hrlm did not note what it was begun with: see that it was with this")
            self.net.load_state_dict(state["net"])
            self.ema.load_state_dict(state["ema"])
        except (KeyError, TypeError, RuntimeError) as e:
            raise refuse(path, e) from e
        if stage < len(self.config.stages):
            self.say(f"resuming from {path} at stage {stage + 1}, step {step}")
        else:
            self.say(f"{path}: is finished already: nothing more is learnt; add a stage, or remove it to begin anew")
        return stage, state if step else None
