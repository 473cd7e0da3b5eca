"""Faults of landmark data that a person would want to hear of before a night of training: pure tests of one face."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from hrlm.schemes import Scheme
from hrlm.training.shapes import align
from hrlm.training.sources import LabelledFace, Problem

UNREADABLE_PHOTO = "unreadable photo"
TOO_SMALL = "face too small"
FRACTIONS = "coordinates that are fractions"
OUTSIDE = "landmark outside of the photo"
COINCIDE = "landmarks that coincide"
SWAPPED = "left and right exchanged"
ODD_SHAPE = "landmarks that do not lie like the others' faces"
SHIFTED = "shift of a pixel (counted from 0 or from 1)"
ORIENTATION = "EXIF orientation that the labels do not follow"
WRONG_SIZE = "labels of a photo of another size"
TWICE = "face labelled twice"
LEAK = "photo in training and in validation or test"
REPEATED = "photo that is there twice"
UNTAUGHT = "landmark that nothing teaches"
UNUSABLE = "source that cannot be used"

# the larger side of the landmarks' box below which a face teaches little, photo pixels
SMALLEST = 32
# in units of the template's spread: what an exchanged pair lies apart, and what no face's error exceeds
APART, ODD = 0.25, 0.6
# landmarks that are nearer than this on the usual face may touch
TOUCHING = 0.15
# a landmark may be drawn so far outside of the photo, in faces: cut faces are guessed there
BEYOND = 0.25


@dataclass(frozen=True, eq=False)
class Template:
    """The usual shape of the faces: `(N,)` complex around 0, NaN where not known, and its root mean square radius."""

    shape: np.ndarray
    spread: float

    @staticmethod
    def of(points: np.ndarray) -> Template:
        """From a mean shape `(N, 2)`."""
        shape = points[:, 0] + 1j * points[:, 1]
        known = np.isfinite(shape)
        shape = shape - shape[known].mean() if known.any() else shape
        return Template(shape, float(np.sqrt((np.abs(shape[known]) ** 2).mean())) if known.any() else 1.0)

    def fit(self, points: np.ndarray) -> tuple[np.ndarray, float, float]:
        """A face `(N, 2)` on the template.

        Returns:
            `(N,)` complex landmarks moved onto the template, the root mean square distance in units of its spread,
            and how far the face is rolled, in radians; infinite where the face cannot be placed.
        """
        face = points[:, 0] + 1j * points[:, 1]
        moved = align(face[None], self.shape)[0]
        shared = np.isfinite(moved) & np.isfinite(self.shape)
        if shared.sum() < 2:
            return moved, np.inf, np.inf
        error = float(np.sqrt((np.abs(moved - self.shape)[shared] ** 2).mean())) / self.spread
        a, b = np.flatnonzero(shared)[[0, -1]]
        turn = np.angle((face[b] - face[a]) / (moved[b] - moved[a])) if moved[b] != moved[a] else 0.0
        return moved, error, float(abs(turn))


def label_faults(face: LabelledFace, scheme: Scheme, template: Template) -> list[Problem]:
    """What a face's landmarks show by themselves."""
    points = face.points
    known = np.isfinite(points).all(1)
    there = points[known]
    size = float(np.ptp(there, axis=0).max())
    found: list[Problem] = []

    def tell(kind: str, message: str) -> None:
        found.append(Problem(kind, f"{face.photo} ({face.name}): {message}"))

    if known.sum() > 1 and there.min() >= 0 and there.max() <= 1.5:
        tell(FRACTIONS, "every coordinate is between 0 and 1: multiply by the photo's width and height")
        return found
    if size < SMALLEST:
        tell(TOO_SMALL, f"the face is {size:.0f} px large: leave it out, or give a larger photo")
    if pair := _coinciding(points, known, size, template):
        names = " and ".join(scheme.landmarks[i] for i in pair)
        tell(COINCIDE, f"{names} are at the same place: mend one of them")
    if exchanged := _exchanged(points, scheme, template):
        tell(SWAPPED, f"{exchanged}: exchange them, or mend the scheme's mirror pairs")
    elif known.sum() > 3 and (error := template.fit(points)[1]) > ODD:
        tell(ODD_SHAPE, f"they are {error:.1f} face radii off: is it another scheme or another order?")
    return found


def photo_faults(face: LabelledFace, width: int, height: int, orientation: int, template: Template) -> list[Problem]:
    """What shows when the photo's upright size and its EXIF orientation (1 … 8) are known."""
    known = face.points[np.isfinite(face.points).all(1)]
    stored = (height, width) if orientation >= 5 else (width, height)
    found: list[Problem] = []

    def tell(kind: str, message: str) -> None:
        found.append(Problem(kind, f"{face.photo} ({face.name}): {message}"))

    if orientation != 1 and _better(as_stored(face.points, orientation, *stored), face.points, width, height, template):
        tell(ORIENTATION, f"the labels fit the photo before orientation {orientation} is applied: label it upright")
        return found
    if face.size and face.size != (width, height):
        if orientation >= 5 and face.size == stored:
            tell(ORIENTATION, f"the labels say {face.size[0]} x {face.size[1]}, which is the photo lying on its side")
        else:
            tell(WRONG_SIZE, f"the labels say {face.size[0]} x {face.size[1]}, the photo has {width} x {height}")
    limit = np.array([width, height]) - 1
    over = np.maximum(-known, known - limit).max(1)
    outside = over > 0.5
    if not outside.any():
        return found
    # counted from 1 and read from 0 (or the other way round), a point on the photo's edge is off by just one pixel
    if over.max() <= 1.01 and np.allclose(over[outside], 1, atol=0.01):
        tell(SHIFTED, "landmarks lie just one pixel outside: are they counted from 0 or from 1?")
    elif over.max() > BEYOND * np.ptp(known, axis=0).max():
        tell(
            OUTSIDE, f"{int(outside.sum())} landmarks lie up to {over.max():.0f} px outside of it: is it this photo's?"
        )
    return found


def as_stored(points: np.ndarray, orientation: int, width: int, height: int) -> np.ndarray:
    """Points `(N, 2)` marked on a photo as stored (`width` x `height`), on the photo as EXIF wants it seen."""
    x, y = points[:, 0], points[:, 1]
    right, low = width - 1 - x, height - 1 - y
    turned = {2: (right, y), 3: (right, low), 4: (x, low), 5: (y, x), 6: (low, x), 7: (low, right), 8: (y, right)}
    return np.stack(turned.get(orientation, (x, y)), -1)


def shift_between(a: LabelledFace, b: LabelledFace) -> np.ndarray | None:
    """The constant offset `(2,)` of one labelling of a face from another, where it is one of half a pixel or one."""
    shared = np.isfinite(a.points).all(1) & np.isfinite(b.points).all(1)
    if shared.sum() < 3:
        return None
    off = b.points[shared] - a.points[shared]
    offset: np.ndarray = np.median(off, 0)
    constant = np.abs(off - offset).max() < 0.06
    return offset if constant and 0.4 < np.abs(offset).max() < 1.1 else None


def fingerprint(pixels: np.ndarray) -> np.ndarray:
    """`(32,)` uint8: 256 bits of which way the light changes over the photo; sizes and encodings hardly matter."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (17, 16), interpolation=cv2.INTER_AREA).astype(np.int16)
    return np.packbits(small[:, 1:] > small[:, :-1])


def alike(prints: np.ndarray, others: np.ndarray, most: int = 10) -> list[tuple[int, int]]:
    """Pairs of fingerprints `(A, 32)` and `(B, 32)` that differ in at most `most` bits."""
    found: list[tuple[int, int]] = []
    for i, one in enumerate(prints):
        bits = np.bitwise_count(others ^ one).sum(1) if hasattr(np, "bitwise_count") else _bits(others ^ one)
        found += [(i, int(j)) for j in np.flatnonzero(bits <= most)]
    return found


def _bits(values: np.ndarray) -> np.ndarray:
    count: np.ndarray = np.unpackbits(values, axis=1).sum(1)
    return count


def _coinciding(points: np.ndarray, known: np.ndarray, size: float, template: Template) -> tuple[int, int] | None:
    """Two landmarks at exactly one place that usually are not: closed lips touch, and so do lid and iris."""
    places: dict[tuple[float, float], int] = {}
    # whole pixels of a small face meet by chance
    usual = max(TOUCHING, 2 / max(size, 1)) * template.spread
    for i in np.flatnonzero(known):
        other = places.setdefault((float(points[i, 0]), float(points[i, 1])), int(i))
        if other != i and not abs(template.shape[other] - template.shape[i]) < usual:
            return other, int(i)
    return None


def _exchanged(points: np.ndarray, scheme: Scheme, template: Template) -> str:
    """Which landmarks have changed places with their mirror twins; empty for none."""
    mirror = list(scheme.mirror)
    pairs = [(i, j) for i, j in enumerate(mirror) if i < j]
    moved, error, _ = template.fit(points)
    if not pairs or not np.isfinite(error):
        return ""
    _, other, _ = template.fit(points[mirror])
    if error > 0.2 and other < 0.5 * error:
        return "all pairs are exchanged"
    if min(error, other) > ODD:
        return ""
    wrong = []
    for i, j in pairs:
        own = abs(moved[i] - template.shape[i]) ** 2 + abs(moved[j] - template.shape[j]) ** 2
        crossed = abs(moved[i] - template.shape[j]) ** 2 + abs(moved[j] - template.shape[i]) ** 2
        apart = abs(template.shape[i] - template.shape[j]) > APART * template.spread
        if apart and np.isfinite(own) and crossed < 0.25 * own:
            wrong.append(f"{scheme.landmarks[i]} and {scheme.landmarks[j]}")
    return ", ".join(wrong[:3]) + (f" and {len(wrong) - 3} more pairs" if len(wrong) > 3 else "") if wrong else ""


def _better(turned: np.ndarray, points: np.ndarray, width: int, height: int, template: Template) -> bool:
    """Whether labels fit the photo clearly better when they are turned with it."""

    def badness(face: np.ndarray) -> float:
        known = face[np.isfinite(face).all(1)]
        out = ((known < -0.5) | (known > np.array([width, height]) - 0.5)).any(1).mean()
        _, error, roll = template.fit(face)
        return float(min(error, 2) + 2 * (roll > np.pi / 4) + out)

    return badness(turned) + 0.4 < badness(points)
