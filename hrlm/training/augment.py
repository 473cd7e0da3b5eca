"""Augmentation: what happens to photos before a crop is cut, and how crops are misplaced on purpose.

Pixels stay `(H, W, 3)` uint8; every draw comes from the generator given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import simplejpeg
import torch

from hrlm.geometry import CropTransform
from hrlm.training.data import Sample

Rng = np.random.Generator


def augment_photo(sample: Sample, rng: Rng, others: Sequence[Sample]) -> Sample:
    """Density, light, colour, occlusion, blur, noise and compression, each at random.

    Args:
        others: photos whose pixels may cover parts of the face.
    """
    if sample.warp:
        sample = warp(sample, rng)
    if sample.bend:
        sample = bend(sample, rng)
    extent = float((sample.points.max(0) - sample.points.min(0)).max())
    if rng.random() < 0.4:
        # any face size from 40 px up is as likely per octave
        face = np.exp(rng.uniform(np.log(40), np.log(max(extent, 41))))
        ratio = face / extent
        if ratio < 0.95:
            sample = sample.reduced(max(16, round(max(sample.pixels.shape[:2]) * ratio)))
            extent = float((sample.points.max(0) - sample.points.min(0)).max())
    pixels = sample.pixels
    if rng.random() < 0.35:
        pixels = occlude(pixels, sample.points, extent, rng, others)
    if rng.random() < 0.8:
        pixels = recolour(pixels, rng)
    if rng.random() < 0.25:
        pixels = relight(pixels, rng)
    if rng.random() < 0.12:
        pixels = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if rng.random() < 0.2:
        pixels = blur(pixels, extent, rng)
    if rng.random() < 0.2:
        noise = rng.normal(0, rng.uniform(2, 14), pixels.shape[:2]).astype(np.int16)
        pixels = np.clip(pixels + noise[..., None], 0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=int(rng.integers(15, 90)))
        pixels = simplejpeg.decode_jpeg(jpeg)
    return replace(sample, pixels=pixels)


def warp(sample: Sample, rng: Rng) -> Sample:
    """The sample stretched, sheared and tilted as if seen by another lens from another side, with its landmarks.

    A random projective map: each corner of the face's square moves by a normal deviate of `sample.warp / 2` of its
    side, at most `sample.warp`, along each axis. What lies outside of the photo repeats its edge.
    """
    low, high = sample.points.min(0), sample.points.max(0)
    middle, half = (low + high) / 2, (high - low).max() / 2
    square = middle + half * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    moved = square + 2 * half * np.clip(rng.normal(0, sample.warp / 2, (4, 2)), -sample.warp, sample.warp)
    matrix = cv2.getPerspectiveTransform(square.astype(np.float32), moved.astype(np.float32))
    height, width = sample.pixels.shape[:2]
    pixels = cv2.warpPerspective(
        sample.pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    box = sample.box
    corners = np.empty((0, 2))
    if box is not None:
        x, y, w, h = box
        corners = np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]])
    points = cv2.perspectiveTransform(np.concatenate([sample.points, corners])[None], matrix)[0]
    if box is not None:
        (x, y), (right, bottom) = points[-4:].min(0).tolist(), points[-4:].max(0).tolist()
        points, box = points[:-4], (x, y, right - x, bottom - y)
    return replace(sample, pixels=pixels, points=points, box=box)


def bend(sample: Sample, rng: Rng) -> Sample:
    """The sample with parts of the face widened, narrowed and shifted against each other, with its landmarks.

    A smooth random field: at knots a fifth of the face's side apart, normal deviates of `sample.bend` of that side
    along each axis, at most twice that, with cubic interpolation between them. What lies outside of the photo repeats
    its edge.
    """
    low, high = sample.points.min(0), sample.points.max(0)
    side = float((high - low).max())
    height, width = sample.pixels.shape[:2]
    knots = [max(3, round(5 * n / side) + 1) for n in (height, width)]
    coarse = side * sample.bend * np.clip(rng.normal(0, 1, (*knots, 2)), -2, 2)
    field = cv2.resize(coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    pixels = cv2.remap(
        sample.pixels,
        columns + field[..., 0],
        rows + field[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    box = sample.box
    corners = np.empty((0, 2))
    if box is not None:
        x, y, w, h = box
        corners = np.array([[x, y], [x + w, y + h]])
    source = np.concatenate([sample.points, corners])
    points = source
    # where the field brings each point from is known, where it takes it to is found by going back: it shrinks distances
    for _ in range(30):
        at = points[None].astype(np.float32)
        moved = cv2.remap(field, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        points = source - moved[0]
    if box is not None:
        (x, y), (right, bottom) = points[-2].tolist(), points[-1].tolist()
        points, box = points[:-2], (x, y, right - x, bottom - y)
    return replace(sample, pixels=pixels, points=points, box=box)


def recolour(pixels: np.ndarray, rng: Rng) -> np.ndarray:
    """Gamma, contrast, brightness and white balance by tables; saturation by mixing with grey."""
    level = np.arange(256, dtype=np.float32) / 255
    tables = []
    gamma, contrast, shift = np.exp(rng.normal(0, 0.2)), np.exp(rng.normal(0, 0.15)), rng.normal(0, 0.05)
    for _ in range(3):
        gain = np.exp(rng.normal(0, 0.08))
        curve = (level**gamma * gain - 0.5) * contrast + 0.5 + shift
        tables.append(np.clip(curve * 255, 0, 255))
    pixels = cv2.LUT(pixels, np.stack(tables, -1).astype(np.uint8)[None])
    if rng.random() < 0.5:
        grey = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        keep = rng.uniform(0.3, 1.5)
        pixels = cv2.addWeighted(pixels, keep, grey, 1 - keep, 0)
    return pixels


def relight(pixels: np.ndarray, rng: Rng) -> np.ndarray:
    """A soft, random pattern of light and shade over the photo."""
    height, width = pixels.shape[:2]
    coarse = np.exp(rng.normal(0, rng.uniform(0.1, 0.5), (3, 3, 1)) + rng.normal(0, 0.05, (3, 3, 3)))
    light = cv2.resize(coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(pixels * np.clip(light, 0.1, 3), 0, 255).astype(np.uint8)


def blur(pixels: np.ndarray, extent: float, rng: Rng) -> np.ndarray:
    """Out of focus or moved, by up to a few hundredths of the face."""
    if rng.random() < 0.6:
        return cv2.GaussianBlur(pixels, (0, 0), max(0.3, rng.uniform(0.001, 0.012) * extent))
    length = max(3, int(rng.uniform(0.01, 0.05) * extent)) | 1
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    reach = (length - 1) / 2
    for t in np.linspace(-reach, reach, 2 * length):
        kernel[round(reach + t * np.sin(angle)), round(reach + t * np.cos(angle))] = 1
    return cv2.filter2D(pixels, -1, kernel / kernel.sum())


def occlude(pixels: np.ndarray, points: np.ndarray, extent: float, rng: Rng, others: Sequence[Sample]) -> np.ndarray:
    """One or two ellipses or bars over the face: plain, noisy or filled from another photo."""
    pixels = pixels.copy()
    height, width = pixels.shape[:2]
    low, high = points.min(0), points.max(0)
    for _ in range(int(rng.integers(1, 3))):
        centre = rng.uniform(low - 0.1 * extent, high + 0.1 * extent)
        size = rng.uniform(0.05, 0.25, 2) * extent
        mask = np.zeros((height, width), np.uint8)
        turn = rng.uniform(0, 180)
        if rng.random() < 0.5:
            cv2.ellipse(mask, (centre.tolist(), (2 * size).tolist(), turn), 1, -1)
        else:
            box = cv2.boxPoints((centre.tolist(), (2 * size).tolist(), turn))
            cv2.fillConvexPoly(mask, box.astype(np.int32), 1)
        if rng.random() < 0.5:
            fill = cv2.resize(others[int(rng.integers(len(others)))].pixels, (width, height))
        else:
            fill = np.broadcast_to(rng.integers(0, 256, 3).astype(np.uint8), pixels.shape)
        inside = mask.astype(bool)
        pixels[inside] = fill[inside]
    return pixels


def jitter_face(face: CropTransform, rng: Rng, mirrored: bool) -> CropTransform:
    """One face crop `(1,)` shifted, scaled and turned as a face finder would misplace it, flipped where told."""
    shift = torch.from_numpy(rng.normal(0, 0.04, (1, 2)).clip(-0.1, 0.1)).to(face.centre)
    turn = np.radians(np.clip(rng.normal(0, 14), -45, 45))
    return CropTransform(
        centre=face.centre + shift * face.side[:, None],
        side=face.side * float(np.exp(np.clip(rng.normal(0, 0.1), -0.22, 0.25))),
        angle=face.angle + turn,
        mirrored=torch.tensor([mirrored]),
        size=face.size,
    )


def jitter_regions(crops: CropTransform, generator: torch.Generator) -> CropTransform:
    """Region crops `(B,)` shifted by some 6 %, scaled by 12 % and turned by 12 degrees; gradients pass through."""

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).clamp(-2.2, 2.2).to(crops.centre)

    count = len(crops)
    return CropTransform(
        centre=crops.centre + 0.05 * normal(count, 2) * crops.side[:, None],
        side=crops.side * (0.12 * normal(count)).exp(),
        angle=crops.angle + 0.2 * normal(count),
        mirrored=crops.mirrored,
        size=crops.size,
    )
