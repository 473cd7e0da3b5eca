"""YuNet in ONNX Runtime, which takes half of OpenCV's time; what OpenCV does around the network is done alike."""

from __future__ import annotations

import cv2
import numpy as np

from hrlm.models.graphs import OnnxGraph
from hrlm.yunet import SAME_UNION, YuNet

# the network tells of every cell of three grids, so many pixels apart, and takes pictures of whole cells
_STRIDES = (8, 16, 32)
# as OpenCV has it: so many of the best are compared with each other
_MOST = 5000
# the two may differ by so many pixels and by this share of a score, of so many of the best
_PIXELS, _SHARE, _COMPARED = 0.01, 1e-3, 4


def as_fast(yunet: YuNet, threads: int = 1) -> YuNet:
    """The same network in ONNX Runtime, where that (and the package `onnx`) is installed and tells the same."""
    # as with the landmark networks: whatever fails there, the other way is left
    try:
        fast = GraphYuNet(yunet, threads)
        seen = np.random.default_rng(0).integers(0, 256, (150, 200, 3), np.uint8)
        ours, theirs = (each.rows(seen, 0)[:_COMPARED] for each in (fast, yunet))
        alike = np.allclose(ours[:, :14], theirs[:, :14], rtol=0, atol=_PIXELS)
        return fast if alike and np.allclose(ours[:, 14], theirs[:, 14], rtol=_SHARE, atol=0) else yunet
    except Exception:
        return yunet


class GraphYuNet(YuNet):
    """As `YuNet`; one graph serves all threads.

    Args:
        yunet: whose network it is.
        threads: as of `models.graphs.as_graph`.

    Raises:
        ImportError: ONNX Runtime or the package `onnx` is not installed.
    """

    # OpenCV's part of `YuNet` is neither made nor needed
    def __init__(self, yunet: YuNet, threads: int = 1) -> None:
        self._graph = OnnxGraph(_in_floats(yunet.weights.tobytes()), threads)

    def rows(self, pixels: np.ndarray, threshold: float) -> np.ndarray:
        """As of `YuNet`."""
        height, width = pixels.shape[:2]
        lack = -height % _STRIDES[-1], -width % _STRIDES[-1]
        whole = cv2.copyMakeBorder(pixels, 0, lack[0], 0, lack[1], cv2.BORDER_CONSTANT)
        told = self._graph.outputs(cv2.dnn.blobFromImage(whole, swapRB=True))
        parts = []
        for number, stride in enumerate(_STRIDES):
            kind, there, box, points = (part[0] for part in told[number :: len(_STRIDES)])
            parts.append(_grid_rows(kind, there, box, points, stride, whole.shape[1] // stride, threshold))
        rows = np.concatenate(parts)
        # whole pixels, as OpenCV compares them
        boxes = np.trunc(rows[:, :4])
        kept = cv2.dnn.NMSBoxes(boxes.tolist(), rows[:, 14].tolist(), threshold, SAME_UNION, 1.0, _MOST)
        return rows[np.asarray(kept, int)]


def _grid_rows(
    kind: np.ndarray, there: np.ndarray, box: np.ndarray, points: np.ndarray, stride: int, columns: int, least: float
) -> np.ndarray:
    """Faces of at least a score, `(F, 15)` as of `YuNet.rows`, of one grid.

    Args:
        kind, there: `(K, 1)`; the score is the root of their product.
        box: `(K, 4)` middle from the cell on, and the logarithms of the sides, in cells.
        points: `(K, 10)` five points from the cell on, in cells.
    """
    score = np.sqrt(np.clip(kind, 0, 1) * np.clip(there, 0, 1))[:, 0]
    chosen = np.flatnonzero(score >= least)
    cell = np.stack([chosen % columns, chosen // columns], -1).astype(np.float32)
    sides = np.exp(box[chosen, 2:])
    corner = cell + box[chosen, :2] - sides / 2
    marks = points[chosen] + np.tile(cell, 5)
    return np.concatenate([np.concatenate([corner, sides, marks], -1) * stride, score[chosen, None]], -1)


def _in_floats(content: bytes) -> bytes:
    """YuNet's file with weights of float instead of small whole numbers, for pictures of any size.

    ONNX Runtime refuses the kind of scale that the file has, and the size that it was made for is fixed.
    """
    import onnx
    from onnx.numpy_helper import from_array, to_array

    model = onnx.load_from_string(content)
    graph = model.graph
    stored = {one.name: to_array(one) for one in graph.initializer}
    for node in [node for node in graph.node if node.op_type == "DequantizeLinear"]:
        values, scale, zero = (stored[name].astype(np.float32) for name in node.input)
        graph.initializer.append(from_array((values - zero) * scale, node.output[0]))
        graph.node.remove(node)
    for side, name in zip(graph.input[0].type.tensor_type.shape.dim[2:], ("height", "width"), strict=True):
        side.dim_param = name
    # what lies between has other sizes than the file says
    del graph.value_info[:]
    for output in graph.output:
        output.type.tensor_type.shape.dim[1].dim_param = output.name
    return model.SerializeToString()
