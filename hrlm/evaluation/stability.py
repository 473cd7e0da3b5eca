"""How far a system's own landmarks move when the picture changes in a known way and the face does not.

No truth is needed. The face's surroundings are shifted by parts of a pixel, turned, reduced and encoded anew; the
landmarks found there are taken back to the photo's own pixels and compared with those found on the unchanged picture.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg

from hrlm.errors import HrlmError
from hrlm.evaluation.data import known_box
from hrlm.evaluation.figures import width_bounds
from hrlm.evaluation.reduction import moved, resized
from hrlm.evaluation.systems import SAME_PLACE, LandmarkDetector
from hrlm.geometry import box_overlap
from hrlm.photos import Photo
from hrlm.schemes import Scheme

# side of the surroundings that are changed over the face box's larger side: enough for any finder, on any photo
SURROUNDINGS = 3.0
SMALL_FACE = 256
FRAMES = "video frames"
# of a frame less the mean of its two neighbours, when all three jitter alike
_OF_THREE = 1.5**0.5

Back = Callable[[np.ndarray], np.ndarray]
Changed = tuple[Photo, Back]
Frame = tuple[Path, np.ndarray]


@dataclass(frozen=True, eq=False)
class Movement:
    """What one change did to the landmarks of one face.

    Args:
        photo: its path.
        change: what was done.
        system: whose landmarks.
        width: of the face's landmarks in photo pixels.
        inter_ocular: photo pixels.
        pixels: `(N,)` float32 distances in photo pixels; None where the face was no longer found.
    """

    photo: str
    change: str
    system: str
    width: float
    inter_ocular: float
    pixels: np.ndarray | None


@dataclass(frozen=True)
class StabilityRow:
    """How far landmarks moved under a change, over the faces of a set.

    Args:
        group: which faces, by width.
        change, system: as in `Movement`.
        faces: changed pictures.
        missed: those in which the face was no longer found.
        median_pixels, mean_pixels, percentile_90_pixels: over all landmarks of all found faces, in photo pixels.
        median, mean: the same as fractions of the inter-ocular distance.
    """

    group: str
    change: str
    system: str
    faces: int
    missed: int
    median_pixels: float
    mean_pixels: float
    percentile_90_pixels: float
    median: float
    mean: float


def changes(face_width: float) -> Iterator[tuple[str, Callable[[Photo], Changed]]]:
    """The changes, each by a name that several may share, for a face `face_width` photo pixels wide."""
    for shift in ((0.5, 0.5), (0.25, 0.75)):
        yield "shift < 1 px", partial(warped, matrix=np.array([[1.0, 0.0, shift[0]], [0.0, 1.0, shift[1]]]))
    for degrees in (-3, 3):
        yield "turn 3°", partial(turned, degrees=degrees)
    yield "half size", partial(shrunk, ratio=0.5)
    if face_width > SMALL_FACE:
        yield f"face {SMALL_FACE} px", partial(shrunk, ratio=SMALL_FACE / face_width)
    for quality in (75, 50):
        yield f"JPEG {quality}", partial(encoded, quality=quality)


def warped(photo: Photo, matrix: np.ndarray) -> Changed:
    """The photo under an affine map `(2, 3)` of its pixels, its size kept, its border drawn out."""
    pixels = cv2.warpAffine(
        photo.pixels, matrix, (photo.width, photo.height), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE
    )
    back = cv2.invertAffineTransform(matrix)
    return Photo.from_array(pixels, photo.path), lambda points: points @ back[:, :2].T + back[:, 2]


def turned(photo: Photo, degrees: float) -> Changed:
    """The photo turned about its middle."""
    middle = (photo.width - 1) / 2, (photo.height - 1) / 2
    return warped(photo, cv2.getRotationMatrix2D(middle, degrees, 1.0))


def shrunk(photo: Photo, ratio: float) -> Changed:
    """The photo reduced to `ratio` of its size."""
    small, ratios = resized(photo, ratio)
    return small, lambda points: moved(points, 1 / ratios)


def encoded(photo: Photo, quality: int) -> Changed:
    """The photo through JPEG with halved colour resolution."""
    data = simplejpeg.encode_jpeg(photo.pixels, quality=quality, colorspace="RGB", colorsubsampling="420")
    return Photo.from_array(simplejpeg.decode_jpeg(data), photo.path), lambda points: points


def measure_stability(
    files: Sequence[Path],
    systems: Mapping[str, LandmarkDetector],
    open_photo: Callable[[str], Photo],
    frames: bool = False,
    step: Callable[[], None] = lambda: None,
    problem: Callable[[str], None] = lambda _: None,
) -> list[Movement]:
    """Change every photo's largest face in every way; photos one at a time.

    Args:
        systems: of one scheme; the first says which face.
        frames: the files of each folder, in order of their names with numbers as numbers, are neighbouring frames of a
            video. Told is then also the distance from the middle of the frames before and after, as far as no shift,
            turn and scaling of the face explains it, over the square root of 1.5: the jitter of one frame, with the
            face's own play.
        step: called after each photo.
        problem: told of each photo that was passed over.
    """
    done: list[Movement] = []
    film: dict[str, list[Frame]] = defaultdict(list)
    for file in sorted(files, key=_film_order) if frames else files:
        at_rest: dict[str, np.ndarray] = {}
        try:
            photo = open_photo(str(file))
            # all of a photo's movements or none
            done.extend(list(_of_photo(photo, systems, at_rest)))
            if not at_rest:
                problem(f"{file}: no face found: left out of stability")
        # whatever goes wrong with one photo must not end a run over thousands
        except Exception as e:
            at_rest = {}
            problem(str(e) if isinstance(e, HrlmError) else f"{file}: stability failed ({type(e).__name__}: {e})")
        for name in systems if frames else ():
            film[name] = _continued(film[name], file, at_rest.get(name))
            if len(film[name]) == 3:
                done.append(_of_frames(film[name], name, systems[name].scheme))
        step()
    return done


def _film_order(file: Path) -> tuple[Any, ...]:
    """Sorts by folder, then by name with runs of digits as numbers: `frame9` before `frame10`."""
    words = re.split(r"(\d+)", file.name)
    return file.parent, [int(word) if i % 2 else word for i, word in enumerate(words)], file.name


def _of_photo(
    photo: Photo, systems: Mapping[str, LandmarkDetector], at_rest: dict[str, np.ndarray]
) -> Iterator[Movement]:
    """The movements of the photo's largest face; `at_rest` takes each system's landmarks in photo pixels."""
    faces = next(iter(systems.values())).detect_batch([photo])[0]
    if not faces:
        return
    largest = faces[0]
    centre = np.array(largest.box[:2]) + np.array(largest.box[2:]) / 2
    reach = SURROUNDINGS / 2 * max(largest.box[2:])
    corner = np.floor(centre - reach).clip(0).astype(int)
    end = np.ceil(centre + reach).astype(int)
    around = Photo.from_array(photo.window(int(corner[0]), int(corner[1]), int(end[0]), int(end[1])), photo.path)
    place = largest.landmarks - corner
    rest: dict[str, np.ndarray] = {}
    for name, system in systems.items():
        points = _same_face(system, around, place)
        if points is not None:
            rest[name] = points
            at_rest[name] = points + corner
    width = known_box(largest.landmarks)[2]
    for change, make in changes(width):
        picture, back = make(around)
        for name, points in rest.items():
            scheme = systems[name].scheme
            found = _same_face(systems[name], picture, points, back)
            distances = None if found is None else np.linalg.norm(found - points, axis=1).astype(np.float32)
            yield Movement(photo.path, change, name, width, float(scheme.inter_ocular(points)), distances)


def _same_face(
    system: LandmarkDetector, picture: Photo, place: np.ndarray, back: Back = lambda points: points
) -> np.ndarray | None:
    """The landmarks, taken `back`, of the found face that lies where the landmarks `place` `(N, 2)` lie."""
    found = [back(face.landmarks) for face in system.detect_batch([picture])[0]]
    overlaps = [box_overlap(known_box(points), known_box(place)) for points in found]
    best = int(np.argmax(overlaps)) if overlaps else -1
    return found[best] if best >= 0 and overlaps[best] >= SAME_PLACE else None


def _continued(film: Sequence[Frame], file: Path, points: np.ndarray | None) -> list[Frame]:
    """The last three frames that hang together: of one folder, none between them, and the same face in all."""
    if points is None:
        return []
    together = film and film[-1][0].parent == file.parent
    if together and box_overlap(known_box(film[-1][1]), known_box(points)) >= SAME_PLACE:
        return [*film[-2:], (file, points)]
    return [(file, points)]


def _of_frames(three: Sequence[Frame], system: str, scheme: Scheme) -> Movement:
    (_, before), (file, now), (_, after) = three
    middle = (aligned(before, now) + aligned(after, now)) / 2
    distances = np.linalg.norm(now - middle, axis=1) / _OF_THREE
    width, unit = known_box(now)[2], float(scheme.inter_ocular(now))
    return Movement(str(file), FRAMES, system, width, unit, distances.astype(np.float32))


def aligned(points: np.ndarray, to: np.ndarray) -> np.ndarray:
    """Points `(N, 2)` shifted, turned and scaled to lie closest to others, in least squares."""
    # in complex numbers a turn with a scaling is one factor
    a, b = (p[:, 0] + 1j * p[:, 1] for p in (points, to))
    middle = a.mean()
    factor = np.vdot(a - middle, b - b.mean()) / np.vdot(a - middle, a - middle)
    fitted = (a - middle) * factor + b.mean()
    return np.stack([fitted.real, fitted.imag], 1)


def stability_rows(movements: Sequence[Movement]) -> list[StabilityRow]:
    """A row for each set of faces by width, change and system; `all` first where there are several sets."""
    groups = [("all", 0.0, np.inf), *width_bounds()]
    rows = []
    for group, low, high in groups:
        chosen: dict[tuple[str, str], list[Movement]] = defaultdict(list)
        for m in movements:
            if low <= m.width < high:
                chosen[m.change, m.system].append(m)
        rows += [_row(group, change, system, of_both) for (change, system), of_both in chosen.items()]
    sets = {r.group for r in rows}
    return [r for r in rows if r.group == "all" or len(sets) > 2]


def _row(group: str, change: str, system: str, movements: Sequence[Movement]) -> StabilityRow:
    found = [(m.pixels, m.pixels / m.inter_ocular) for m in movements if m.pixels is not None]
    pixels, parts = (np.concatenate([f[i] for f in found] or [np.full(1, np.nan)]) for i in (0, 1))
    return StabilityRow(
        group,
        change,
        system,
        len(movements),
        len(movements) - len(found),
        float(np.median(pixels)),
        float(pixels.mean()),
        float(np.percentile(pixels, 90)),
        float(np.median(parts)),
        float(parts.mean()),
    )
