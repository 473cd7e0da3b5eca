"""Two sets of landmarks on one photo: displacement vectors, and the NME in the corner."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hrlm.errors import HrlmError
from hrlm.evaluation.metrics import nme
from hrlm.geometry import box_overlap
from hrlm.render.overlay import COLOURS, LEAST_RIM, NUMBER_COLOUR, RADII, RIM, check_fit, face_scale
from hrlm.render.strokes import Colour, Strokes, discs, paint, polyline, write_text
from hrlm.results import Face
from hrlm.schemes import Scheme

OWN_COLOUR = COLOURS["points"]
OTHER_COLOUR = COLOURS["contours"]
VECTOR_COLOUR: Colour = (255, 255, 255)
# boxes around landmarks that overlap less are of different faces
SAME_FACE = 0.3
TEXT_SIZE, LEAST_TEXT_SIZE = 0.022, 10.0


def draw_comparison(
    pixels: np.ndarray, faces: Sequence[Face], others: Sequence[np.ndarray], scheme: Scheme
) -> np.ndarray:
    """A copy of a photo with its landmarks in yellow, another set's in blue, and white vectors from these to those.

    Args:
        pixels: `(H, W, 3)` uint8.
        others: the reference, `(N, 2)` photo pixels for each of its faces; its normaliser gives the NME.

    Raises:
        HrlmError: landmarks are not the scheme's.
    """
    drawn = np.array(pixels, order="C")
    for face in faces:
        check_fit(face, scheme)
    if any(len(other) != len(scheme) for other in others):
        raise HrlmError(f"the landmarks to compare with are not {len(scheme)}, as the scheme {scheme.name} has")
    pairs = match_faces([f.landmarks for f in faces], others)
    text = []
    for number, (i, j) in enumerate(pairs, start=1):
        own = faces[i].landmarks if i is not None else None
        other = others[j] if j is not None else None
        scale = face_scale(faces[i], scheme) if i is not None else float(scheme.inter_ocular(others[j or 0]))
        scale = min(scale, max(drawn.shape))
        strokes = []
        for points, colour in ((other, OTHER_COLOUR), (own, OWN_COLOUR)):
            if points is not None:
                lines = [polyline(points[list(c.landmarks)], c.closed) for c in scheme.contours]
                if lines:
                    strokes.append(Strokes(np.concatenate(lines), max(0.5, 0.0008 * scale), colour))
        if own is not None and other is not None:
            vectors = np.stack([other, own], 1)
            strokes.append(Strokes(vectors, max(RADII["contours"][1], RADII["contours"][0] * scale), VECTOR_COLOUR))
        for points, colour in ((other, OTHER_COLOUR), (own, OWN_COLOUR)):
            if points is not None:
                strokes.append(Strokes(discs(points), max(1.0, 0.004 * scale), colour))
        paint(drawn, strokes, max(LEAST_RIM, RIM * scale))
        label = f"face {number}: " if len(pairs) > 1 else ""
        text.append(label + _verdict(own, other, scheme))
    size = max(LEAST_TEXT_SIZE, TEXT_SIZE * min(drawn.shape[:2]))
    places = [(size, size * (1 + 1.4 * k), line) for k, line in enumerate(text or ["no face"])]
    write_text(drawn, places, size, NUMBER_COLOUR, "lt")
    return drawn


def match_faces(faces: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> list[tuple[int | None, int | None]]:
    """Which of two sets' faces `(N, 2)` are the same, by the overlap of their bounding boxes, best first.

    Returns:
        Pairs of indices in the order of `faces`, None for the one that is missing; unmatched others come last.
    """
    overlaps = sorted(
        ((box_overlap(_box(a), _box(b)), i, j) for i, a in enumerate(faces) for j, b in enumerate(others)),
        key=lambda entry: (-entry[0], *entry[1:]),
    )
    partner: dict[int, int] = {}
    for overlap, i, j in overlaps:
        if overlap >= SAME_FACE and i not in partner and j not in partner.values():
            partner[i] = j
    pairs: list[tuple[int | None, int | None]] = [(i, partner.get(i)) for i in range(len(faces))]
    return pairs + [(None, j) for j in range(len(others)) if j not in partner.values()]


def _verdict(own: np.ndarray | None, other: np.ndarray | None, scheme: Scheme) -> str:
    if own is None or other is None:
        return "not in the results" if own is None else "nothing to compare with"
    return f"NME {100 * float(nme(own, other, scheme)):.2f} %"


def _box(points: np.ndarray) -> tuple[float, float, float, float]:
    low, high = points.min(0), points.max(0)
    return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])
