"""What learns, how fast and in which precision, and the average that is kept of it."""

from __future__ import annotations

import math

import torch
from torch import nn

from hrlm.models.nets import LandmarkModel
from hrlm.training.config import Stage

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def learn_only(net: LandmarkModel, stage: Stage) -> None:
    """Set the parts that the stage trains to learn, the others to stay as they are."""
    parts = {"global": net.global_net, "attention": net.attention, "regional": net.regional_net, "native": net.native}
    for name, part in parts.items():
        if part is None:
            continue
        part.requires_grad_(name in stage.train)
        part.train(name in stage.train)


def make_optimizer(net: LandmarkModel, stage: Stage) -> torch.optim.Optimizer:
    """AdamW over what the stage trains; each group's `peak` is its rate after the warm-up."""
    learn_only(net, stage)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            slow = stage.backbone_rate if ".backbone." in name else 1.0
            decay = 0.01 if parameter.ndim > 1 else 0.0
            groups.setdefault((slow, decay), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": p, "weight_decay": decay, "peak": stage.rate * slow} for (slow, decay), p in groups.items()],
        lr=stage.rate,
    )


def autocast(device: torch.device, stage: Stage) -> torch.autocast:
    """What lets networks compute in the stage's precision."""
    return torch.autocast(device.type, DTYPES.get(stage.precision), enabled=stage.precision in DTYPES)


def learning_rate(step: int, steps: int) -> float:
    """Share of the peak rate at a step: linear warm-up over 5 % of the steps, then a half cosine to 1 %."""
    warm = max(1, round(0.05 * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


@torch.no_grad()
def average_into(average: nn.Module, net: nn.Module, decay: float) -> None:
    """Move the averaged weights towards the network's, keeping `decay` of them; 0 copies."""
    for ours, theirs in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        if ours.is_floating_point() and decay:
            ours.lerp_(theirs, 1 - decay)
        else:
            ours.copy_(theirs)
