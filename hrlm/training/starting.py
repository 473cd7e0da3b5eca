"""What a training starts from: fresh networks, ImageNet's backbones or the weights of another training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from hrlm.errors import ConfigError
from hrlm.models.build import ModelConfig, build_model, load_imagenet_backbones, load_model
from hrlm.models.nets import LandmarkModel
from hrlm.models.shape import ShapeModel
from hrlm.schemes import Scheme
from hrlm.training.config import FRESH, Stage, TrainConfig


@dataclass(frozen=True)
class Start:
    """A model before its training.

    Args:
        model: its hyper-parameters; without a shape model where one is to be fitted in the end.
        net: the networks, on the CPU.
        metadata: of the weights that it starts from; empty for fresh ones.
        shape: the shape model that those weights had, where it must be fitted anew.
    """

    model: ModelConfig
    net: LandmarkModel
    metadata: Mapping[str, Any] = field(default_factory=dict)
    shape: ShapeModel | None = None


def check_stages(stages: Sequence[Stage], device: torch.device, processes: int) -> None:
    """Make sure that every stage can be done.

    Raises:
        ConfigError: not on this device or by so many processes.
    """
    for stage in stages:
        if stage.batch % (stage.accumulate * processes):
            raise ConfigError(
                f"stage {stage.name}: a batch of {stage.batch} cannot be split evenly over {processes} "
                f"processes with accumulate {stage.accumulate}: change batch"
            )
        if stage.precision == "fp16" and device.type != "cuda":
            raise ConfigError(f"stage {stage.name}: precision fp16 needs a CUDA GPU: use bf16 or float32")


def start(config: TrainConfig, scheme: Scheme) -> Start:
    """The model that a configuration starts from; fresh parts are drawn from `config.seed`.

    Args:
        scheme: as it is today; weights carry it as it was when they were trained.

    Raises:
        ConfigError: the configuration asks for another network or scheme than the weights have.
        ModelError: the weights cannot be read.
    """
    if config.start in FRESH:
        model = ModelConfig(**{"name": config.name, "scheme": scheme.source, **config.model, "shape_modes": 0})
        torch.manual_seed(config.seed)
        net = build_model(model)
        if config.start == "imagenet":
            load_imagenet_backbones(net)
        return Start(model, net)
    loaded = load_model(config.start)
    if changed := _changed(loaded.net.scheme, scheme, level_2=loaded.net.native is not None):
        raise ConfigError(
            f"scheme: {changed} of {scheme.name} differ from those that {config.start} was trained with: "
            "set scheme to the one that it was trained with, or start from imagenet"
        )
    # contours, subsets and what else networks do not follow are as they are today
    model, shape = replace(_extended(loaded.config, config), scheme=scheme.source), None
    if not config.native:
        # what the levels find will change, and with it what is left to say of it
        shape, loaded.net.shape_model = loaded.net.shape_model, None
        model = replace(model, shape_modes=0)
    torch.manual_seed(config.seed)
    net = build_model(model)
    weights = loaded.net.state_dict()
    if model.regional_coarsest < loaded.config.regional_coarsest:
        known = net.state_dict()
        weights = {name: value for name, value in weights.items() if name in known or "regional_net." not in name}
    # level 2 may be new
    net.load_state_dict(weights, strict=not config.native)
    return Start(model, net, loaded.metadata, shape)


def _changed(then: Scheme, now: Scheme, level_2: bool) -> str:
    """What of a scheme has changed that the weights' channels rest on; empty for nothing.

    Mirror pairs and regions say which channel is whose: networks that learnt them otherwise would go on with left and
    right mixed up.

    Args:
        level_2: the weights have one: it measures in units of the normaliser.
    """
    seen = [[(r.landmarks, r.mirrored) for r in scheme.regions] for scheme in (then, now)]
    if then.landmarks != now.landmarks:
        return "the landmarks"
    if then.mirror != now.mirror:
        other = next(i for i, twin in enumerate(then.mirror) if twin != now.mirror[i])
        return f"the mirror pairs ({now.landmarks[other]})"
    if seen[0] != seen[1]:
        return "the regions"
    return "the two landmarks of the normaliser" if level_2 and then.normaliser != now.normaliser else ""


def _extended(started: ModelConfig, config: TrainConfig) -> ModelConfig:
    """A weight file's hyper-parameters with level 2 and the tiles' sizes as configured, without the coarsest features
    where those are not wanted; the rest the weights settle."""
    free = {"region_size", "region_sizes"}
    if config.model.get("regional_coarsest", 32) <= started.regional_coarsest:
        free.add("regional_coarsest")
    fixed = {k: v for k, v in config.model.items() if k not in free and not (config.native and k.startswith("native"))}
    other = [k for k, v in fixed.items() if getattr(started, k, None) != v]
    if other:
        raise ConfigError(
            f"model: {other[0]} is {fixed[other[0]]!r}, but {config.start} was trained with another: drop it"
        )
    model = replace(started, **config.model, name=config.name)
    if config.native and not model.native:
        raise ConfigError("level 2 needs the landmarks to look at: list them as model: {native: [...]}")
    return model
