"""What a training starts from: fresh networks, ImageNet's backbones or the weights of another training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from hrlm.errors import ConfigError, ModelError
from hrlm.models.build import ModelConfig, build_model, load_imagenet_backbones, load_model
from hrlm.models.nets import LandmarkModel
from hrlm.models.shape import ShapeModel
from hrlm.schemes import Scheme
from hrlm.training.config import FRESH, TrainConfig


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


def start(config: TrainConfig, scheme: Scheme) -> Start:
    """The model that a configuration starts from; fresh parts are drawn from `config.seed`.

    Args:
        scheme: as it is today; weights carry it as it was when they were trained.

    Raises:
        ConfigError: the configuration asks for another network than the weights have.
        ModelError: the weights cannot be read or are for another scheme.
    """
    if config.start in FRESH:
        model = ModelConfig(**{"name": config.name, "scheme": scheme.source, **config.model, "shape_modes": 0})
        torch.manual_seed(config.seed)
        net = build_model(model)
        if config.start == "imagenet":
            load_imagenet_backbones(net)
        return Start(model, net)
    loaded = load_model(config.start)
    if loaded.net.scheme.landmarks != scheme.landmarks:
        raise ModelError(f"{config.start}: was trained for another scheme than {scheme.name}")
    model, shape = _extended(loaded.config, config), None
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
