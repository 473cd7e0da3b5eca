"""Losses for others' generators and editors: how far the landmarks of their pictures moved."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hrlm.detector import Detector
from hrlm.errors import DataError
from hrlm.geometry import CropTransform, face_crop
from hrlm.models.build import load_model
from hrlm.photos import Photo

UNITS = ("percent", "pixels")


class LandmarkConsistency(nn.Module):
    """Mean distance of a picture's landmarks from a reference, differentiable in the picture.

    The detector's networks look at each picture as they look at a photo, with frozen weights: gradients reach the
    pixels through both levels and through where the second one looks. Two pictures of a face must show it at about
    the same place, as a picture before and after an edit does.

    Args:
        model: a shipped model's name or a `.safetensors` file.
        levels: 1 for the full system, 0 for the global network alone, several times as fast.
        unit: `percent` of the distance between the normaliser's landmarks in the reference, or `pixels`.
        device: where the networks are.

    Raises:
        ModelError: no such model or a damaged file.
    """

    def __init__(
        self,
        model: str | Path = "ibug68",
        levels: int = 1,
        unit: str = "percent",
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__()
        if levels not in (0, 1) or unit not in UNITS:
            raise ValueError(f"levels must be 0 or 1 and unit {' or '.join(UNITS)}, not {levels}, {unit!r}")
        loaded = load_model(model, device)
        self.net, self.config, self.scheme = loaded.net, loaded.config, loaded.net.scheme
        self.levels, self.unit, self._model = levels, unit, model
        self._detector: Detector | None = None

    def train(self, mode: bool = True) -> LandmarkConsistency:
        """The detector stays as it is: it neither learns nor counts what it sees into its statistics."""
        return super().train(False)

    def forward(self, images: Tensor, reference: Tensor) -> Tensor:
        """The loss, averaged over landmarks and pictures; a scalar.

        Args:
            images: `(B, 3, H, W)` sRGB, 0 to 1, one face each that matters.
            reference: the pictures as they were, `(B, 3, H, W)` in 0 to 1, whose largest face counts, or where the
                landmarks should be, `(B, N, 2)` in the pictures' pixels. No gradient flows to it.

        Raises:
            DataError: a reference picture shows no face.
        """
        pictures = reference.ndim == 4
        placed = self.find(reference) if pictures else reference.detach().to(images)
        with torch.no_grad():
            # against the same view of the reference, so that an unchanged picture costs nothing
            wanted = self.landmarks(reference.detach(), placed) if pictures else placed
        off = torch.linalg.vector_norm(self.landmarks(images, placed) - wanted, dim=-1)
        if self.unit == "percent":
            a, b = self.scheme.normaliser
            off = 100 * off / (wanted[:, a] - wanted[:, b]).norm(dim=-1, keepdim=True)
        return off.mean()

    def landmarks(self, images: Tensor, placed: Tensor) -> Tensor:
        """Landmarks `(B, N, 2)` in the pictures' pixels, differentiable in `images`.

        Args:
            images: `(B, 3, H, W)` in 0 to 1.
            placed: `(B, N, 2)` about where the landmarks are: says where the face is looked at.
        """
        pixels = (images * 255 - 127) / 128
        face = face_crop(placed, self.scheme.normaliser, self.config.face_size, self.config.face_margin)
        scores = self.net.global_net(_crops(pixels, face))
        coarse, fine = [self.net.global_estimates(scores, face)], []
        if self.levels:
            crops = self.net.region_crops(scores, face)
            context = self.net.context(scores, face, crops)
            seen = _crops(pixels.repeat_interleave(len(self.scheme.regions), 0), crops)
            fine = [self.net.regional_estimates(self.net.regional_net(seen, context), crops)]
        return self.net.fuse(coarse, fine, len(images))[0]

    @torch.no_grad()
    def find(self, images: Tensor) -> Tensor:
        """Landmarks `(B, N, 2)` of the largest face of each picture `(B, 3, H, W)`, by the whole detector.

        Raises:
            DataError: a picture shows no face.
        """
        if self._detector is None:
            self._detector = Detector(self._model, str(images.device), levels=0, quality="fast")
        found = []
        for i, image in enumerate(images):
            pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
            faces = self._detector.detect(Photo.from_array(np.ascontiguousarray(pixels)), faces="largest")
            if not faces:
                raise DataError(f"picture {i} of the reference shows no face: give its landmarks instead")
            found.append(torch.from_numpy(faces[0].landmarks))
        return torch.stack(found).to(images)


def _crops(images: Tensor, crops: CropTransform) -> Tensor:
    """One crop `(B, 3, S, S)` of each normalised picture `(B, 3, H, W)`, as `crop_photo` cuts them from photos."""
    made = []
    for image, crop in zip(images.split(1), (crops[i : i + 1] for i in range(len(crops))), strict=True):
        scale = float(crop.scale.detach())
        factor = max(1, math.floor(scale))
        reduced = F.avg_pool2d(image, factor, ceil_mode=True) if factor > 1 else image
        oversample = 2 if scale > 1 else 1
        grid = crop.reduced_photo((0, 0), factor).grid(reduced.shape[-1], reduced.shape[-2], oversample)
        seen = F.grid_sample(reduced, grid.to(reduced), mode="bilinear", padding_mode="zeros", align_corners=False)
        made.append(F.avg_pool2d(seen, oversample) if oversample > 1 else seen)
    return torch.cat(made)
