"""Networks made ready to run, and run as a processor likes it. For inference only."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from hrlm.errors import ModelError

M = TypeVar("M", bound=nn.Module)
# on a CPU a network gets so many input pixels at once: with more, its activations no longer fit into the caches
PIXELS_AT_ONCE = 4 * 192 * 192


def prepare(net: M) -> M:
    """Fold every batch normalisation of `net` into the convolution before it, in place.

    The score maps stay the same to float rounding; the network can no longer be trained or saved.
    """
    for module in list(net.modules()):
        if isinstance(module, nn.Sequential):
            _fold(module)
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _fold(layers: nn.Sequential) -> None:
    for i, (before, after) in enumerate(pairwise(list(layers))):
        if isinstance(before, nn.Conv2d) and isinstance(after, nn.BatchNorm2d):
            layers[i], layers[i + 1] = fuse_conv_bn_eval(before, after), nn.Identity()


def run(net: Callable[..., Tensor], pixels: Tensor, *others: Tensor) -> Tensor:
    """`net(pixels, *others)` for pixels `(B, 3, H, W)`; on a CPU a few of the batch at a time.

    Where a GPU's memory is too small for the batch, half of it goes at a time, and so on.

    Raises:
        ModelError: there is too little memory for one of the batch.
    """
    inputs = (pixels, *others)
    count = max(1, len(pixels))
    if pixels.device.type == "cpu":
        count = max(1, PIXELS_AT_ONCE // (pixels.shape[-1] * pixels.shape[-2]))
    while True:
        try:
            return torch.cat([net(*part) for part in zip(*(each.split(count) for each in inputs), strict=True)])
        except torch.OutOfMemoryError as e:
            if count == 1:
                raise ModelError("the GPU has too little free memory: end what else uses it, or use the CPU") from e
        count = (count + 1) // 2


def in_full_precision(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """A context in which networks compute as they are, whatever the caller's own networks compute in."""
    # older PyTorch knows no lower precision on some devices, and not how to leave it out either
    if not torch.amp.is_autocast_available(device.type):
        return contextlib.nullcontext()
    return torch.autocast(device.type, enabled=False)


def lane_count(wanted: int) -> int:
    """In how many threads networks run side by side: at most `wanted`, and no more than PyTorch uses cores."""
    return min(wanted, torch.get_num_threads())


def lanes(count: int) -> ThreadPoolExecutor:
    """So many threads to run networks in side by side, which share the cores that PyTorch uses; see `lane_count`.

    Different photos side by side keep the cores far busier than one network spread over all of them.
    """
    cores = torch.get_num_threads()
    started = threading.Barrier(count)

    def start() -> None:
        # a thread takes over the common number when it first asks: to be done before it gets its own
        torch.get_num_threads()
        torch.set_num_threads(cores // count)
        started.wait()

    pool = ThreadPoolExecutor(count, "hrlm-lane", initializer=start)
    for future in [pool.submit(int) for _ in range(count)]:
        future.result()
    # each thread keeps its own number, but threads that start later take the last one set
    torch.set_num_threads(cores)
    return pool
