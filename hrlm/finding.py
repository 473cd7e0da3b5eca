"""Where the faces are: YuNet, looked through twice.

YuNet knows faces of about 10 to 300 pixels that stand upright. Shown a face that lies or hangs it often finds it, but
makes up the points of an upright one; shown one near the ends of its range its box is loose. So a first look over
reduced views of the whole photo, upright and turned, only proposes where a face may be. The second look cuts each
proposal out at the size that YuNet knows best, in four turns, and its best answer counts: it settles whether this is
a face, how it is turned, and where it lies.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import cv2
import numpy as np
import torch
from torch import Tensor

from hrlm.geometry import CropTransform, bounding_box, box_overlap, resize_points
from hrlm.photos import Photo
from hrlm.results import Box
from hrlm.yunet import YuNet
from hrlm.yunet_graph import as_fast

# First look: long sides of the views. The main view finds faces down to about 1/60 of the photo's side, the small one
# those that fill the frame and, turned three times at little cost, those that lie or hang.
_MAIN_VIEW = 640
_SMALL_VIEW = 320
# Smaller faces deserve a larger view: taken where the main view shows a face of fewer pixels than this, or none.
_LARGE_VIEW = 1280
_SMALL_FACE = 24
# And where no face fills this share of the photo's side: many may stand far away beside the one that is seen.
_FAR_FACE = 0.1
# Views beyond that are looked at in tiles as large as the large view, for faces of so many photo pixels and more.
_LEAST_FACE = 60
_TILE_OVERLAP = 96
# A face that is cut by the frame on all sides shows itself better small and with a border.
_TINY_VIEW, _TINY_BORDER = 128, 64
_PROPOSAL_SCORE = 0.5

# Second look: the face's box is this many pixels of a square patch.
_PATCH = 160
_PATCH_FACE = 80
# A patch lies in steps: its middle of 1/256 of the face's size, its size of 1/256 of a doubling, its angle of 1/256
# of a radian.
_STEPS = 256
# No face turned the wrong way scores as much as this, so the other turns need no look.
_SURE_SCORE = 0.92
# Hands pass for faces that lie or hang with scores up to 0.85; such faces themselves score from 0.87 on.
_TURNED_SCORE = 0.86
_TURNED = math.radians(60)
_SETTLING_LOOKS = 3
_SETTLED_ROLL = math.radians(4)

# Two boxes show the same face where they share this much of their union, or of the smaller one: a face within a face
# is a part of it.
_SAME_UNION = 0.3
_SAME_PART = 0.6

_GREY = (128, 128, 128)
_TURNS = (None, cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE)


def roll_of(points: np.ndarray) -> float:
    """How far a face is turned, in radians, clockwise as seen, from its five points `(5, 2)`.

    Eyes, mouth corners and the way from eyes to mouth each say where the face's left is; added up, the long ones
    count most: the way to the mouth in a profile, where the eyes fall together, the eyes where the head is bowed.
    """
    right_eye, left_eye, _, right_mouth, left_mouth = points
    down = (right_mouth + left_mouth - right_eye - left_eye) / 2
    across = (left_eye - right_eye) + (left_mouth - right_mouth) + np.array([down[1], -down[0]])
    return math.atan2(across[1], across[0])


@dataclass(frozen=True, eq=False)
class FoundFace:
    """One found face.

    Args:
        box: x, y, width, height in photo pixels, parallel to the photo's sides. Its centre and area are those of the
            box in the face's own upright frame, whatever the roll; so `sqrt(width * height)` measures the face.
        score: certainty, 0 … 1.
        points: `(5, 2)` photo pixels: the person's right eye, left eye, nose tip, right and left mouth corner.
    """

    box: Box
    score: float
    points: np.ndarray = field(repr=False)

    @property
    def roll(self) -> float:
        """Radians, clockwise as seen: a `geometry.CropTransform` of this `angle` shows the face upright."""
        return roll_of(self.points)

    @property
    def quarter_turns(self) -> int:
        """Turns by 90 degrees anticlockwise, 0 … 3, that bring the face closest to upright."""
        return round(self.roll / (math.pi / 2)) % 4

    @property
    def size(self) -> float:
        """Side in photo pixels of the square as large as the box."""
        return math.sqrt(self.box[2] * self.box[3])

    @property
    def centre(self) -> tuple[float, float]:
        """Middle of the box in photo pixels."""
        return self.box[0] + self.box[2] / 2, self.box[1] + self.box[3] / 2


class FaceFinder:
    """Finds the faces of a photo. One finder may serve several threads; equal photos give equal faces.

    Args:
        threshold: faces of a lower score (0 … 1) are passed over. Faces that show eyes and mouth score above 0.84,
            profiles from 0.73 on; a face that lies or hangs needs 0.86 whatever the threshold, since hands look alike.

    Raises:
        ValueError: a threshold outside 0 … 1.
        ModelError: the weights are missing or damaged.
    """

    def __init__(self, threshold: float = 0.7) -> None:
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold must be 0 … 1, not {threshold}")
        self.threshold = threshold
        self._yunet = YuNet()

    def of_graphs(self, threads: int) -> FaceFinder:
        """This finder, with the network in the fastest form there is here; its scores differ in the last bits.

        Args:
            threads: as of `models.graphs.as_graph`.
        """
        twin = copy.copy(self)
        twin._yunet = as_fast(self._yunet, threads)
        return twin

    def find(self, photo: Photo, min_face: float = 0) -> list[FoundFace]:
        """The photo's faces, largest first.

        Args:
            photo: any size.
            min_face: smallest face wanted, as the side of its box in photo pixels.
        """
        views = _Views(photo)
        found = self._confirm(views, self._first_look(views, min_face))
        turns = {face.quarter_turns for face in found} - {0}
        if not found:
            found = self._confirm(views, self._harder_look(views, min_face))
        elif turns:
            # Likely the whole photo lies: what is small in it has been seen only upright so far.
            seen = [face for turn in sorted(turns) for face in self._look(views, _MAIN_VIEW, turn)]
            found = self._with_new(views, found, seen)
        found = self._far_look(views, found, min_face)
        wanted = [face for face in found if face.size >= min_face]
        return sorted(wanted, key=lambda face: (-face.box[2] * face.box[3], face.box))

    def _first_look(self, views: _Views, min_face: float) -> list[FoundFace]:
        seen = self._look(views, _MAIN_VIEW)
        for turn in range(4):
            seen += self._look(views, _SMALL_VIEW, turn)
        ratio = views.at(_MAIN_VIEW)[1]
        if ratio < 1 and any(face.size * ratio < _SMALL_FACE and face.size >= min_face for face in seen):
            seen += self._look(views, _LARGE_VIEW)
        return seen

    def _harder_look(self, views: _Views, min_face: float) -> list[FoundFace]:
        ratio = views.at(_MAIN_VIEW)[1]
        seen = self._look(views, _LARGE_VIEW) if ratio < 1 and min_face * ratio < _SMALL_FACE else []
        for turn in range(4):
            seen += self._look(views, _TINY_VIEW, turn, _TINY_BORDER)
            if turn:
                seen += self._look(views, _MAIN_VIEW, turn)
        return seen

    def _far_look(self, views: _Views, found: list[FoundFace], min_face: float) -> list[FoundFace]:
        """The faces found and, as long as they are small or there are none, those that ever larger views show."""
        least, side = min_face, _MAIN_VIEW
        while (ratio := side / views.long_side) < 1 and least * ratio < _SMALL_FACE:
            sizes = [face.size for face in found]
            far = side == _MAIN_VIEW and max(sizes, default=0) < _FAR_FACE * views.long_side
            if sizes and not far and min(sizes) * ratio >= _SMALL_FACE:
                break
            side *= 2
            if side > _LARGE_VIEW:
                seen = self._look_in_tiles(views, side)
            else:
                seen = [] if views.has(_LARGE_VIEW) else self._look(views, _LARGE_VIEW)
            # what the view before would have shown, too, has had its chance: the others are a dog's face, or a neck
            found = self._with_new(views, found, [face for face in seen if face.size * ratio < 2 * _SMALL_FACE])
            least = max(min_face, _LEAST_FACE)
        return found

    def _with_new(self, views: _Views, found: list[FoundFace], seen: list[FoundFace]) -> list[FoundFace]:
        """The faces found, and those proposals that show others and are confirmed."""
        new = [face for face in seen if not any(_same(face, other) for other in found)]
        return _distinct(found + self._confirm(views, new)) if new else found

    def _look_in_tiles(self, views: _Views, long_side: int) -> list[FoundFace]:
        """Proposals from an upright view of the whole photo whose long side is at least so many pixels."""
        return [
            _face(resize_points(at, factor) + torch.tensor(origin), score)
            for pixels, origin, factor in views.tiles(long_side)
            for at, score in self._yunet.look(pixels, _PROPOSAL_SCORE)
        ]

    def _look(self, views: _Views, long_side: int, turn: int = 0, border: int = 0) -> list[FoundFace]:
        """Proposals from one view of the whole photo, turned `turn` quarter turns anticlockwise."""
        pixels, ratio = views.at(long_side)
        if border:
            pixels = cv2.copyMakeBorder(pixels, border, border, border, border, cv2.BORDER_CONSTANT, value=_GREY)
        height, width = pixels.shape[:2]
        code = _TURNS[turn]
        sightings = self._yunet.look(pixels if code is None else cv2.rotate(pixels, code), _PROPOSAL_SCORE)
        faces = [_face(resize_points(_unturn(at, turn, width, height) - border, 1 / ratio), sc) for at, sc in sightings]
        return [face for face in faces if views.contains(face.centre)]

    def _confirm(self, views: _Views, seen: list[FoundFace]) -> list[FoundFace]:
        """The second look at each proposal; what it tells replaces the proposal."""
        looked = (self._second_look(views, proposal) for proposal in _distinct(seen))
        return _distinct([face for face in looked if face is not None])

    def _second_look(self, views: _Views, proposal: FoundFace) -> FoundFace | None:
        best: FoundFace | None = None
        for turn in (0, 2, 1, 3):
            face = self._look_closely(views, proposal, proposal.roll + turn * math.pi / 2)
            if face is None or face.score < (_TURNED_SCORE if abs(face.roll) > _TURNED else 0):
                continue
            if best is None or face.score > best.score:
                best = face
            if best.score >= _SURE_SCORE:
                break
        return None if best is None else self._settle(views, best)

    def _settle(self, views: _Views, face: FoundFace) -> FoundFace:
        """Look again at the face's own roll: YuNet tells a roll too small, and a tighter patch a steadier box."""
        for _ in range(_SETTLING_LOOKS):
            again = self._look_closely(views, face, face.roll)
            if again is None:
                break
            settled = abs(math.remainder(again.roll - face.roll, math.tau)) < _SETTLED_ROLL
            face = again
            if settled:
                break
        return face

    def _look_closely(self, views: _Views, proposal: FoundFace, angle: float) -> FoundFace | None:
        # A patch that lies elsewhere by a thousandth of a pixel moves YuNet's box by a hundred times that: patches in
        # steps let two runtimes, whose numbers differ in the last bits, nearly always see the same.
        size = 2 ** (round(math.log2(proposal.size) * _STEPS) / _STEPS)
        x, y = (round(v / size * _STEPS) / _STEPS * size for v in proposal.centre)
        crop = CropTransform.make(
            centre=torch.tensor([[x, y]], dtype=torch.float64),
            side=torch.tensor([size * _PATCH / _PATCH_FACE], dtype=torch.float64),
            size=_PATCH,
            angle=torch.tensor([round(angle * _STEPS) / _STEPS], dtype=torch.float64),
        )
        low = (_PATCH - 1 - _PATCH_FACE) / 2
        expected = (low, low, float(_PATCH_FACE), float(_PATCH_FACE))
        sightings = [
            (at, score)
            for at, score in self._yunet.look(views.patch(crop), self.threshold)
            if box_overlap(_face(at, score).box, expected) >= _SAME_UNION
        ]
        if not sightings:
            return None
        at, score = max(sightings, key=lambda sighting: sighting[1])
        return _face(crop.to_photo(at[None])[0], score)


class _Views:
    """A photo at falling sizes, each reduced once and from the next larger one."""

    def __init__(self, photo: Photo) -> None:
        self._photo = photo
        self._views: dict[int, tuple[np.ndarray, float]] = {}

    def at(self, long_side: int) -> tuple[np.ndarray, float]:
        """As `Photo.reduced`."""
        if long_side not in self._views:
            larger = min((side for side in self._views if side > long_side), default=None)
            pixels, ratio = (self._photo.pixels, 1.0) if larger is None else self._views[larger]
            again, further = Photo.from_array(pixels).reduced(long_side)
            self._views[long_side] = again, ratio * further
        return self._views[long_side]

    def has(self, long_side: int) -> bool:
        """Whether the view has been made."""
        return long_side in self._views

    @property
    def long_side(self) -> int:
        """Of the photo, in pixels."""
        return max(self._photo.width, self._photo.height)

    def tiles(self, long_side: int) -> Iterator[tuple[np.ndarray, tuple[int, int], int]]:
        """Overlapping tiles of a view of at least that size: pixels, the photo pixel that they start at, and how many
        photo pixels, along each side, are one of theirs."""
        factor = max(1, self.long_side // long_side)
        step, overlap = (_LARGE_VIEW - _TILE_OVERLAP) * factor, _TILE_OVERLAP * factor
        ends = self._photo.height, self._photo.width
        for y, x in product(*(range(0, max(1, end - overlap), step) for end in ends)):
            window = self._photo.window(x, y, x + step + overlap, y + step + overlap)
            yield _block_means(window, factor), (x, y), factor

    def contains(self, point: tuple[float, float]) -> bool:
        """Whether a point in photo pixels lies on the photo."""
        return 0 <= point[0] <= self._photo.width - 1 and 0 <= point[1] <= self._photo.height - 1

    def patch(self, crop: CropTransform) -> np.ndarray:
        """`(S, S, 3)` uint8: what the (one) crop shows, grey beyond the photo, averaged where it is reduced."""
        pixels, ratio = self._source(crop)
        crop = replace(crop, centre=resize_points(crop.centre, ratio), side=crop.side * ratio)
        factor = max(1, int(crop.scale))
        low, high = bounding_box(crop.corners()[0])
        x0, y0 = (max(0, int(v) - 2) for v in low)
        x1, y1 = (max(1, int(v) + 3) for v in high)
        window = _block_means(pixels[y0:y1, x0:x1], factor)
        crop = crop.reduced_photo((x0, y0), factor)
        linear = crop.linear[0].numpy()
        origin = crop.to_photo(torch.zeros(1, 1, 2, dtype=torch.float64))[0, 0].numpy()
        return cv2.warpAffine(
            window,
            np.column_stack([linear, origin]),
            (crop.size, crop.size),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderValue=_GREY,
        )

    def _source(self, crop: CropTransform) -> tuple[np.ndarray, float]:
        """The smallest view that is dense enough for the crop, or the photo itself."""
        dense = [view for view in self._views.values() if float(crop.scale) * view[1] >= 1]
        return min(dense, key=lambda view: view[1], default=(self._photo.pixels, 1.0))


def _block_means(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Means of `factor` x `factor` pixels from the upper left corner on; what fills no block is left out."""
    if factor == 1:
        return pixels
    height, width = (max(1, side // factor) for side in pixels.shape[:2])
    whole = pixels[: height * factor, : width * factor]
    return cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)


def _unturn(points: Tensor, turn: int, width: int, height: int) -> Tensor:
    """Points of an image after `turn` quarter turns anticlockwise, in the `width` x `height` image before them."""
    x, y = points.unbind(-1)
    if turn == 1:
        x, y = width - 1 - y, x
    elif turn == 2:
        x, y = width - 1 - x, height - 1 - y
    elif turn == 3:
        x, y = y, height - 1 - x
    return torch.stack([x, y], -1)


def _face(at: Tensor, score: float) -> FoundFace:
    """A sighting, moved by a similarity transform, as a face with a box parallel to the axes."""
    corner, right, below = at[:3].numpy()
    across, down = right - corner, below - corner
    w, h = float(np.hypot(*across)), float(np.hypot(*down))
    # From w x h upright to h x w when the face lies, of the same area all the way.
    upright = float((across[0] / w) ** 2)
    width, height = w**upright * h ** (1 - upright), h**upright * w ** (1 - upright)
    x, y = (right + below) / 2
    return FoundFace((float(x) - width / 2, float(y) - height / 2, width, height), score, at[3:].numpy().copy())


def _distinct(faces: Sequence[FoundFace]) -> list[FoundFace]:
    """Best first, without those that show what a better one shows."""
    kept: list[FoundFace] = []
    for face in sorted(faces, key=lambda face: (-face.score, face.box)):
        if not any(_same(face, other) for other in kept):
            kept.append(face)
    return kept


def _same(a: FoundFace, b: FoundFace) -> bool:
    union = box_overlap(a.box, b.box)
    # Shared area = union overlap x (sum of areas) / (1 + union overlap).
    areas = a.box[2] * a.box[3], b.box[2] * b.box[3]
    shared = union * sum(areas) / (1 + union)
    if union >= _SAME_UNION or shared < _SAME_PART * min(areas):
        return union >= _SAME_UNION
    # A child before its mother's chin is no part of her: it shows all that a face has, and elsewhere.
    smaller = min(a, b, key=lambda face: face.size)
    apart = float(np.linalg.norm(a.points.mean(0) - b.points.mean(0)))
    return smaller.score < _SURE_SCORE or apart < smaller.size
