"""Round-ended strokes at sub-pixel places, with a dark rim that sets them off from any ground."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]

RIM_COLOUR: Colour = (0, 0, 0)
RIM_OPACITY = 0.8
# long strokes are drawn in pieces: the box around a slanting one would be mostly empty
LONGEST_PIECE = 64.0


@dataclass(frozen=True, eq=False)
class Strokes:
    """Straight strokes of one kind.

    Args:
        segments: `(S, 2, 2)` their ends in photo pixels; equal ends make a disc.
        radius: half their width in photo pixels.
    """

    segments: np.ndarray
    radius: float
    colour: Colour


def paint(pixels: np.ndarray, strokes: Sequence[Strokes], rim: float) -> None:
    """Draw strokes on `pixels` `(H, W, 3)` uint8 in place, later ones over earlier ones, all rims below all strokes.

    Args:
        rim: width of the dark rim in pixels.
    """
    strokes = [s for s in strokes if len(s.segments)]
    if not strokes:
        return
    ends = np.concatenate([s.segments.reshape(-1, 2) for s in strokes])
    reach = max(s.radius for s in strokes) + rim + 1
    # one window and one mask at a time: memory follows the face, a byte a pixel
    corner = np.floor(ends.min(0) - reach).clip(0, pixels.shape[1::-1]).astype(int)
    end = np.ceil(ends.max(0) + reach + 1).clip(0, pixels.shape[1::-1]).astype(int)
    if (end <= corner).any():
        return
    window = pixels[corner[1] : end[1], corner[0] : end[0]]
    layers = [([(s, s.radius + rim) for s in strokes], RIM_COLOUR, RIM_OPACITY)]
    layers += [([(s, s.radius)], s.colour, 1.0) for s in strokes]
    for layer, colour, opacity in layers:
        mask = np.zeros(window.shape[:2], np.uint8)
        for stroke, radius in layer:
            for a, b in _pieces(stroke.segments - corner, mask.shape, radius):
                _stamp(mask, a, b, radius)
        _blend(window, mask, colour, opacity)


def polyline(points: np.ndarray, closed: bool = False) -> np.ndarray:
    """`(S, 2, 2)` segments that join points `(K, 2)` in order."""
    joined = np.concatenate([points, points[:1]]) if closed else points
    return np.stack([joined[:-1], joined[1:]], 1)


def discs(points: np.ndarray) -> np.ndarray:
    """`(K, 2, 2)` segments of no length at points `(K, 2)`."""
    return np.repeat(points[:, None], 2, axis=1)


def mesh(points: np.ndarray) -> np.ndarray:
    """`(S, 2, 2)` edges of the Delaunay triangulation of points `(K, 2)`."""
    low = points.min(0)
    size = np.ptp(points, axis=0).max() + 1
    # the library counts in float32: a face's own units keep its digits
    unit = (points - low) / size
    division = cv2.Subdiv2D((-1, -1, 3, 3))
    for x, y in unit.tolist():
        division.insert((x, y))
    edges = np.asarray(division.getEdgeList(), float).reshape(-1, 2, 2)
    # three far corners help to build it
    edges = edges[((edges > -0.5) & (edges < 1.5)).all((1, 2))]
    return edges * size + low


def ellipses(centres: np.ndarray, covariance: np.ndarray, count: int = 40) -> np.ndarray:
    """Segments `(K * count, 2, 2)` of the ellipses of one standard deviation around centres `(K, 2)`.

    Args:
        covariance: `(K, 2, 2)` in pixels².
    """
    values, axes = np.linalg.eigh(covariance)
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)])
    shape = axes * np.sqrt(values.clip(0))[:, None, :]
    rings = (shape @ circle).transpose(0, 2, 1) + centres[:, None]
    return np.stack([rings, np.roll(rings, -1, 1)], 2).reshape(-1, 2, 2)


def write_text(
    pixels: np.ndarray, places: Sequence[tuple[float, float, str]], size: float, colour: Colour, anchor: str
) -> None:
    """Write texts at x, y on `pixels` `(H, W, 3)` uint8 in place, with a dark rim.

    Args:
        size: height of the letters in pixels.
        anchor: Pillow's two letters for which part of the text lies at the place, such as `lb`.
    """
    height, width = pixels.shape[:2]
    font = ImageFont.load_default(size)
    for x, y, text in places:
        reach = int(size * (len(text) + 2))
        # a small window each: a whole photo is never copied, and Pillow's coordinates have an end
        if not (-reach < x < width + reach and -reach < y < height + reach):
            continue
        x0, y0 = max(0, int(x) - reach), max(0, int(y) - reach)
        window = pixels[y0 : max(0, int(y) + reach), x0 : max(0, int(x) + reach)]
        if not window.size:
            continue
        image = Image.fromarray(np.ascontiguousarray(window))
        ImageDraw.Draw(image).text(
            (round(x) - x0, round(y) - y0),
            text,
            colour,
            font,
            anchor=anchor,
            stroke_width=max(1, size / 12),
            stroke_fill=RIM_COLOUR,
        )
        window[:] = np.asarray(image)


def text_width(text: str, size: float) -> int:
    """Pixels that `write_text` takes from left to right, rim included."""
    return math.ceil(ImageFont.load_default(size).getlength(text) + 2 * max(1, size / 12))


def _pieces(segments: np.ndarray, shape: tuple[int, ...], radius: float) -> np.ndarray:
    """Short segments that cover what the mask shows of long ones."""
    pieces = []
    limits = np.array(shape[::-1]) + radius + 1
    for a, b in segments:
        run = b - a
        length = float(np.hypot(*run))
        first, last = 0.0, 1.0
        # cut off what lies outside: a landmark may be a million pixels away
        for axis in range(2):
            if run[axis]:
                one, two = sorted(((-radius - 1 - a[axis]) / run[axis], (limits[axis] - a[axis]) / run[axis]))
                first, last = max(first, one), min(last, two)
        if first > last:
            continue
        count = max(1, int(np.ceil((last - first) * length / LONGEST_PIECE)))
        cuts = a + np.linspace(first, last, count + 1)[:, None] * run
        pieces.append(np.stack([cuts[:-1], cuts[1:]], 1))
    return np.concatenate(pieces) if pieces else np.empty((0, 2, 2))


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
