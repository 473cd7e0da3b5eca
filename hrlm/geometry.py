"""Crops, boxes and similarity transforms: the only place with half-pixel arithmetic.

Photo pixels are 0-based with x right, y down and pixel **centres at integers**: the first pixel covers -0.5 … 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


def resize_points(points: Tensor, ratio: float | Tensor) -> Tensor:
    """Points `(..., 2)` of an image after the image was resized by `ratio` (new size over old size)."""
    return (points + 0.5) * ratio - 0.5


def rotation_matrix(angle: Tensor) -> Tensor:
    """`(..., 2, 2)` rotations by `angle` `(...)` in radians, clockwise as seen (y points down)."""
    c, s = torch.cos(angle), torch.sin(angle)
    return torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)


@dataclass(frozen=True)
class CropTransform:
    """A batch of similarity transforms between photo pixels and the pixels of square crops.

    A crop shows the square of `side` photo pixels around `centre`, turned by `angle` and, where `mirrored`, flipped
    left to right, as `size` x `size` crop pixels. All fields are tensors, so gradients flow to where a crop looks.

    Args:
        centre: `(B, 2)` photo pixels.
        side: `(B,)` photo pixels, positive.
        angle: `(B,)` radians; positive turns the crop's frame clockwise as seen, so that a face rolled by `angle`
            stands upright in the crop.
        mirrored: `(B,)` bool.
        size: crop pixels a side.
    """

    centre: Tensor
    side: Tensor
    angle: Tensor
    mirrored: Tensor
    size: int

    @staticmethod
    def make(
        centre: Tensor, side: Tensor, size: int, angle: Tensor | None = None, mirrored: Tensor | None = None
    ) -> CropTransform:
        """Build from `centre` `(B, 2)` and `side` `(B,)`; upright and unmirrored unless told otherwise."""
        return CropTransform(
            centre,
            side,
            torch.zeros_like(side) if angle is None else angle,
            torch.zeros(side.shape, dtype=torch.bool, device=side.device) if mirrored is None else mirrored,
            size,
        )

    @staticmethod
    def cat(parts: Sequence[CropTransform]) -> CropTransform:
        """One batch out of several of the same crop size."""
        return CropTransform(
            torch.cat([p.centre for p in parts]),
            torch.cat([p.side for p in parts]),
            torch.cat([p.angle for p in parts]),
            torch.cat([p.mirrored for p in parts]),
            parts[0].size,
        )

    def __len__(self) -> int:
        return len(self.side)

    def __getitem__(self, index: slice | Tensor | list[int]) -> CropTransform:
        return CropTransform(self.centre[index], self.side[index], self.angle[index], self.mirrored[index], self.size)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> CropTransform:
        """Move the fields and cast the float ones; `mirrored` stays bool."""
        centre, side, angle = (t.to(device=device, dtype=dtype) for t in (self.centre, self.side, self.angle))
        return CropTransform(centre, side, angle, self.mirrored.to(device), self.size)

    def detach(self) -> CropTransform:
        """The same crops without gradient."""
        return CropTransform(self.centre.detach(), self.side.detach(), self.angle.detach(), self.mirrored, self.size)

    def resized(self, size: int) -> CropTransform:
        """The same squares of the photo at another number of crop pixels."""
        return replace(self, size=size)

    def beside(self, middles: Tensor, size: int) -> CropTransform:
        """Crops of `size` pixels as dense and turned as this one `(1,)`, at other places.

        Args:
            middles: `(T, 2)` of the T crops, in crop pixels from this one's middle.
        """
        count = len(middles)
        centre = self.centre + middles.to(self.centre) @ self.linear[0].T
        side, angle = (self.scale * size).expand(count), self.angle.expand(count)
        return CropTransform(centre, side, angle, self.mirrored.expand(count), size)

    @property
    def scale(self) -> Tensor:
        """`(B,)` photo pixels per crop pixel."""
        return self.side / self.size

    @property
    def linear(self) -> Tensor:
        """`(B, 2, 2)` matrices that take a vector in crop pixels to one in photo pixels."""
        flip = torch.where(self.mirrored, -1.0, 1.0).to(self.side.dtype)
        signs = torch.stack([flip, torch.ones_like(flip)], -1)
        return rotation_matrix(self.angle) * signs[:, None, :] * self.scale[:, None, None]

    def to_photo(self, points: Tensor) -> Tensor:
        """Crop pixels `(B, N, 2)` to photo pixels `(B, N, 2)`."""
        middle = (self.size - 1) / 2
        return (points - middle) @ self.linear.transpose(-1, -2) + self.centre[:, None]

    def to_crop(self, points: Tensor) -> Tensor:
        """Photo pixels `(B, N, 2)` to crop pixels `(B, N, 2)`."""
        # linear = s Q with Q orthogonal, so its inverse transpose is linear / s²
        inverse_t = self.linear / self.scale[:, None, None] ** 2
        return (points - self.centre[:, None]) @ inverse_t + (self.size - 1) / 2

    def covariance_to_photo(self, covariance: Tensor) -> Tensor:
        """Covariances `(B, N, 2, 2)` in crop pixels² to photo pixels²."""
        a = self.linear[:, None]
        return a @ covariance @ a.transpose(-1, -2)

    def corners(self) -> Tensor:
        """`(B, 4, 2)` photo pixels of the crop's outer corners (pixel edges, not centres)."""
        low, high = -0.5, self.size - 0.5
        square = self.side.new_tensor([[low, low], [high, low], [high, high], [low, high]])
        return self.to_photo(square.expand(len(self), 4, 2))

    def reduced_photo(self, origin: tuple[int, int], factor: int) -> CropTransform:
        """The same crops expressed in the pixels of a window of the photo.

        The window's first pixel is photo pixel `origin` (x, y) and it was reduced by averaging `factor` x `factor`
        blocks.
        """
        shifted = self.centre - self.centre.new_tensor(origin)
        return replace(self, centre=resize_points(shifted, 1 / factor), side=self.side / factor)

    def grid(self, width: int, height: int, oversample: int = 1) -> Tensor:
        """Sampling positions for `grid_sample(align_corners=False)` on a `width` x `height` image.

        Returns:
            `(B, S, S, 2)` in the image's -1 … 1 units, with `S = size * oversample`: `oversample`² evenly spaced
            samples per crop pixel.
        """
        steps = torch.arange(self.size * oversample, device=self.side.device, dtype=self.side.dtype)
        steps = resize_points(steps, 1 / oversample)
        # the way is affine: a start and one step along each axis give every position
        unit = 2 / self.centre.new_tensor([width, height])
        linear = self.linear
        start = (self.centre - linear.sum(-1) * ((self.size - 1) / 2) + 0.5) * unit - 1
        across, down = (linear * unit[:, None]).transpose(1, 2)[:, :, None, None].unbind(1)
        return start[:, None, None] + steps[:, None, None] * down + steps[:, None] * across


def bounding_box(points: Tensor) -> tuple[Tensor, Tensor]:
    """Lowest and highest coordinates `(..., 2)`, `(..., 2)` of points `(..., N, 2)`."""
    return points.amin(-2), points.amax(-2)


def face_crop(points: Tensor, normaliser: tuple[int, int], size: int, margin: float) -> CropTransform:
    """The upright square crops of `size` pixels around faces, placed by their landmarks.

    Upright means that the line between the two `normaliser` landmarks lies level; the side is `margin` times the
    larger side of the landmarks' bounding box in that frame, the centre is the box's.

    Args:
        points: `(B, N, 2)` photo pixels.
    """
    axis = points[:, normaliser[1]] - points[:, normaliser[0]]
    angle = torch.atan2(axis[:, 1], axis[:, 0])
    turn = rotation_matrix(angle)
    low, high = bounding_box(points @ turn)
    centre = (turn @ ((low + high) / 2)[..., None])[..., 0]
    return CropTransform.make(centre, margin * (high - low).amax(-1), size, angle)


def box_crop(boxes: Tensor, size: int, margin: float) -> CropTransform:
    """The level square crops of `size` pixels around boxes, `margin` times as wide as their larger side.

    Args:
        boxes: `(B, 4)` x, y, width, height in photo pixels.
    """
    return CropTransform.make(boxes[:, :2] + boxes[:, 2:] / 2, margin * boxes[:, 2:].amax(-1), size)


def box_overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union (0 … 1) of two boxes `(x, y, width, height)`."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)
