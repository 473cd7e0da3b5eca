"""The networks as ONNX files, for programs without PyTorch; `docs/onnx.md` says how to use them."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hrlm.errors import DependencyError, ModelError
from hrlm.formats.atomic import write_whole
from hrlm.models.build import LoadedModel
from hrlm.models.heatmaps import CELL_VARIANCE, cells_to_pixels, moments, probabilities, windowed_mode
from hrlm.models.pyramid import Pyramid

# both networks' landmarks must be PyTorch's to so many pixels of the crop
TOLERANCE = 0.05
OPSET = 18
OUTPUTS = ("scores", "points", "covariance")
# cells to each side of the mode that a point is decoded from
RADIUS = 4


class Level(nn.Module):
    """One network with its decoder.

    Takes normalised pixels `(B, 3, H, W)`, and the context `(B, N, H / 4, W / 4)` where the network has one; gives raw
    scores `(B, N, H / 4, W / 4)`, points `(B, N, 2)` in the input's pixels and their covariance `(B, N, 2, 2)`.
    """

    def __init__(self, net: Pyramid) -> None:
        super().__init__()
        self.net = net

    def forward(self, pixels: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        scores = self.net(pixels, context)
        # the mode's column and row: a cell's number would have to be divided by a width that ONNX does not know yet
        centre = torch.stack([scores.amax(-2).argmax(-1), scores.amax(-1).argmax(-1)], -1).to(scores.dtype)
        centre = windowed_mode(scores, centre, RADIUS)
        spread = moments(probabilities(scores))[1] + CELL_VARIANCE * torch.eye(2)
        return scores, cells_to_pixels(centre, self.net.stride), spread * self.net.stride**2


class Global(Level):
    """The global network: ONNX wants the inputs that there are and no others."""

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        return super().forward(pixels)


def export_onnx(loaded: LoadedModel, folder: Path, say: Callable[[str], None]) -> list[Path]:
    """Write `hrlm-NAME-global.onnx` and `hrlm-NAME-regional.onnx`, checked against PyTorch in ONNX Runtime.

    Batch and sizes are free; height and width must be multiples of 32. The files' metadata say what a program needs
    beside the networks: scheme, crop sizes and margins, normalisation, calibration, and the licence's terms.

    Raises:
        DependencyError: the extra `onnx` is not installed.
        ModelError: the exported networks do not give the same landmarks.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as e:
        raise DependencyError("ONNX is not installed: pip install 'hrlm[onnx]'") from e
    net, config = loaded.net.cpu().eval(), loaded.config
    landmarks, stride = len(net.scheme), net.global_net.stride
    batch, high, wide = (torch.export.Dim(n) for n in ("batch", "high", "wide"))
    pixels = {0: batch, 2: 32 * high, 3: 32 * wide}
    cells = {0: batch, 2: 32 // stride * high, 3: 32 // stride * wide}
    written = []
    for name, level, size, shapes in (
        ("global", Global(net.global_net), config.face_size, {"pixels": pixels}),
        ("regional", Level(net.regional_net), config.region_size, {"pixels": pixels, "context": cells}),
    ):
        made = _export(level, _inputs(2, size, size, landmarks, stride)[: len(shapes)], shapes)
        model = made.model_proto
        onnx.helper.set_model_props(model, {"hrlm": json.dumps(_metadata(loaded, name))})
        content = model.SerializeToString()
        off = max(
            _difference(level, content, _inputs(b, h, w, landmarks, stride)[: len(shapes)])
            for b, h, w in ((2, size, size), (1, size + 32, size), (3, 64, 96))
        )
        if off > TOLERANCE:
            raise ModelError(f"hrlm-{config.name}-{name}.onnx: landmarks differ from PyTorch's by {off:.2f} pixels")
        path = folder / f"hrlm-{config.name}-{name}.onnx"
        write_whole(path, content)
        say(f"wrote {path}: landmarks within {off:.4f} pixels of PyTorch's")
        written.append(path)
    return written


def _export(level: nn.Module, inputs: Sequence[Tensor], shapes: dict[str, dict[int, Any]]) -> Any:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        return torch.onnx.export(
            level.eval(),
            tuple(inputs),
            dynamo=True,
            dynamic_shapes=shapes,
            input_names=list(shapes),
            output_names=list(OUTPUTS),
            opset_version=OPSET,
        )


def _inputs(batch: int, height: int, width: int, landmarks: int, stride: int) -> tuple[Tensor, Tensor]:
    """Soft blotches for pixels, and for the context one soft spot a landmark."""
    generator = torch.Generator().manual_seed(batch)
    coarse = torch.randn(batch, 3, 6, 6, generator=generator)
    pixels = nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(-1, 1)
    rows, columns = height // stride, width // stride
    at = torch.rand(batch, landmarks, 2, generator=generator) * torch.tensor([columns, rows])
    x = torch.arange(columns)[None, None, None, :] - at[..., 0, None, None]
    y = torch.arange(rows)[None, None, :, None] - at[..., 1, None, None]
    return pixels, (-(x**2 + y**2) / 18).exp()


def _difference(level: nn.Module, content: bytes, inputs: Sequence[Tensor]) -> float:
    """The largest distance between both programs' landmarks, in pixels."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    given = {i.name: t.numpy() for i, t in zip(session.get_inputs(), inputs, strict=True)}
    theirs = session.run(["points"], given)[0]
    with torch.no_grad():
        ours = level(*inputs)[1].numpy()
    return float(np.linalg.norm(ours - theirs, axis=-1).max())


def _metadata(loaded: LoadedModel, name: str) -> dict[str, Any]:
    net, config = loaded.net, loaded.config
    level = ("global", "regional").index(name)
    return {
        "format": "hrlm.onnx/1",
        "network": name,
        "model": config.name,
        "version": loaded.info.version,
        "scheme": net.scheme.source,
        "landmarks": list(net.scheme.landmarks),
        "size": config.face_size if name == "global" else config.region_size,
        "stride": net.global_net.stride,
        "normalisation": {"subtract": 127, "divide": 128, "order": "RGB", "from": "0 to 255"},
        "face_margin": config.face_margin,
        "regions": [
            {
                "name": r.name,
                "landmarks": list(r.landmarks),
                "mirrored": r.mirrored,
                "extent": float(k.exp()),
                "size": s,
            }
            for r, k, s in zip(net.scheme.regions, net.attention.log_extent, net.region_sizes, strict=True)
        ],
        "smallest_region": net.attention.floor,
        "variance_scale": float(net.variance_scale[level]),
        "terms": loaded.metadata.get("terms", []),
        "trained_on": loaded.metadata.get("trained_on", []),
    }
