"""The detector: photos in, faces with landmarks out. Owns all pre- and post-processing; the Python API."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

from hrlm.errors import ModelError
from hrlm.finding import FaceFinder, FoundFace
from hrlm.geometry import CropTransform, bounding_box, box_overlap, face_crop, rotation_matrix
from hrlm.models.build import load_model
from hrlm.models.cropping import crop_photos
from hrlm.models.graphs import Network, as_graph
from hrlm.models.inference import in_full_precision, lane_count, lanes, prepare, run
from hrlm.models.nets import Estimates
from hrlm.models.views import View
from hrlm.photos import Photo, open_photo
from hrlm.results import Face
from hrlm.schemes import Scheme

P = ParamSpec("P")
R = TypeVar("R")

# so many faces go through the networks at once: bounds the memory whatever the number of faces
FACE_BATCH = 8
# where the landmarks' upright bounding box lies for a found face: its centre's distance below the box's centre and its
# larger side, both in units of the found box's size (medians over HELEN's training photos)
CENTRE_BELOW = 0.14
EXTENT = 0.916
# a second look at the whole face pays when the first crop was further off than training's jitter
RECROP_SHIFT, RECROP_SCALE, RECROP_TURN = 0.1, 0.2, 0.2
# so often `best` places the face crop anew by the landmarks seen in it: the finder's box jumps by several crop pixels
# when a photo changes a little, and every jump moves the landmarks
SETTLING_LOOKS = 2
# of the crop's side: one standard deviation of the shifts that training jitters its crops by
SETTLED_SHIFT = 0.04
# photo pixels a crop pixel: where it covers more, what trembles in a crop shows in the photo, and views aside are soft
SOFT_ABOVE = 2.5
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
        levels: 2 for the full system, 1 without level 2's look at the photo's own pixels, 0 for the global (holistic)
            network alone; by default 2 for `best` and 1 for `fast`. A model without level 2 does the same with 1.
        quality: `best` settles every face crop by the face's own landmarks, whatever the finder's box was, and looks at
            the face as it is and mirrored, in two crops where they reduce it (see `models.views`); `fast` looks once.
        habits: whether landmarks lie where the annotators of the training photos would have put them (for `ibug68` in
            the mean 0.8 % of the inter-ocular distance further right in the picture), or where a network finds them
            that has seen every face mirrored too. A model without a shape model knows no habits.

    Raises:
        ModelError: no such model, a damaged file, or a device that is not there.
    """

    def __init__(
        self,
        model: str | Path = "ibug68",
        device: str = "auto",
        levels: int | None = None,
        quality: str = "best",
        habits: bool = True,
    ) -> None:
        if levels not in (None, 0, 1, 2) or quality not in QUALITIES:
            known = " or ".join(QUALITIES)
            raise ValueError(f"levels must be 0, 1 or 2 and quality {known}, not {levels}, {quality!r}")
        self.device = choose_device(device)
        loaded = load_model(model, self.device)
        self._net, self._config = prepare(loaded.net.float()), loaded.config
        self._global_net: Network = self._net.global_net
        self._regional_net: Network = self._net.regional_net
        self.weights, self.info, self.metadata = loaded.path, loaded.info, loaded.metadata
        self.scheme = loaded.net.scheme
        self.quality, self._habits = quality, habits
        self.levels = (2 if quality == "best" else 1) if levels is None else levels
        # another scheme's landmarks lie elsewhere about a found face
        self._placement = dict(loaded.metadata.get("placement") or {})
        self._finder = FaceFinder()
        self._lanes: tuple[ThreadPoolExecutor, Detector] | None = None
        self._process = os.getpid()
        self._forked: ThreadPoolExecutor | None = None
        self._as_made = (loaded.path, device, levels, quality, habits)

    def __getstate__(self) -> tuple[object, ...]:
        # graphs and threads stay with their process
        return self._as_made

    def __setstate__(self, made: tuple[Any, ...]) -> None:
        self.__init__(*made)  # type: ignore[misc]

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
            min_face: photo pixels; faces of a smaller box, by the square root of its area, are left out.
        """
        if faces not in ("all", "largest"):
            raise ValueError(f"faces must be 'all' or 'largest', not {faces!r}")
        return self._in_process(self._detect_batch, photos, faces, min_face)

    def _in_process(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """`work` in this process, which may have been forked from the one that made the detector.

        Of the threads there, which the networks' layers and the lanes ran in, none is here, and the one that forked
        would wait for them for ever. A new thread gets new ones.
        """
        if self._process != os.getpid():
            self._process, self._lanes, self._forked = os.getpid(), None, ThreadPoolExecutor(1, "hrlm-forked")
        return self._forked.submit(work, *args, **kwargs).result() if self._forked else work(*args, **kwargs)

    def _detect_batch(self, photos: Sequence[Photo], faces: str, min_face: float) -> list[list[Face]]:
        if self.device.type != "cpu" or len(photos) < 2:
            return self._detect(photos, faces, min_face)
        if self._lanes is None:
            count = lane_count(len(photos))
            self._lanes = lanes(count), self._of_graphs(torch.get_num_threads() - count + 1)
        pool, one = self._lanes
        return [own for (own,) in pool.map(lambda photo: one._detect([photo], faces, min_face), photos)]

    def _detect(self, photos: Sequence[Photo], faces: str, min_face: float) -> list[list[Face]]:
        found = [self.find(photo, min_face) for photo in photos]
        if faces == "largest":
            found = [f[:1] for f in found]
        located = self._located(photos, [self.first_crops(f) for f in found])
        return [self._faces(photo, own, where) for photo, own, where in zip(photos, found, located, strict=True)]

    @property
    def face_margin(self) -> float:
        """Side of the face crop over the larger side of the landmarks' bounding box."""
        return self._config.face_margin

    def find(self, photo: Photo, min_face: float = 0) -> list[FoundFace]:
        """Where the faces are, largest first."""
        return self._finder.find(photo, min_face)

    def first_crops(self, found: Sequence[FoundFace]) -> CropTransform:
        """The face crops that `locate` starts from, for found faces."""
        return first_crops(found, self._config.face_size, self.face_margin, **self._placement)

    def locate(self, photos: Sequence[Photo], crops: Sequence[CropTransform]) -> list[Located]:
        """Landmarks for given face crops (float64 photo pixels, upright), per photo.

        Args:
            crops: for each photo the crops of its faces; see `first_crops` and `geometry.face_crop`.
        """
        return self._in_process(self._located, photos, crops)

    def _located(self, photos: Sequence[Photo], crops: Sequence[CropTransform]) -> list[Located]:
        owner = [i for i, c in enumerate(crops) for _ in range(len(c))]
        parts = [c.resized(self._config.face_size) for c in crops if len(c)]
        n = len(self.scheme)
        points, covariance = np.zeros((len(owner), n, 2)), np.zeros((len(owner), n, 2, 2))
        if parts:
            every = CropTransform.cat(parts)
            for some, views in self._batches(every):
                pixels = [photos[owner[i]].pixels for i in some]
                with torch.inference_mode(), in_full_precision(self.device):
                    points[some], covariance[some] = self._locate(pixels, every[some], views)
        mine = np.array(owner, int)
        return [Located(points[mine == i], covariance[mine == i]) for i in range(len(photos))]

    def _batches(self, face: CropTransform) -> Iterator[tuple[list[int], list[View]]]:
        """The face crops' numbers, as many at once as go through the networks, and the views in which to look."""
        best = self.quality == "best"
        views = [View(), View(mirrored=True)] if best else [View()]
        # a smaller face has no more to show
        large, huge = (face.scale > 1) & best, (face.scale > SOFT_ABOVE) & best
        for which, more in (
            (~large, []),
            (large & ~huge, [replace(view, aside=True) for view in views]),
            (huge, [replace(view, aside=True, soft=True) for view in views]),
        ):
            numbers = which.nonzero()[:, 0]
            yield from ((some.tolist(), views + more) for some in numbers.split(FACE_BATCH) if len(some))

    def _locate(
        self, pixels: list[np.ndarray], face: CropTransform, views: Sequence[View]
    ) -> tuple[np.ndarray, np.ndarray]:
        face, looks, coarse = self._settle(pixels, face, views)
        fine = []
        if self.levels > 0:
            fine = [
                self._net.look_at_regions(pixels, view.of(face), look, partial(self._regional, view))
                for view, look in zip(views, looks, strict=True)
            ]
        points, covariance = self._net.fuse(coarse, fine, len(face))
        if self.levels > 1 and self._net.native is not None:
            refined = [self._net.native.refine(*one) for one in zip(pixels, points, covariance, strict=True)]
            points, covariance = (torch.stack(part) for part in zip(*refined, strict=True))
        points, covariance = self._net.shaped(points, covariance, self.levels > 0, self._habits)
        return points.numpy(), covariance.numpy()

    def _settle(
        self, pixels: list[np.ndarray], face: CropTransform, views: Sequence[View]
    ) -> tuple[CropTransform, list[Tensor], list[Estimates]]:
        """Face crops placed by the faces' own landmarks, and the global scores and estimates of each of their views.

        `best` moves every crop, several times, the first time by one view alone; `fast` once those that are far off.
        """
        best = self.quality == "best"
        looks = [self._global(pixels, face, views[0])]
        seen = self._estimates(looks, face, views[:1])
        for _ in range(SETTLING_LOOKS if best else 1):
            points = self._net.fuse(seen, [], len(face))[0]
            better = (
                settled_crop(points, self.scheme, face.size, self.face_margin)
                if best
                else face_crop(points, self.scheme.normaliser, face.size, self.face_margin)
            )
            again = (far_off(face, better) | best).nonzero()[:, 0]
            if len(again):
                face = better_at(again, face, better)
                some, own = face[again], [pixels[i] for i in again]
                fresh = [self._global(own, some, view) for view in views]
                # of several views every crop was moved
                every = len(again) == len(face)
                looks = fresh if every else [looks[0].index_copy(0, again.to(looks[0].device), fresh[0])]
                seen = self._estimates(looks, face, views)
        return face, looks, seen

    def _estimates(self, looks: Sequence[Tensor], face: CropTransform, views: Sequence[View]) -> list[Estimates]:
        return [self._net.global_estimates(s, view.of(face)) for s, view in zip(looks, views, strict=True)]

    def _global(self, pixels: list[np.ndarray], face: CropTransform, view: View) -> Tensor:
        seen = view.of(face)
        crops = crop_photos(pixels, [seen[i : i + 1] for i in range(len(seen))], self.device)
        return run(self._global_net, view.shown(crops))

    def _regional(self, view: View, crops: Tensor, context: Tensor) -> Tensor:
        return run(self._regional_net, view.shown(crops), context)

    def _of_graphs(self, threads: int) -> Detector:
        """This detector with networks that run without Python. A lone photo's are as they are: in another runtime the
        last bits of a landmark differ, and what a photo gets must not depend on those before it."""
        stride, face, region = self._net.regional_net.stride, self._config.face_size, self._net.region_size
        like = partial(torch.zeros, dtype=torch.float32)
        cells = like(1, len(self.scheme), region // stride, region // stride)
        twin = object.__new__(Detector)
        vars(twin).update(vars(self), _finder=self._finder.of_graphs(threads))
        twin._global_net = as_graph(self._net.global_net, like(1, 3, face, face), threads=threads)
        twin._regional_net = as_graph(self._net.regional_net, like(1, 3, region, region), cells, threads=threads)
        return twin

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


def settled_crop(points: Tensor, scheme: Scheme, size: int, margin: float) -> CropTransform:
    """As `geometry.face_crop`, but placed by the mean of the landmarks `(B, N, 2)` in photo pixels.

    The middle of the bounding box trembles with the few landmarks at its rim, four times as far as the mean of all. So
    the crop lies about the mean as the box's middle does in the scheme's own shape; without a shape, around the mean.
    On a face that is turned or odd the two part: the crop stays within `SETTLED_SHIFT` of where training has it.
    """
    crop = face_crop(points, scheme.normaliser, size, margin)
    shape = torch.tensor(scheme.shape or [[0.0, 0.0], [1.0, 1.0]], dtype=points.dtype, device=points.device)
    low, high = bounding_box(shape)
    away = ((low + high) / 2 - shape.mean(0)) / (margin * (high - low).amax())
    by_mean = points.mean(1) + crop.side[:, None] * (rotation_matrix(crop.angle) @ away)
    shift = by_mean - crop.centre
    most = SETTLED_SHIFT * crop.side / shift.norm(dim=-1).clamp_min(1e-9)
    return replace(crop, centre=crop.centre + shift * most.clamp_max(1.0)[:, None])


def better_at(index: Tensor, face: CropTransform, better: CropTransform) -> CropTransform:
    """The face crops, moved to where the better ones lie at an index; mirrored as they were."""
    centre, side, angle = (
        old.index_copy(0, index, new[index])
        for old, new in ((face.centre, better.centre), (face.side, better.side), (face.angle, better.angle))
    )
    return replace(face, centre=centre, side=side, angle=angle)


def far_off(face: CropTransform, better: CropTransform) -> Tensor:
    """Which face crops `(B,)` differ from better ones by more than training's jitter."""
    shift = (better.centre - face.centre).norm(dim=-1) / face.side
    scale = (better.side / face.side).log().abs()
    turn = torch.remainder(better.angle - face.angle + torch.pi, 2 * torch.pi) - torch.pi
    return (shift > RECROP_SHIFT) | (scale > RECROP_SCALE) | (turn.abs() > RECROP_TURN)


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
