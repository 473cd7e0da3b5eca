import multiprocessing
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from untrained import untrained

from hrlm.models import graphs
from hrlm.models.graphs import OnnxGraph, as_graph, recorded
from hrlm.models.inference import prepare

# a graph is made anew for shapes that it has seen twice
SHAPES = ((1, 64, 64), (3, 64, 64), (2, 96, 64), (2, 96, 64), (2, 96, 64), (1, 32, 32))


def like(batch: int, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(batch, 3, height, width), torch.rand(batch, 68, height // 4, width // 4)


@pytest.fixture
def net() -> nn.Module:
    return prepare(untrained()).regional_net


@pytest.fixture
def without_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)


def test_a_recorded_network_gives_the_very_same_maps_for_any_batch_and_size(net: nn.Module) -> None:
    graph = recorded(net, *like(1, 64, 64))
    assert graph is not net
    with torch.inference_mode():
        for shape in SHAPES:
            inputs = like(*shape)
            assert torch.equal(graph(*inputs), net(*inputs))


@pytest.mark.parametrize("threads", [1, 3])
def test_onnx_runtime_gives_the_same_maps_for_any_batch_and_size(net: nn.Module, threads: int) -> None:
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package)
    graph = as_graph(net, *like(1, 64, 64), threads=threads)
    assert isinstance(graph, OnnxGraph)
    with torch.inference_mode():
        for shape in SHAPES:
            # as crops and heat maps come: of other layouts, and not always whole
            pixels, context = (each.contiguous(memory_format=torch.channels_last) for each in like(*shape))
            expected = net(pixels, context)
            assert expected.std() > 0.01
            assert torch.allclose(graph(pixels, context), expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def _forget(graphs: "list[OnnxGraph]") -> None:
    graphs.clear()


def test_a_forked_process_may_forget_a_graph_of_several_threads(net: nn.Module) -> None:
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package)
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork on this system")
    graph = as_graph(net, *like(1, 64, 64), threads=3)
    assert isinstance(graph, OnnxGraph)
    # the child alone has the last reference
    kept = [graph]
    del graph
    process = multiprocessing.get_context("fork").Process(target=_forget, args=(kept,))
    process.start()
    process.join(60)
    ended = process.exitcode
    process.kill()
    assert ended == 0
    assert kept[0](*like(1, 64, 64)).shape == (1, 68, 16, 16)


def test_threads_may_share_a_graph(net: nn.Module) -> None:
    pytest.importorskip("onnxruntime")
    graph = as_graph(net, *like(1, 64, 64))
    batches = [like(1 + i % 3, 64, 64) for i in range(12)]
    alone = [graph(*each) for each in batches]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda each: graph(*each), batches))
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


@pytest.mark.usefixtures("without_onnx")
def test_without_onnx_runtime_the_graph_is_pytorchs(net: nn.Module) -> None:
    inputs = like(2, 64, 64)
    graph = as_graph(net, *inputs)
    assert isinstance(graph, torch.jit.ScriptModule)
    with torch.inference_mode():
        assert torch.equal(graph(*inputs), net(*inputs))


def fails(*_: object) -> bytes:
    raise RuntimeError("no such converter")


def converts_another(net: nn.Module, *inputs: torch.Tensor) -> bytes:
    with torch.no_grad():
        net.score.bias += 1
        content = convert(net, *inputs)
        net.score.bias -= 1
    return content


convert: Callable[..., bytes] = graphs._converted


@pytest.mark.parametrize("converter", [fails, converts_another])
def test_a_conversion_that_fails_or_gives_other_maps_is_not_used(
    net: nn.Module, monkeypatch: pytest.MonkeyPatch, converter: Callable[..., bytes]
) -> None:
    monkeypatch.setattr(graphs, "_converted", converter)
    assert not isinstance(as_graph(net, *like(1, 64, 64)), OnnxGraph)


def test_no_step_of_an_onnx_graph_only_pads(net: nn.Module) -> None:
    onnx = pytest.importorskip("onnx")
    steps = onnx.load_from_string(graphs._converted(net, *like(1, 64, 64))).graph.node
    assert sum(step.op_type == "Conv" for step in steps) > 50
    assert not [step.name for step in steps if step.op_type == "Pad"]
