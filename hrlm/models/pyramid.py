"""A backbone with a top-down decoder that ends in one raw score map per landmark."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hrlm.models.backbone import EfficientNetLite0


def _separable(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Pyramid(nn.Module):
    """Fully convolutional score maps at stride 4 with a receptive field wider than the tile.

    Args:
        landmarks: N, the number of score maps.
        width: channels of the decoder.
        context: maps given along with the pixels, 0 for none.
        coarsest: stride of the coarsest features, 16 or 32.
    """

    stride = 4

    def __init__(self, landmarks: int, width: int, context: int = 0, coarsest: int = 32) -> None:
        super().__init__()
        self.backbone = EfficientNetLite0(coarsest)
        channels = self.backbone.channels
        self.lateral = nn.ModuleList([nn.Conv2d(c, width, 1, bias=False) for c in channels])
        self.smooth = nn.ModuleList([_separable(width, width) for _ in channels])
        self.refine = _separable(width, width)
        self.score = nn.Conv2d(width, landmarks, 1)
        # the context enters as a correction that starts at nothing, so that it can only help
        self.context = nn.ModuleList([nn.Conv2d(context, width, 1, bias=False) for _ in channels] if context else [])
        for weight in self.context.parameters():
            nn.init.zeros_(weight)

    def forward(self, pixels: Tensor, context: Tensor | None = None) -> Tensor:
        """Raw score maps `(B, N, H / 4, W / 4)` of normalised pixels `(B, 3, H, W)`.

        `context` is `(B, C, H / 4, W / 4)`, where the network was made for one.
        """
        # depthwise convolutions run several times faster so on a CPU
        features = self.backbone(pixels.contiguous(memory_format=torch.channels_last))
        contexts = self._at_each_stride(context) if self.context and context is not None else None
        x: Tensor | None = None
        for i in reversed(range(len(features))):
            y = self.lateral[i](features[i])
            if contexts:
                y = y + self.context[i](contexts[i])
            if x is not None:
                y = y + F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = self.smooth[i](y)
        assert x is not None
        scores: Tensor = self.score(self.refine(x))
        return scores

    def _at_each_stride(self, context: Tensor) -> list[Tensor]:
        """The context at its own stride 4, then averaged down to the coarser ones."""
        every = [context.contiguous(memory_format=torch.channels_last)]
        for _ in self.context[1:]:
            every.append(F.avg_pool2d(every[-1], 2))
        return every
