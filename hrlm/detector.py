"""The detector: photos in, faces with landmarks out. Owns all pre- and post-processing; the Python API."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hrlm.errors import ModelError
from hrlm.finding import FaceFinder, FoundFace
from hrlm.geometry import CropTransform, box_overlap, face_crop, rotation_matrix
from hrlm.models.build import load_model
from hrlm.models.cropping import crop_photos
from hrlm.models.inference import lanes, prepare, run
from hrlm.models.nets import Estimates
from hrlm.photos import Photo, open_photo
from hrlm.results import Face

# so many faces go through the networks at once: bounds the memory whatever the number of faces
FACE_BATCH = 8
# where the landmarks' upright bounding box lies for a found face: its centre's distance below the box's centre and its
# larger side, both in units of the found box's size (medians over HELEN's training photos)
CENTRE_BELOW = 0.14
EXTENT = 0.916
# a second look at the whole face pays when the first crop was further off than training's jitter
RECROP_SHIFT, RECROP_SCALE, RECROP_TURN = 0.1, 0.2, 0.2
# two found faces whose landmarks agree this much are one face
SAME_FACE = 0.7
QUALITIES = ("best", "fast")


@dataclass(frozen=True)
class Located:
    """Landmarks of faces in photo pixels: points `(F, N, 2)` and covariance `(F, N, 2, 2)`, float64."""

    points: np.ndarray
    covariance: np.ndarray


class Detector:
    """Finds faces and their landmarks on photos of any resolution.

    Args:
        model: a shipped model's name or a `.safetensors` file.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps` …; `auto` takes a GPU when there is one.
        levels: 1 for the full system, 0 for the global (holistic) network alone.
        quality: `best` looks at every face as it is and mirrored, at twice the networks' time; `fast` looks once.

    Raises:
        ModelError: no such model, a damaged file, or a device that is not there.
    """

    def __init__(
        self, model: str | Path = "ibug68", device: str = "auto", levels: int = 1, quality: str = "best"
    ) -> None:
        if levels not in (0, 1) or quality not in QUALITIES:
            raise ValueError(f"levels must be 0 or 1 and quality {' or '.join(QUALITIES)}, not {levels}, {quality!r}")
        self.device = choose_device(device)
        loaded = load_model(model, self.device)
        self._net, self._config = prepare(loaded.net), loaded.config
        self.info, self.metadata = loaded.info, loaded.metadata
        self.scheme = loaded.net.scheme
        self.levels, self.quality = levels, quality
        # another scheme's landmarks lie elsewhere about a found face
        self._placement = dict(loaded.metadata.get("placement") or {})
        self._finder = FaceFinder()
        self._lanes: ThreadPoolExecutor | None = None

    def detect(self, photo: Photo | str | os.PathLike[str], faces: str = "all", min_face: float = 0) -> list[Face]:
        """The faces of one photo, largest first; see `detect_batch`.

        Raises:
            PhotoError: the file cannot be read.
        """
        if not isinstance(photo, Photo):
            photo = open_photo(photo)
        return self.detect_batch([photo], faces, min_face)[0]

    def detect_batch(self, photos: Sequence[Photo], faces: str = "all", min_face: float = 0) -> list[list[Face]]:
        """The faces of several photos, largest first each.

        Args:
            faces: `all` or `largest`.
            min_face: photo pixels; faces whose box is narrower and lower are left out.
        """
        if faces not in ("all", "largest"):
            raise ValueError(f"faces must be 'all' or 'largest', not {faces!r}")
        if self.device.type != "cpu" or len(photos) < 2:
            return self._detect(photos, faces, min_face)
        if self._lanes is None:
            self._lanes = lanes(len(photos))
        return [own for (own,) in self._lanes.map(lambda photo: self._detect([photo], faces, min_face), photos)]

    def _detect(self, photos: Sequence[Photo], faces: str, min_face: float) -> list[list[Face]]:
        found = [self.find(photo, min_face) for photo in photos]
        if faces == "largest":
            found = [f[:1] for f in found]
        size, margin = self._config.face_size, self._config.face_margin
        located = self.locate(photos, [first_crops(f, size, margin, **self._placement) for f in found])
        return [self._faces(photo, own, where) for photo, own, where in zip(photos, found, located, strict=True)]

    def find(self, photo: Photo, min_face: float = 0) -> list[FoundFace]:
        """Where the faces are, largest first."""
        return self._finder.find(photo, min_face)

    @torch.inference_mode()
    def locate(self, photos: Sequence[Photo], crops: Sequence[CropTransform]) -> list[Located]:
        """Landmarks for given face crops (float64 photo pixels, upright), per photo.

        Args:
            crops: for each photo the crops of its faces; see `first_crops` and `geometry.face_crop`.
        """
        owner = [i for i, c in enumerate(crops) for _ in range(len(c))]
        parts = [c.resized(self._config.face_size) for c in crops if len(c)]
        n = len(self.scheme)
        points, covariance = np.zeros((len(owner), n, 2)), np.zeros((len(owner), n, 2, 2))
        if parts:
            every = CropTransform.cat(parts)
            for start in range(0, len(owner), FACE_BATCH):
                some = slice(start, start + FACE_BATCH)
                pixels = [photos[i].pixels for i in owner[some]]
                points[some], covariance[some] = self._locate(pixels, every[some])
        mine = np.array(owner, int)
        return [Located(points[mine == i], covariance[mine == i]) for i in range(len(photos))]

    def _locate(self, pixels: list[np.ndarray], face: CropTransform) -> tuple[np.ndarray, np.ndarray]:
        scores = self._global(pixels, face)
        coarse = [self._net.global_estimates(scores, face)]
        better, again = self._recrop(coarse[0], face)
        if len(again):
            face, scores = better, scores.clone()
            scores[again] = self._global([pixels[i] for i in again], face[again])
            coarse = [self._net.global_estimates(scores, face)]
        fine = [self._regional(pixels, face, scores)] if self.levels > 0 else []
        if self.quality == "best":
            flipped = replace(face, mirrored=~face.mirrored)
            scores = self._global(pixels, flipped)
            coarse.append(self._net.global_estimates(scores, flipped))
            fine += [self._regional(pixels, flipped, scores)] if self.levels > 0 else []
        points, covariance = self._net.fuse(coarse, fine, len(face))
        return points.numpy(), covariance.numpy()

    def _global(self, pixels: list[np.ndarray], face: CropTransform) -> Tensor:
        crops = crop_photos(pixels, [face[i : i + 1] for i in range(len(face))], self.device)
        return run(self._net.global_net, crops)

    def _recrop(self, estimates: Estimates, face: CropTransform) -> tuple[CropTransform, list[int]]:
        """Face crops placed by the landmarks where that differs enough to matter, and which ones those are."""
        points = estimates.points.unflatten(0, (len(face), -1))
        better = face_crop(points, self.scheme.normaliser, face.size, self._config.face_margin)
        shift = (better.centre - face.centre).norm(dim=-1) / face.side
        scale = (better.side / face.side).log().abs()
        turn = torch.remainder(better.angle - face.angle + torch.pi, 2 * torch.pi) - torch.pi
        off = (shift > RECROP_SHIFT) | (scale > RECROP_SCALE) | (turn.abs() > RECROP_TURN)
        merged = CropTransform(
            torch.where(off[:, None], better.centre, face.centre),
            torch.where(off, better.side, face.side),
            torch.where(off, better.angle, face.angle),
            face.mirrored,
            face.size,
        )
        return merged, off.nonzero()[:, 0].tolist()

    def _regional(self, pixels: list[np.ndarray], face: CropTransform, scores: Tensor) -> Estimates:
        crops = self._net.region_crops(scores, face)
        regions = len(self.scheme.regions)
        tiles = crop_photos(pixels, [crops[i : i + regions] for i in range(0, len(crops), regions)], self.device)
        context = self._net.context(scores, face, crops)
        return self._net.regional_estimates(run(self._net.regional_net, tiles, context), crops)

    def _faces(self, photo: Photo, found: list[FoundFace], located: Located) -> list[Face]:
        faces: list[Face] = []
        for one, points, covariance in zip(found, located.points, located.covariance, strict=True):
            extent = _extent(points)
            if any(box_overlap(extent, _extent(f.landmarks)) > SAME_FACE for f in faces):
                continue
            deviation = np.sqrt(np.trace(covariance, axis1=-2, axis2=-1) / 2)
            flags = face_flags(points, deviation, one.roll, float(self.scheme.inter_ocular(points)), photo)
            faces.append(Face(points, deviation, one.box, one.score, flags, covariance))
        return faces


def choose_device(name: str) -> torch.device:
    """The device by name; `auto` prefers CUDA, then MPS.

    Raises:
        ModelError: unknown or not there.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as e:
        raise ModelError(f"device {name!r} is not available here: use --device auto or cpu") from e
    return device


def first_crops(
    found: Sequence[FoundFace], size: int, margin: float, below: float = CENTRE_BELOW, extent: float = EXTENT
) -> CropTransform:
    """Upright face crops of `size` pixels for found faces, as wide as `margin` times the expected landmarks.

    Args:
        below, extent: where the landmarks lie about a found face; see `CENTRE_BELOW` and `EXTENT`.
    """
    middle = torch.tensor([f.centre for f in found], dtype=torch.float64).reshape(-1, 2)
    angle = torch.tensor([f.roll for f in found], dtype=torch.float64)
    unit = torch.tensor([f.size for f in found], dtype=torch.float64)
    down = rotation_matrix(angle) @ torch.tensor([0.0, 1.0], dtype=torch.float64)
    centre = middle + down * (below * unit)[:, None]
    return CropTransform.make(centre, margin * extent * unit, size, angle)


def face_flags(
    points: np.ndarray, deviation: np.ndarray, roll: float, inter_ocular: float, photo: Photo
) -> tuple[str, ...]:
    """What a person would want to know of a face.

    `cut`: a landmark lies outside of the photo. `small`: less than 30 px between the normaliser's landmarks.
    `turned`: rolled by more than 45 degrees. `uncertain`: the median deviation is over 6 % of the normaliser.
    """
    inside = (
        (points > -0.5).all() and (points[:, 0] < photo.width - 0.5).all() and (points[:, 1] < photo.height - 0.5).all()
    )
    told = {
        "cut": not inside,
        "small": inter_ocular < 30,
        "turned": abs(roll) > np.pi / 4,
        "uncertain": float(np.median(deviation)) > 0.06 * inter_ocular,
    }
    return tuple(name for name, true in told.items() if true)


def _extent(points: np.ndarray) -> tuple[float, float, float, float]:
    low, high = points.min(0), points.max(0)
    return (float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))
