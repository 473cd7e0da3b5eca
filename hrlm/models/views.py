"""Ways of looking at faces: several see more steadily than one."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from hrlm.geometry import CropTransform, rotation_matrix

# What a network makes of a face depends a little on where the crop's pixels fall in it, and on a large face a little is
# some of the photo's. A shift down and aside and a scale, both in shares of the crop's side, and a turn in radians.
ASIDE_SHIFT, ASIDE_SCALE, ASIDE_TURN = 0.02, 1.03, math.radians(2)


@dataclass(frozen=True)
class View:
    """A way of looking at faces.

    Args:
        aside: in a crop that lies beside the face's own.
        mirrored: the face changes sides.
        soft: without what is finest: noise and encoding change that, and a network follows.
    """

    aside: bool = False
    mirrored: bool = False
    soft: bool = False

    def of(self, face: CropTransform) -> CropTransform:
        """The face crops as they are looked at; of a mirrored photo the same views, and mirrored."""
        if self.mirrored:
            face = replace(face, mirrored=~face.mirrored)
        if not self.aside:
            return face
        way = torch.where(face.mirrored, -1.0, 1.0).to(face.side)
        shift = rotation_matrix(face.angle) @ torch.stack([way, torch.ones_like(way)], -1)[..., None]
        return replace(
            face,
            centre=face.centre + ASIDE_SHIFT * face.side[:, None] * shift[..., 0],
            side=face.side * ASIDE_SCALE,
            angle=face.angle + ASIDE_TURN * way,
        )

    def shown(self, pixels: Tensor) -> Tensor:
        """What networks see of crops `(B, 3, S, S)`, `(B, 3, S, S)`."""
        return softened(pixels) if self.soft else pixels


def softened(pixels: Tensor) -> Tensor:
    """Means of 3 x 3 pixels around each pixel of `(B, C, H, W)`; beyond the border as on it."""
    wide = F.pad(pixels, (1, 1, 1, 1), mode="replicate")
    rows = wide[..., :-2, :] + wide[..., 1:-1, :] + wide[..., 2:, :]
    return (rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]) / 9
