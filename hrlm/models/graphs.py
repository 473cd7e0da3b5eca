"""Networks as graphs: what stands in Python between the layers no longer runs. For inference only.

Threads that run networks side by side need Python's lock for every layer and wait for each other; a graph runs whole
without it.
"""

from __future__ import annotations

import ctypes
import io
import os
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hrlm.models.inference import in_full_precision

Network = Callable[..., Tensor]
# ONNX Runtime's maps may differ from PyTorch's by this share of the largest score: float32 rounds differently in it
TOLERANCE = 1e-4
OPSET = 17


def as_graph(net: nn.Module, *inputs: Tensor, threads: int = 1) -> Network:
    """The fastest form of `net` that there is here, for inputs like these of any batch, height and width.

    With ONNX Runtime (and the package `onnx`, which PyTorch's converter needs) installed that is a graph of its own, as
    long as its maps are the network's; otherwise one of PyTorch's.

    Args:
        inputs: float32 on the CPU, the batch outermost; `(B, C, H, W)`.
        threads: for one run of the graph; ONNX Runtime shares all but one of them among runs side by side.
    """
    # a converter, a runtime and a file format between them may each change: whatever fails there, the other way is left
    try:
        graph = OnnxGraph(_converted(net, *inputs), threads)
        return graph if _agree(graph, net, inputs) else recorded(net, *inputs)
    except Exception:
        return recorded(net, *inputs)


def recorded(net: nn.Module, *inputs: Tensor) -> Network:
    """`net` as a graph of PyTorch's, for inputs like these of any batch and size: the very same numbers."""
    # PyTorch's successor to this is a compiler, which needs a tool chain: where it is gone, so is the gain
    if not hasattr(torch.jit, "trace"):
        return net
    with _quiet(), torch.inference_mode(), in_full_precision(torch.device("cpu")):
        graph: nn.Module = torch.jit.freeze(torch.jit.trace(net, inputs, check_trace=False))
        return graph


class OnnxGraph:
    """A network that ONNX Runtime runs on the CPU. May be called by several threads at once.

    Args:
        content: the ONNX file; its first output is what a call gives.
        threads: as of `as_graph`.

    Raises:
        ImportError: ONNX Runtime is not installed.
    """

    def __init__(self, content: bytes, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        # threads without work would keep cores from decoders
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        _sessions.add(self._session)
        self._names = [given.name for given in self._session.get_inputs()]

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.from_numpy(self.outputs(*(each.contiguous().numpy() for each in inputs))[0])

    def outputs(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """All outputs, in the file's order."""
        found: list[np.ndarray] = self._session.run(None, dict(zip(self._names, inputs, strict=True)))
        return found


_sessions: weakref.WeakSet[Any] = weakref.WeakSet()


def _keep_sessions() -> None:
    """A forked process has not the threads of a session: to end one there would wait for them for ever."""
    for session in _sessions:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep_sessions)


def _converted(net: nn.Module, *inputs: Tensor) -> bytes:
    """`net` as an ONNX file.

    The older of PyTorch's converters: the newer one takes six times as long, more than a small folder of photos.
    """
    names = [f"input{i}" for i in range(len(inputs))]
    file = io.BytesIO()
    with _quiet(), in_full_precision(torch.device("cpu")):
        torch.onnx.export(
            net,
            inputs,
            file,  # type: ignore[arg-type]  # takes more than its type tells
            dynamo=False,
            input_names=names,
            dynamic_axes={name: {0: "batch", 2: "height", 3: "width"} for name in names},
            opset_version=OPSET,
        )
    return file.getvalue()


def _agree(graph: Network, net: nn.Module, inputs: tuple[Tensor, ...]) -> bool:
    """Whether both give the same maps, for another batch than the graph was made with."""
    generator = torch.Generator().manual_seed(0)
    given = [torch.rand(2, *each.shape[1:], generator=generator, dtype=each.dtype) for each in inputs]
    with torch.inference_mode(), in_full_precision(torch.device("cpu")):
        expected = net(*given)
        return torch.allclose(graph(*given), expected, rtol=0, atol=TOLERANCE * float(expected.abs().max()))


def _quiet() -> warnings.catch_warnings[None]:
    return warnings.catch_warnings(action="ignore")
