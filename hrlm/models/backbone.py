"""The backbone: EfficientNet-Lite0 (Liu 2020; after Tan and Le, arXiv 1905.11946) as a feature pyramid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# per stage: expansion, kernel, stride of the first block, output channels, blocks
LITE0 = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
# the last stage at each stride is what the pyramid takes: its number, stride and output channels
TAPS = tuple((stage, stride, LITE0[stage][3]) for stage, stride in ((1, 4), (2, 8), (4, 16), (6, 32)))


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME does for even sizes: one more pixel right and below at stride 2.

    The pretrained weights were trained so; symmetric padding would shift every feature by half a pixel.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, kernel // 2 if stride == 1 else 0, groups=groups, bias=False)
        low = (kernel - stride) // 2
        self.asymmetric = (low, kernel - stride - low) if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        if not self.asymmetric:
            return super().forward(x)
        low, high = self.asymmetric
        if torch.onnx.is_in_onnx_export():
            padded: Tensor = _Padded.apply(x, self.weight, self.bias, self.stride, low, high, self.groups)
            return padded
        return super().forward(F.pad(x, (low, high, low, high)))


class _Padded(torch.autograd.Function):
    """A convolution with other padding on the left and top than on the right and below, as ONNX has it and PyTorch not.

    As a step of its own the padding costs ONNX Runtime a sixth of the network's time.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: tuple[int, int],
        low: int,
        high: int,
        groups: int,
    ) -> Tensor:
        return F.conv2d(F.pad(x, (low, high, low, high)), weight, bias, stride, groups=groups)

    @staticmethod
    def symbolic(
        g: Any, x: Any, weight: Any, bias: Any, stride: tuple[int, int], low: int, high: int, groups: int
    ) -> Any:
        return g.op("Conv", x, weight, bias, strides_i=stride, pads_i=(low, low, high, high), group_i=groups)


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation with EfficientNet's constants."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class InvertedResidual(nn.Module):
    """Expand, depthwise convolution, project; a shortcut where the shape allows. `(B, C, H, W)` in and out."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [SameConv(inputs, hidden, 1), norm(hidden), nn.ReLU6(inplace=True)]
        layers += [SameConv(hidden, hidden, kernel, stride, groups=hidden), norm(hidden), nn.ReLU6(inplace=True)]
        layers += [SameConv(hidden, outputs, 1), norm(outputs)]
        self.layers = nn.Sequential(*layers)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.shortcut else y


class EfficientNetLite0(nn.Module):
    """Features at strides 4, 8, 16 and 32 with 24, 40, 112 and 320 channels.

    Input is `(B, 3, H, W)`, `(sRGB - 127) / 128`, H and W multiples of the coarsest stride.

    Args:
        coarsest: the stride to end at, 16 or 32; the stages after it are not there.
    """

    def __init__(self, coarsest: int = 32) -> None:
        super().__init__()
        taps = [tap for tap in TAPS if tap[1] <= coarsest]
        self.channels = tuple(channels for _, _, channels in taps)
        self.strides = tuple(stride for _, stride, _ in taps)
        self._taps = {stage for stage, _, _ in taps}
        self.stem = nn.Sequential(SameConv(3, 32, 3, 2), norm(32), nn.ReLU6(inplace=True))
        self.stages = nn.ModuleList()
        inputs = 32
        for expansion, kernel, stride, outputs, blocks in LITE0[: max(self._taps) + 1]:
            stage = nn.Sequential()
            for i in range(blocks):
                stage.append(InvertedResidual(inputs, outputs, kernel, stride if i == 0 else 1, expansion))
                inputs = outputs
            self.stages.append(stage)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem(x)
        features = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in self._taps:
                features.append(x)
        return features

    def load_imagenet(self, weights: Mapping[str, Tensor]) -> None:
        """Take over ImageNet weights published for the same architecture under other names, by position.

        Raises:
            ValueError: a tensor's shape differs; nothing was loaded.
        """
        ours = self.state_dict()
        theirs = list(weights.values())[: len(ours)]
        pairs = dict(zip(ours, theirs, strict=True))
        for name, tensor in pairs.items():
            if ours[name].shape != tensor.shape:
                raise ValueError(f"{name} is {tuple(ours[name].shape)}, the pretrained tensor {tuple(tensor.shape)}")
        self.load_state_dict(pairs)


def normalise_pixels(pixels: Tensor) -> Tensor:
    """uint8 or float sRGB 0 … 255 to what the backbone takes, about -1 … 1."""
    return ((pixels if pixels.is_floating_point() else pixels.float()) - 127) / 128
