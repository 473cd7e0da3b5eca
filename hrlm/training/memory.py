"""Memory against time: freed blocks kept for reuse, activations computed twice."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from hrlm.models.backbone import InvertedResidual

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> None:
    """Let glibc keep freed blocks for reuse: giving large activations back at every step costs a third of the time."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(M_MMAP_THRESHOLD, 1 << 30)
            libc.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)


@contextlib.contextmanager
def recomputed_activations(net: nn.Module, wanted: bool) -> Iterator[None]:
    """While it lasts, the backbones' blocks keep only their inputs for the way back and compute the rest again.

    Gradients and running statistics stay what they are without it (Chen et al., Training Deep Nets with Sublinear
    Memory Cost, arXiv 1604.06174).
    """
    blocks = [m for m in net.modules() if isinstance(m, InvertedResidual)] if wanted else []
    for block in blocks:
        _patch(block)
    try:
        yield
    finally:
        for block in blocks:
            del block.forward


def _patch(block: InvertedResidual) -> None:
    plain = block.forward

    def forward(x: torch.Tensor) -> torch.Tensor:
        if not torch.is_grad_enabled():
            return plain(x)
        made: torch.Tensor = checkpoint(plain, x, use_reentrant=False, context_fn=lambda: _contexts(block))
        return made

    block.forward = forward  # type: ignore[method-assign]


def _contexts(block: nn.Module) -> tuple[Any, Any]:
    return contextlib.nullcontext(), _statistics_kept(block)


@contextlib.contextmanager
def _statistics_kept(block: nn.Module) -> Iterator[None]:
    """The second time, batches must not be counted into the running statistics again."""
    norms = [(m, m.momentum) for m in block.modules() if isinstance(m, nn.BatchNorm2d) and m.training]
    for norm, _ in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in norms:
            norm.momentum = momentum
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked -= 1
