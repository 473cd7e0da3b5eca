"""Landmarks drawn on a photo at its full resolution: points, contours, mesh, deviation ellipses, numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from hrlm.errors import HrlmError
from hrlm.render.strokes import Colour, Strokes, discs, ellipses, mesh, paint, polyline, write_text
from hrlm.results import Face
from hrlm.schemes import Scheme

Style = Literal["points", "contours", "mesh", "ellipses"]
STYLES: tuple[Style, ...] = get_args(Style)

# Okabe and Ito's colours, told apart by colour-blind eyes; with the dark rim one of the two stands out on any skin
COLOURS: dict[Style, Colour] = {
    "mesh": (0, 158, 115),
    "contours": (86, 180, 233),
    "ellipses": (230, 159, 0),
    "points": (240, 228, 66),
}
NUMBER_COLOUR: Colour = (255, 255, 255)

# half widths as a share of the face's scale, with the least that can still be seen, in photo pixels
RADII: dict[Style, tuple[float, float]] = {
    "mesh": (0.0008, 0.5),
    "contours": (0.0016, 0.6),
    "ellipses": (0.0010, 0.5),
    "points": (0.0055, 1.2),
}
RIM, LEAST_RIM = 0.0014, 0.7
NUMBER_SIZE, LEAST_NUMBER_SIZE = 0.030, 8.0
# a face in profile has hardly any inter-ocular distance: its box decides then
LEAST_SHARE_OF_BOX = 0.3


@dataclass(frozen=True)
class Look:
    """How faces are drawn.

    Args:
        styles: what is drawn of them, whatever the order.
        numbers: landmark numbers, from 0, beside the points.
        weight: factor on points' sizes and lines' widths.
    """

    styles: tuple[Style, ...] = ("points", "contours")
    numbers: bool = False
    weight: float = 1.0


def draw_faces(pixels: np.ndarray, faces: Iterable[Face], scheme: Scheme, look: Look = Look()) -> np.ndarray:
    """A copy of a photo with its faces' landmarks drawn on it.

    Args:
        pixels: `(H, W, 3)` uint8.
        faces: in the photo's pixels, of `scheme`'s landmarks; what lies outside the photo is cut off.

    Returns:
        `(H, W, 3)` uint8.

    Raises:
        HrlmError: a face has another number of landmarks than the scheme.
    """
    drawn = np.array(pixels, order="C")
    for face in faces:
        check_fit(face, scheme)
        scale = min(face_scale(face, scheme), max(drawn.shape))
        strokes = [
            Strokes(_segments(style, face, scheme), _size(*RADII[style], scale, look), COLOURS[style])
            for style in COLOURS
            if style in look.styles
        ]
        paint(drawn, strokes, _size(RIM, LEAST_RIM, scale, look))
        if look.numbers:
            size = max(LEAST_NUMBER_SIZE, NUMBER_SIZE * scale)
            offset = _size(*RADII["points"], scale, look) + max(1, size / 8)
            places = [(x + offset, y - offset, str(i)) for i, (x, y) in enumerate(face.landmarks.tolist())]
            write_text(drawn, places, size, NUMBER_COLOUR, "lb")
    return drawn


def face_scale(face: Face, scheme: Scheme) -> float:
    """The length in photo pixels that drawn sizes are shares of: inter-ocular distance, or a share of the box."""
    return max(float(scheme.inter_ocular(face.landmarks)), LEAST_SHARE_OF_BOX * max(face.box[2:]))


def check_fit(face: Face, scheme: Scheme) -> None:
    """Refuse a face that is not of the scheme.

    Raises:
        HrlmError: it has another number of landmarks.
    """
    if len(face.landmarks) != len(scheme):
        raise HrlmError(
            f"a face has {len(face.landmarks)} landmarks, the scheme {scheme.name} {len(scheme)}: "
            "give the scheme that it was detected with"
        )


def _size(share: float, least: float, scale: float, look: Look) -> float:
    return max(least, share * scale * look.weight)


def _segments(style: Style, face: Face, scheme: Scheme) -> np.ndarray:
    points = face.landmarks
    if style == "points":
        return discs(points)
    if style == "contours":
        lines = [polyline(points[list(c.landmarks)], c.closed) for c in scheme.contours]
        return np.concatenate(lines) if lines else np.empty((0, 2, 2))
    if style == "mesh":
        return mesh(points)
    spread = face.covariance if face.covariance is not None else face.deviation[:, None, None] ** 2 * np.eye(2)
    known = np.isfinite(spread).all((1, 2))
    return ellipses(points[known], spread[known])
