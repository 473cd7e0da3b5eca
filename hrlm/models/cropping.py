"""Crops cut from the original pixels, differentiable in where they look, low-passed where they reduce."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hrlm.geometry import CropTransform, bounding_box
from hrlm.models.backbone import normalise_pixels

# pixels around a crop's window that bilinear sampling may touch
MARGIN = 2


def crop_photo(pixels: np.ndarray, crops: CropTransform, device: torch.device | str = "cpu") -> Tensor:
    """Crops of one photo.

    Each crop's window is sliced out of the photo, reduced by the whole number of photo pixels that a crop pixel
    covers (exact block means, in uint8), and sampled bilinearly, four samples a crop pixel where it reduces. So the
    memory that becomes float is bounded by the crop's size, never by the photo's.

    Args:
        pixels: `(H, W, 3)` uint8 sRGB.
        crops: B crops in photo pixels; gradients flow to `centre`, `side` and `angle`.
        device: where the crops are made; only the reduced windows travel there.

    Returns:
        `(B, 3, S, S)` normalised for the backbone; what lies outside of the photo is 0, which is mid-grey.
    """
    low, high = bounding_box(crops.corners().detach())
    boxes = torch.cat([low, high], -1).tolist()
    return torch.cat([_crop_one(pixels, crops[i : i + 1], box, device) for i, box in enumerate(boxes)])


def crop_photos(photos: Sequence[np.ndarray], crops: Sequence[CropTransform], device: torch.device | str) -> Tensor:
    """`crop_photo` over several photos, all crops in one batch in order."""
    return torch.cat([crop_photo(p, c, device) for p, c in zip(photos, crops, strict=True) if len(c)])


def _crop_one(pixels: np.ndarray, crop: CropTransform, box: Sequence[float], device: torch.device | str) -> Tensor:
    scale = float(crop.scale.detach())
    factor = max(1, math.floor(scale))
    window, origin = _window(pixels, box, factor)
    if window is None:
        return torch.zeros(1, 3, crop.size, crop.size, device=device)
    local = crop.reduced_photo(origin, factor).to(device, torch.float32)
    image = normalise_pixels(_uploaded(window, device).permute(2, 0, 1)[None])
    oversample = 2 if scale > 1 else 1
    grid = local.grid(window.shape[1], window.shape[0], oversample)
    sampled = F.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return _halved(sampled) if oversample > 1 else sampled


def _uploaded(window: np.ndarray, device: torch.device | str) -> Tensor:
    """The window's bytes on the device; a CUDA device fetches them by itself while this thread goes on."""
    there = torch.from_numpy(window)
    if torch.device(device).type == "cuda":
        return there.pin_memory().to(device, non_blocking=True)
    return there.to(device)


def _halved(pixels: Tensor) -> Tensor:
    """Means of blocks of 2 x 2 pixels of `(B, C, H, W)`; as sums of slices several times as fast as pooling."""
    rows = pixels[..., ::2, :] + pixels[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]) / 4


def _window(pixels: np.ndarray, box: Sequence[float], factor: int) -> tuple[np.ndarray | None, tuple[int, int]]:
    """The part of the photo under a crop with this bounding box (left, top, right, bottom), reduced by `factor`, and
    the photo pixel that it starts at."""
    height, width = pixels.shape[:2]
    margin = MARGIN * factor
    x0, y0 = (max(0, math.floor(v) - margin) for v in box[:2])
    x1, y1 = (min(n, math.ceil(v) + margin + 1) for v, n in zip(box[2:], (width, height), strict=True))
    if x1 <= x0 or y1 <= y0:
        return None, (0, 0)
    if factor == 1:
        return np.ascontiguousarray(pixels[y0:y1, x0:x1]), (x0, y0)
    # whole blocks only, so that INTER_AREA is the exact mean; at the photo's edge the last block is filled up
    x1, y1 = (min(n, a + math.ceil((b - a) / factor) * factor) for a, b, n in ((x0, x1, width), (y0, y1, height)))
    return _block_means(pixels[y0:y1, x0:x1], factor), (x0, y0)


def _block_means(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Means of blocks of `factor` x `factor` pixels of `(H, W, 3)`; blocks that stick out repeat the last pixels.

    Those at the edge are filled up by themselves: to fill up the whole would copy it, and it may be the whole photo.
    """
    ends = [(n // factor, -(-n // factor)) for n in pixels.shape[:2]]
    means = np.empty((ends[0][1], ends[1][1], 3), np.uint8)
    for (top, bottom), (left, right) in product(*([(0, whole), (whole, every)] for whole, every in ends)):
        if top == bottom or left == right:
            continue
        part = pixels[top * factor : bottom * factor, left * factor : right * factor]
        lack = (bottom - top) * factor - part.shape[0], (right - left) * factor - part.shape[1]
        if any(lack):
            part = cv2.copyMakeBorder(part, 0, lack[0], 0, lack[1], cv2.BORDER_REPLICATE)
        means[top:bottom, left:right] = cv2.resize(part, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    return means


def crop_maps(maps: Tensor, face: CropTransform, crops: CropTransform, stride: int) -> Tensor:
    """Maps of face crops, seen through crops of the same photos.

    Args:
        maps: `(B, N, H, W)` on the cells of B face crops.
        face: the B face crops.
        crops: B crops of the same photos, one per face crop.
        stride: crop pixels per output cell, on both sides.

    Returns:
        `(B, N, S / stride, S / stride)`; 0 outside of the face crop.
    """
    # positions of the output's cells: to the photo, then to the face crop's cells
    out = crops.resized(crops.size // stride)
    inner = face.resized(maps.shape[-1])
    cells = torch.arange(out.size, device=maps.device, dtype=maps.dtype)
    y, x = torch.meshgrid(cells, cells, indexing="ij")
    flat = torch.stack([x, y], -1).reshape(1, -1, 2).expand(len(out), -1, -1)
    where = inner.to_crop(out.to_photo(flat)).reshape(len(out), out.size, out.size, 2)
    grid = (where + 0.5) * (2 / maps.shape[-1]) - 1
    return F.grid_sample(maps, grid.to(maps.dtype), mode="bilinear", padding_mode="zeros", align_corners=False)
