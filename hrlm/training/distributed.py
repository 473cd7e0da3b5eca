"""Several processes that train one model together, as `torchrun` starts them.

Each process shows its part of every step's batch; gradients are averaged over all before the optimiser's step, so that
every process keeps the same weights. The model's parts run on their own, not as one forward pass, which is why the
average is taken here and not by `DistributedDataParallel`; the result is the same.

Batch normalisation normalises with the statistics of a process' own part, as `DistributedDataParallel` does; the
running statistics are averaged over the processes after each step.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn

# others wait while the first process validates
PATIENCE = timedelta(hours=6)


@dataclass(frozen=True)
class Processes:
    """Which of how many processes this is; on its own, all methods do nothing."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this one speaks and writes."""
        return self.rank == 0

    @torch.no_grad()
    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors of one type and device by their mean over all processes, in place."""
        if self.count == 1 or not tensors:
            return
        flat = torch.cat([t.reshape(-1) for t in tensors])
        distributed.all_reduce(flat)
        flat /= self.count
        for tensor, mean in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(mean.view(tensor.shape))

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Average gradients; one that a process lacks counts as 0."""
        if self.count == 1:
            return
        parameters = list(parameters)
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self.average([p.grad for p in parameters if p.grad is not None])

    def average_statistics(self, net: nn.Module) -> None:
        """Average the running statistics of the batch normalisations."""
        found = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
        self.average([s for m in found for s in (m.running_mean, m.running_var) if s is not None])

    def mean(self, value: float, device: torch.device) -> float:
        """Mean of a number over all processes."""
        held = torch.tensor([value], dtype=torch.float64 if device.type == "cpu" else torch.float32, device=device)
        self.average([held])
        return float(held)

    def share(self, figures: dict[str, float]) -> dict[str, float]:
        """The first process' figures, in all of them."""
        if self.count == 1:
            return figures
        held = [figures]
        distributed.broadcast_object_list(held)
        return held[0]

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            distributed.barrier()

    def leave(self) -> None:
        """End working together."""
        if self.count > 1:
            distributed.destroy_process_group()


def join(device: torch.device) -> tuple[Processes, torch.device]:
    """Join the other processes that `torchrun` started, if it did; with the device that this process is to use."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Processes(), device
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    return Processes(distributed.get_rank(), count), device
