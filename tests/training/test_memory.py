"""What saves memory or time must not change what is learnt."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from drawn import SCHEME, draw
from loading import load_samples

from hrlm.models.build import ModelConfig, build_model
from hrlm.models.nets import LandmarkModel
from hrlm.schemes import parse_scheme
from hrlm.training.batches import Batch, collate, plain_item
from hrlm.training.config import Stage
from hrlm.training.memory import recomputed_activations
from hrlm.training.step import batch_losses

MARKS = parse_scheme(SCHEME)
MODEL = ModelConfig("marks", SCHEME, face_size=64, region_size=64, global_width=8, regional_width=8)
CPU = torch.device("cpu")
STAGE = Stage("all", ("global", "attention", "regional"), samples=4, batch=4)


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    draw(tmp_path, 4)
    samples, _ = load_samples(tmp_path, MARKS, 1000)
    return collate([plain_item(s, MARKS, MODEL) for s in samples])


def part_of(batch: Batch, own: slice) -> Batch:
    return Batch(batch.pixels[own], batch.photos[own], batch.face[own], batch.points[own], batch.visible[own])


def step(net: LandmarkModel, batch: Batch, stage: Stage, parts: int = 1) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradients of one step in so many parts."""
    net.zero_grad()
    total, size = 0.0, len(batch.photos) // parts
    for part in range(parts):
        generator = torch.Generator().manual_seed(5)
        piece = part_of(batch, slice(part * size, (part + 1) * size))
        loss = batch_losses(net, piece, stage, CPU, generator, part, parts).total / parts
        loss.backward()
        total += float(loss.detach())
    return total, {n: p.grad.clone() for n, p in net.named_parameters() if p.grad is not None}


def largest_difference(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    """Against the size of all gradients together."""
    assert a.keys() == b.keys()
    off = torch.stack([(a[n] - b[n]).norm() for n in a]).norm()
    return float(off / torch.stack([g.norm() for g in a.values()]).norm())


def test_recomputed_activations_change_neither_gradients_nor_statistics(batch: Batch) -> None:
    nets = []
    for wanted in (False, True):
        torch.manual_seed(0)
        net = build_model(MODEL).train()
        with recomputed_activations(net, wanted):
            nets.append((net, *step(net, batch, STAGE)))
    (plain, loss, gradients), (again, loss_again, gradients_again) = nets
    assert loss == loss_again
    assert largest_difference(gradients, gradients_again) < 1e-6
    for name, value in plain.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    # the network is itself again
    assert not any("forward" in vars(m) for m in again.modules())


def test_recomputing_keeps_fewer_activations(batch: Batch) -> None:
    kept = []
    for wanted in (False, True):
        torch.manual_seed(0)
        net = build_model(MODEL).train()
        sizes: dict[int, int] = {}

        def pack(tensor: torch.Tensor, sizes: dict[int, int] = sizes) -> torch.Tensor:
            sizes[tensor.data_ptr()] = tensor.numel()
            return tensor

        with recomputed_activations(net, wanted), torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            loss = batch_losses(net, batch, STAGE, CPU, torch.Generator()).total
        assert loss.requires_grad
        kept.append(sum(sizes.values()))
    assert kept[1] < 0.6 * kept[0]


def test_parts_of_a_step_add_up_to_the_whole(batch: Batch) -> None:
    """With the running statistics, which do not depend on what else is in the batch."""
    torch.manual_seed(0)
    net = build_model(MODEL).eval()
    loss, gradients = step(net, batch, STAGE)
    loss_in_parts, in_parts = step(net, batch, STAGE, parts=2)
    assert loss_in_parts == pytest.approx(loss, rel=0.02)
    assert largest_difference(gradients, in_parts) < 0.1


def test_half_precision_gives_nearly_the_same(batch: Batch) -> None:
    torch.manual_seed(0)
    net = build_model(MODEL).eval()
    loss, gradients = step(net, batch, STAGE)
    lower, lower_gradients = step(net, batch, replace(STAGE, precision="bf16"))
    assert lower != loss
    assert lower == pytest.approx(loss, rel=0.02)
    assert all(g.dtype == torch.float32 for g in lower_gradients.values())
    assert largest_difference(gradients, lower_gradients) < 0.3


@pytest.mark.parametrize("along", ["contour", "edge"])
def test_elongated_labels_reach_the_loss(batch: Batch, along: str) -> None:
    torch.manual_seed(0)
    scheme = SCHEME + "contours:\n  line: {landmarks: [0, 3, 1]}\n"
    net = build_model(replace(MODEL, scheme=scheme)).eval()
    # maps that are the same everywhere cost the same whatever the label's shape
    for level in (net.global_net, net.regional_net):
        torch.nn.init.normal_(level.score.weight, std=30)
    losses = [
        float(batch_losses(net, batch, stage, CPU, torch.Generator().manual_seed(0)).total.detach())
        for stage in (STAGE, replace(STAGE, elongation=3.0, elongate_along=along))
    ]
    assert losses[0] != losses[1]
