"""Where the landmarks of a rendered head are: the 68 points, dense contours, and what hides them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hrlm.synthetic.camera import Camera
from hrlm.synthetic.curves import even_in_knots, even_in_length, led_on, spline
from hrlm.synthetic.head import HeadModel, vertex_normals

JAW = 17
# the dense jaw has a point between any two of the 68
DENSE_JAW = 2 * JAW - 1
# of vertices that are nowhere near the front of the face
OUTSIDE = -1e6
# how far the front of the face reaches beyond the jaw's line below the chin, and to its sides, centimetres
UNDER_CHIN, BESIDE_CHIN = 1.5, 5.0
# points of the jaw's edge between two of those
FINER = 4
# lids and inner lips run along the mesh between landmarks, brows through them; points of the dense truth on each.
# Both eyes run from the outer corner, so that twins have the same number
LIDS = {
    "lid_upper_right": ((36, 37, 38, 39), 17),
    "lid_lower_right": ((36, 41, 40, 39), 17),
    "lid_upper_left": ((45, 44, 43, 42), 17),
    "lid_lower_left": ((45, 46, 47, 42), 17),
    "lip_upper_inner": ((60, 61, 62, 63, 64), 17),
    "lip_lower_inner": ((60, 67, 66, 65, 64), 17),
}
LIPS = {
    "lip_upper_outer": ((48, 49, 50, 51, 52, 53, 54), 25),
    "lip_lower_outer": ((48, 59, 58, 57, 56, 55, 54), 25),
}
# lines that may pass behind another one: a shut eye's lower lid behind the upper one, a pressed lower lip as well
BEHIND = {
    "lid_lower_right": "lid_upper_right",
    "lid_lower_left": "lid_upper_left",
    "lip_lower_inner": "lip_upper_inner",
}
BROWS = {"brow_right": ((17, 18, 19, 20, 21), 9), "brow_left": ((26, 25, 24, 23, 22), 9)}
# half the side of the square that hair must cover to hide a point, centimetres
AROUND = 0.15
OPEN = {"brow_right": (tuple(range(17, 22)), 9), "brow_left": (tuple(range(22, 27)), 9)}


@dataclass(frozen=True)
class Surface:
    """The head as it is rendered, subdivided, in the head frame.

    Args:
        vertices: `(E, 3)`; the first V are those of the head model.
        segments: `(M, 2, 3)` edges of the front of the face; see `front_of_face` and `front_segments`.
    """

    vertices: np.ndarray
    segments: np.ndarray


def front_of_face(head: HeadModel) -> np.ndarray:
    """How far inside the front of the face each vertex lies, `(V,)`: positive inside, 0 on its edge.

    The front reaches from below the forehead to the line of the jaw and, below the chin, on to where the neutral face's
    skin turns away from a camera in front: there is the outline that people annotate.
    """
    uv = head.vertex_uv
    line = jaw_line_uv(head, 8 * DENSE_JAW)
    top = uv[head.landmarks[17:27], 1].max() + 0.02
    line = np.concatenate([[[line[0, 0], top]], line, [[line[-1, 0], top]]])
    # a vertex is inside when a ray to the right crosses the outline an odd number of times
    a, b = line, np.roll(line, -1, 0)
    y = uv[:, 1, None]
    spans = (a[:, 1] <= y) != (b[:, 1] <= y)
    with np.errstate(divide="ignore", invalid="ignore"):
        x = a[:, 0] + (y - a[:, 1]) / (b[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0])
    inside = (spans & (x > uv[:, :1])).sum(1) % 2 == 1
    skin = np.zeros(len(uv), bool)
    skin[head.vertices_of("M_Face")] = True
    front = np.where(inside & skin, 1.0, OUTSIDE)
    neutral = head.neutral.astype(np.float64)
    facing = vertex_normals(neutral, head.faces)[:, 2]
    # the neck faces the camera too, and beside the chin nothing parts it from the jaw
    jaw = neutral[head.chain(head.jaw_line.tolist())]
    away = np.array([np.linalg.norm(jaw - v, axis=1).min() for v in neutral])
    facing = np.minimum(facing, np.minimum(1 - away / UNDER_CHIN, (BESIDE_CHIN - np.abs(neutral[:, 0])) / BESIDE_CHIN))
    below = skin & (neutral[:, 1] < neutral[head.landmarks[57], 1])
    todo = np.flatnonzero(front > 0).tolist()
    while todo:
        for beside in head.neighbours[todo.pop()]:
            if front[beside] == OUTSIDE and below[beside]:
                front[beside] = facing[beside]
                if facing[beside] > 0:
                    todo.append(beside)
    return front


def front_segments(vertices: np.ndarray, edges: np.ndarray, front: np.ndarray) -> np.ndarray:
    """Edges `(M, 2, 3)` of a mesh on the front of the face, cut off where `front` is 0.

    Args:
        vertices: `(E, 3)`.
        edges: `(L, 2)`.
        front: `(E,)` of `front_of_face`, carried along through the subdivision.
    """
    value = front[edges]
    kept = (value > 0).any(1)
    ends, value = vertices[edges[kept]], value[kept]
    for here, there in ((0, 1), (1, 0)):
        cut = value[:, here] <= 0
        share = value[cut, there] / (value[cut, there] - value[cut, here])
        ends[cut, here] = ends[cut, there] + share[:, None] * (ends[cut, here] - ends[cut, there])
    return ends


def jaw_line_uv(head: HeadModel, count: int) -> np.ndarray:
    """The jaw's edge as texture coordinates `(count, 2)`, from the right ear over the chin to the left."""
    return even_in_knots(head.vertex_uv[head.jaw_line], count)


def jaw_outline(head: HeadModel, surface: Surface, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """The jaw as a picture shows it, where people annotate it.

    On the near side of a turned head that is the jaw's edge, on the far side the cheek's silhouette at the same height,
    below the chin's: the outermost point of the front of the face along a line from its middle.

    Returns:
        photo pixels `(33, 2)` and points `(33, 3)` in the head frame; every second one is of the 68.
    """
    edge = _on_surface(head, surface, jaw_line_uv(head, FINER * (DENSE_JAW - 1) + 1))
    jaw = edge[::FINER]
    marks = surface.vertices[head.landmarks]
    # lines to the sides start at the face's middle at the jaw point's own height, lines to the chin above it
    steep = np.clip(1 - (np.abs(np.arange(DENSE_JAW) - JAW + 1) - 2) / 7, 0, 1)[:, None]
    middle, mouth = marks[27:31, 0].mean(), marks[60:68, 1].mean()
    side = np.stack([np.full(DENSE_JAW, middle), jaw[:, 1]], 1)
    over = np.stack([jaw[:, 0], np.full(DENSE_JAW, mouth)], 1)
    # at the edge's own depth, so that the near side's line runs through the edge's point itself
    start = camera.project(np.concatenate([side * (1 - steep) + over * steep, jaw[:, 2:]], 1))
    direction = camera.project(jaw) - start
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    # a little beyond its ends, or the lines through those would miss it
    edge = np.concatenate([2 * edge[:1] - edge[1:2], edge, 2 * edge[-1:] - edge[-2:-1]])
    ends_3d = np.concatenate([surface.segments, np.stack([edge[:-1], edge[1:]], 1)])
    a, b = camera.project(ends_3d[:, 0]), camera.project(ends_3d[:, 1])
    pixels, points = np.empty((DENSE_JAW, 2)), np.empty((DENSE_JAW, 3))
    for i in range(DENSE_JAW):
        along, across = direction[i], np.array([-direction[i, 1], direction[i, 0]])
        ya, yb = (a - start[i]) @ across, (b - start[i]) @ across
        crossing = np.flatnonzero((ya < 0) != (yb < 0))
        t = ya[crossing] / (ya[crossing] - yb[crossing])
        reach = ((a[crossing] - start[i]) @ along) * (1 - t) + ((b[crossing] - start[i]) @ along) * t
        best = int(reach.argmax())
        pixels[i] = start[i] + reach[best] * along
        ends = ends_3d[crossing[best]]
        points[i] = ends[0] * (1 - t[best]) + ends[1] * t[best]
    return pixels, points


def contours(head: HeadModel, surface: Surface) -> dict[str, np.ndarray]:
    """Lids, lips and brows as open polylines `(K, 3)` in the head frame, corners included, evenly spaced."""
    found = {}
    for name, (marks, count) in LIDS.items():
        found[name] = _even(surface.vertices[head.chain(head.landmarks[list(marks)].tolist())], count)
    border = lip_border(head, 96)
    for name, (marks, count) in LIPS.items():
        first, last = (np.linalg.norm(border - head.vertex_uv[head.landmarks[m]], axis=1).argmin() for m in (48, 54))
        half = border[first : last + 1] if marks[1] == 49 else np.concatenate([border[last:], border[:1]])[::-1]
        found[name] = _even(_on_surface(head, surface, half), count)
    for name, (marks, count) in BROWS.items():
        found[name] = even_in_knots(surface.vertices[head.landmarks[list(marks)]], count)
    return found


def lip_border(head: HeadModel, count: int) -> np.ndarray:
    """The edge of the lips' red as texture coordinates `(count, 2)`, closed, from the right corner over the top.

    The skin is painted along the same curve: through the 12 outer lip landmarks, which no loop of the mesh joins.
    """
    knots = head.vertex_uv[head.landmarks[48:60]]
    ring = np.concatenate([knots[-1:], knots, knots[:2]])
    return spline(ring, np.linspace(0, len(knots), count, endpoint=False))


def landmarks(head: HeadModel, surface: Surface, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """The 68 points: photo pixels `(68, 2)` and head frame `(68, 3)`, where a picture shows them; see `in_front`."""
    pixels, points = jaw_outline(head, surface, camera)
    marks = surface.vertices[head.landmarks]
    for lower, upper in BEHIND.items():
        own = list(LIDS[lower][0][1:-1])
        edge = surface.vertices[head.chain(head.landmarks[list(LIDS[upper][0])].tolist())]
        marks[own] = in_front(marks[own], edge, down_the_face(head, surface, camera), camera)
    inner = marks[JAW:]
    return np.concatenate([pixels[::2], camera.project(inner)]), np.concatenate([points[::2], inner])


def down_the_face(head: HeadModel, surface: Surface, camera: Camera) -> np.ndarray:
    """From the nose's root to the chin in the picture, `(2,)` of length 1."""
    root, chin = camera.project(surface.vertices[head.landmarks[[27, 8]]])
    way: np.ndarray = (chin - root) / np.linalg.norm(chin - root)
    return way


def in_front(points: np.ndarray, edge: np.ndarray, down: np.ndarray, camera: Camera) -> np.ndarray:
    """Points `(P, 3)` of a lower lid or lip; those that have passed behind the upper one are moved to its edge.

    There the picture shows where the two meet, and people annotate both. Where the edge, seen from aside, folds over
    itself in the picture, points stay.

    Args:
        edge: `(K, 3)` of the upper lid or lip, from corner to corner.
        down: of `down_the_face`.
    """
    line, own = camera.project(edge), camera.project(points)
    along = (line[-1] - line[0]) / np.linalg.norm(line[-1] - line[0])
    across = np.array([-along[1], along[0]])
    across = across if across @ down > 0 else -across
    at, height = line @ along, line @ across
    moved = points.copy()
    for i, (place, lies) in enumerate(zip(own @ along, own @ across, strict=True)):
        segments = np.flatnonzero((at[:-1] <= place) != (at[1:] <= place))
        if len(segments) != 1:
            continue
        k = int(segments[0])
        t = (place - at[k]) / (at[k + 1] - at[k])
        if lies < height[k] * (1 - t) + height[k + 1] * t:
            moved[i] = edge[k] * (1 - t) + edge[k + 1] * t
    return moved


def covered_by_strands(
    points: np.ndarray, strands: Sequence[np.ndarray], radii: Sequence[np.ndarray], camera: Camera
) -> np.ndarray:
    """Share `(P,)` of a small square around each point that strands before it cover (overlaps count twice, at most 1).

    Args:
        points: `(P, 3)` head frame.
        strands: `(S, K, 3)` each.
        radii: `(S, K)` each, centimetres.
    """
    pixels, depth = camera.project(points), camera.depth(points)
    reach = AROUND * camera.focal_pixels / depth
    covered = np.zeros(len(points))
    for points_of, radius in zip(strands, radii, strict=True):
        middle = (points_of[:, 1:] + points_of[:, :-1]) / 2
        length = np.linalg.norm(points_of[:, 1:] - points_of[:, :-1], axis=-1)
        area = (length * (radius[:, 1:] + radius[:, :-1])).ravel()
        at, near = camera.project(middle).reshape(-1, 2), camera.depth(middle).ravel()
        for p in range(len(points)):
            inside = (np.abs(at - pixels[p]) < reach[p]).all(1) & (near < depth[p] - 0.05)
            covered[p] += area[inside].sum() / (2 * AROUND) ** 2
    return np.minimum(covered, 1)


def _on_surface(head: HeadModel, surface: Surface, uv: np.ndarray) -> np.ndarray:
    vertices, weights = head.on_face(uv)
    points: np.ndarray = (surface.vertices[vertices] * weights[..., None]).sum(1)
    return points


def _even(points: np.ndarray, count: int) -> np.ndarray:
    return even_in_length(led_on(points), len(points) - 1, count)
