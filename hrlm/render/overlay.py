"""Landmarks and contours drawn on a photo at its full resolution, at sub-pixel positions."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import simplejpeg
from PIL import Image, ImageDraw, ImageFont

from hrlm.errors import HrlmError
from hrlm.results import Face
from hrlm.schemes import Scheme

Style = Literal["points", "contours", "both"]
Colour = tuple[int, int, int]

# bright inside, dark rim: one of the two stands out on any skin
LINE_COLOUR: Colour = (0, 225, 255)
POINT_COLOUR: Colour = (255, 240, 70)
NUMBER_COLOUR: Colour = (255, 255, 255)
RIM_COLOUR: Colour = (0, 0, 0)
RIM_OPACITY = 0.6

# sizes as a share of the inter-ocular distance, with the least that can still be seen, in photo pixels
LINE_RADIUS, LEAST_LINE_RADIUS = 0.0016, 0.6
POINT_RADIUS, LEAST_POINT_RADIUS = 0.0055, 1.2
RIM, LEAST_RIM = 0.0014, 0.7
NUMBER_SIZE, LEAST_NUMBER_SIZE = 0.030, 8.0
# a face in profile has hardly any inter-ocular distance: its box decides then
LEAST_SHARE_OF_BOX = 0.3

JPEG_LIMIT = 65535
PNG_EFFORT = 3


@dataclass(frozen=True)
class Look:
    """How overlays are drawn: points, the scheme's contours or both, and landmark numbers (0-based) or none."""

    style: Style = "both"
    numbers: bool = False


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
    faces = list(faces)
    for face in faces:
        if len(face.landmarks) != len(scheme):
            raise HrlmError(
                f"a face has {len(face.landmarks)} landmarks, the scheme {scheme.name} {len(scheme)}: "
                "give the scheme that it was detected with"
            )
        _draw_strokes(drawn, face, scheme, look)
    if look.numbers and faces:
        drawn = _with_numbers(drawn, faces, scheme)
    return drawn


def jpeg_bytes(pixels: np.ndarray, quality: int = 92) -> bytes:
    """An overlay as a JPEG file; thin coloured lines need full colour resolution, so colour is not subsampled.

    Raises:
        HrlmError: larger than a JPEG can be.
    """
    if max(pixels.shape[:2]) > JPEG_LIMIT:
        raise HrlmError(f"a JPEG holds at most {JPEG_LIMIT} pixels a side: write PNG overlays")
    data: bytes = simplejpeg.encode_jpeg(pixels, quality=quality, colorspace="RGB", colorsubsampling="444")
    return data


def png_bytes(pixels: np.ndarray) -> bytes:
    """An overlay as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=PNG_EFFORT)
    return file.getvalue()


def face_scale(face: Face, scheme: Scheme) -> float:
    """The length in photo pixels that drawn sizes are shares of: inter-ocular distance, or a share of the box."""
    return max(float(scheme.inter_ocular(face.landmarks)), LEAST_SHARE_OF_BOX * max(face.box[2:]))


def _draw_strokes(drawn: np.ndarray, face: Face, scheme: Scheme, look: Look) -> None:
    scale = min(face_scale(face, scheme), max(drawn.shape))
    line_radius = max(LEAST_LINE_RADIUS, LINE_RADIUS * scale)
    point_radius = max(LEAST_POINT_RADIUS, POINT_RADIUS * scale)
    rim = max(LEAST_RIM, RIM * scale)
    lines = _contour_segments(face.landmarks, scheme) if look.style != "points" else np.empty((0, 2, 2))
    points = np.repeat(face.landmarks[:, None], 2, axis=1) if look.style != "contours" else np.empty((0, 2, 2))
    # one window and one mask at a time: memory follows the face, a byte a pixel
    reach = max(line_radius, point_radius) + rim + 1
    corner = np.floor(face.landmarks.min(0) - reach).clip(0).astype(int)
    end = np.ceil(face.landmarks.max(0) + reach + 1).clip(0, drawn.shape[1::-1]).astype(int)
    if (end <= corner).any():
        return
    window = drawn[corner[1] : end[1], corner[0] : end[0]]
    for strokes, colour, opacity in (
        (((lines, line_radius + rim), (points, point_radius + rim)), RIM_COLOUR, RIM_OPACITY),
        (((lines, line_radius),), LINE_COLOUR, 1.0),
        (((points, point_radius),), POINT_COLOUR, 1.0),
    ):
        mask = np.zeros(window.shape[:2], np.uint8)
        for segments, radius in strokes:
            for a, b in segments - corner:
                _stamp(mask, a, b, radius)
        _blend(window, mask, colour, opacity)


def _contour_segments(points: np.ndarray, scheme: Scheme) -> np.ndarray:
    """`(S, 2, 2)` ends of the straight pieces of all contours."""
    ends = [
        (a, b)
        for contour in scheme.contours
        for a, b in zip(contour.landmarks, contour.landmarks[1:] + contour.landmarks[:1] * contour.closed, strict=False)
    ]
    return points[np.array(ends, dtype=int).reshape(-1, 2)]


def _stamp(mask: np.ndarray, a: np.ndarray, b: np.ndarray, radius: float) -> None:
    """Raise `mask` (H, W) to a round-ended stroke's coverage 0 … 255, from the exact distance to its axis."""
    low = np.floor(np.minimum(a, b) - radius - 1).clip(0).astype(int)
    high = np.ceil(np.maximum(a, b) + radius + 2).clip(0, mask.shape[::-1]).astype(int)
    if (high <= low).any():
        return
    y, x = np.ogrid[low[1] : high[1], low[0] : high[0]]
    along = b - a
    length2 = float(along @ along)
    t = ((x - a[0]) * along[0] + (y - a[1]) * along[1]) / length2 if length2 > 0 else np.zeros((1, 1))
    t = t.clip(0, 1)
    distance = np.hypot(x - a[0] - t * along[0], y - a[1] - t * along[1])
    coverage = (255 * (radius + 0.5 - distance).clip(0, 1) + 0.5).astype(np.uint8)
    target = mask[low[1] : high[1], low[0] : high[0]]
    np.maximum(target, coverage, out=target)


def _blend(window: np.ndarray, mask: np.ndarray, colour: Colour, opacity: float) -> None:
    where = mask.nonzero()
    alpha = mask[where][:, None] * (opacity / 255)
    window[where] = (window[where] * (1 - alpha) + np.array(colour) * alpha + 0.5).astype(np.uint8)


def _with_numbers(pixels: np.ndarray, faces: Sequence[Face], scheme: Scheme) -> np.ndarray:
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    for face in faces:
        scale = min(face_scale(face, scheme), max(pixels.shape))
        size = max(LEAST_NUMBER_SIZE, NUMBER_SIZE * scale)
        font = ImageFont.load_default(size)
        offset = max(LEAST_POINT_RADIUS, POINT_RADIUS * scale) + max(1, size / 8)
        for i, (x, y) in enumerate(face.landmarks.tolist()):
            # far outside there is nothing to see, and Pillow's coordinates have an end
            if -size < x < image.width + size and -size < y < image.height + size:
                place = (round(x + offset), round(y - offset))
                draw.text(
                    place, str(i), NUMBER_COLOUR, font, anchor="lb", stroke_width=size / 12, stroke_fill=RIM_COLOUR
                )
    return np.asarray(image)
