"""The body below the bust, as far as a portrait shows it, and the space in which clothes lie on it.

The body is cut into slices, leaned so that they run from the nape down to the pit of the throat and level out at the
chest. A place on it is an angle around the slice (0 in front, growing to the subject's left) and the slice's height.
"""

from __future__ import annotations

import numpy as np

from hrlm.synthetic.head import HeadModel

ANGLES = 144
TOP, BOTTOM = -7.5, -78.0
HEIGHTS = np.concatenate([np.arange(TOP, -24.0, -0.4), -24.0 - 1.4 * np.arange((-24 - BOTTOM) / 1.4 + 1)])
BUST_ENDS = -24.0


def bust_edge(head: HeadModel) -> np.ndarray:
    """Vertices along the bust's open lower edge."""
    ring = np.stack([head.faces, np.roll(head.faces, -1, 1)], -1)
    # The last corner of a padded triangle meets its first.
    three = head.faces[:, 3] < 0
    ring[three, 2, 1] = head.faces[three, 0]
    edges = np.sort(ring.reshape(-1, 2)[ring.reshape(-1, 2).min(1) >= 0], 1)
    found, count = np.unique(edges, axis=0, return_counts=True)
    rim = np.unique(found[count == 1])
    return rim[head.neutral[rim, 1] < -12]


def _union(a: np.ndarray, b: np.ndarray, soft: float) -> np.ndarray:
    blend = np.clip(0.5 + 0.5 * (b - a) / soft, 0, 1)
    return b + (a - b) * blend - soft * blend * (1 - blend)


def _capsule(p: np.ndarray, a: tuple[float, ...], b: tuple[float, ...], ra: float, rb: float) -> np.ndarray:
    start, along = np.array(a), np.subtract(b, a)
    t = np.clip((p - start) @ along / (along @ along), 0, 1)
    return np.linalg.norm(p - start - t[..., None] * along, axis=-1) - (ra + (rb - ra) * t)


def _ellipsoid(p: np.ndarray, centre: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
    q = (p - np.array(centre)) / np.array(radii)
    k = np.linalg.norm(q, axis=-1)
    return k * (k - 1) / np.maximum(np.linalg.norm(q / np.array(radii), axis=-1), 1e-6)


def body_distance(p: np.ndarray, build: float, chest: float) -> np.ndarray:
    """Signed distance `(...)` in centimetres from places `(..., 3)` to shoulders, chest, waist and arms."""
    q = np.array(p, float)
    q[..., 0] = np.abs(q[..., 0]) / build
    trunk = _ellipsoid(q, (0, -34, -2.6), (15.0, 19.0, 9.6))
    waist = _capsule(q * [0.68, 1, 1], (0, -36, -2.2), (0, -90, -1.8), 9.6, 9.0)
    body = _union(trunk, waist, 4)
    body = _union(body, _capsule(q, (0, -16.5, -4), (16, -21.0, -3.2), 5.0, 4.7), 4)
    body = _union(body, _capsule(q, (17.0, -22.6, -3), (19.6, -46, -3.5), 5.0, 4.3), 4.5)
    body = _union(body, _capsule(q, (19.6, -46, -3.5), (19.4, -90, 2), 4.3, 3.2), 3)
    breast = _ellipsoid(q, (7.6, -29.5 - 3.5 * chest, 3.0 + 1.2 * chest), (7.2, 7.0, 3.4 + 2.6 * chest))
    return _union(body, breast, 5)


def _lean(height: np.ndarray) -> np.ndarray:
    return 0.4 * np.clip((height + 36) / 22, 0, 1)


def _axis_z(height: np.ndarray) -> np.ndarray:
    return -0.8 - 1.4 * np.clip((-10 - height) / 10, 0, 1)


def _hits(origin: np.ndarray, rays: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """How far `(R,)` along rays `(R, 3)` from one origin the farthest triangle `(T, 3, 3)` lies; nan where none."""
    a, u, v = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    n = np.cross(u, v)
    slope = rays @ n.T
    with np.errstate(divide="ignore", invalid="ignore"):
        far = ((a - origin) * n).sum(1) / slope
        place = far[..., None] * rays[:, None] - (a - origin)
        size = (n * n).sum(1)
        s = (np.cross(place, v) * n).sum(-1) / size
        t = (np.cross(u, place) * n).sum(-1) / size
        good = (far > 0.5) & (s >= -0.01) & (t >= -0.01) & (s + t <= 1.01)
    return np.where(good.any(1), np.where(good, far, -np.inf).max(1), np.nan)


def _smooth(values: np.ndarray, times: int) -> np.ndarray:
    """Average `(H, A)` with its neighbours, around and along."""
    for _ in range(times):
        values = 0.5 * values + 0.25 * (np.roll(values, 1, 1) + np.roll(values, -1, 1))
        padded = np.concatenate([values[:1], values, values[-1:]])
        values = 0.5 * values + 0.25 * (padded[:-2] + padded[2:])
    return values


class Body:
    """A person's neck, shoulders and chest as a distance from an axis, by angle and height.

    Args:
        head: the model.
        vertices: `(V, 3)` this person's head, head frame.
        build, chest: see `WornLook`.
    """

    def __init__(self, head: HeadModel, vertices: np.ndarray, build: float, chest: float) -> None:
        rim = bust_edge(head)
        own, usual = vertices[rim], head.neutral[rim]
        self.scale = float(np.clip(np.ptp(own[:, 0]) / np.ptp(usual[:, 0]), 0.85, 1.15))
        self.shift = own.mean(0) - self.scale * usual.mean(0)
        skin = head.faces[np.isin(head.material, ("M_Face", "M_BackHead"))]
        local = (vertices - self.shift) / self.scale
        triangles = np.concatenate([skin[:, :3], skin[skin[:, 3] >= 0][:, [0, 2, 3]]])
        corners = local[triangles]
        corners = corners[(corners[..., 1].max(1) < -3.5) & (corners[..., 1].min(1) < -5.5)]
        angle = np.arange(ANGLES) / ANGLES * 2 * np.pi
        step = 0.5
        steps = np.arange(3, 36, step)
        radius = np.empty((len(HEIGHTS), ANGLES))
        bare = np.full_like(radius, np.nan)
        for i, height in enumerate(HEIGHTS):
            origin, rays = self._rays(np.full(ANGLES, height), angle)
            place = origin[:, None] + rays[:, None] * steps[:, None]
            inside = body_distance(place, build, chest)
            last = np.where((inside < 0).any(1), len(steps) - 1 - np.argmax(inside[:, ::-1] < 0, 1), 0)
            after = np.minimum(last + 1, len(steps) - 1)
            here, there = inside[np.arange(ANGLES), last], inside[np.arange(ANGLES), after]
            part = np.clip(-here / np.maximum(there - here, 1e-6), 0, 1)
            radius[i] = steps[last] + step * part
            if height > BUST_ENDS:
                near = (corners[..., 1].min(1) < height + 7) & (corners[..., 1].max(1) > height - 8)
                bare[i] = _hits(origin[0], rays, corners[near])
        known = ~np.isnan(bare)
        # Below its edge the bust is carried on, fading into the body.
        excess = np.where(known, np.nan_to_num(bare) - radius, 0)
        for i in range(1, len(HEIGHTS)):
            excess[i] = np.where(known[i], excess[i], excess[i - 1] * 0.94)
        mixed = _smooth(radius + _smooth(excess, 2), 1)
        self.radius = np.where(known, np.maximum(mixed, np.nan_to_num(bare) + 0.05), mixed)

    @staticmethod
    def _rays(height: np.ndarray, angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        origin = np.stack([np.zeros_like(height), height, _axis_z(height)], -1)
        ray = np.stack([np.sin(angle), -_lean(height) * np.cos(angle), np.cos(angle)], -1)
        return origin, ray

    def distance(self, angle: np.ndarray, height: np.ndarray) -> np.ndarray:
        """The body's distance from the axis `(...)`, in the mean body's centimetres."""
        a = np.asarray(angle) / (2 * np.pi) * ANGLES
        i = np.floor(a).astype(int)
        t = a - i
        row = np.interp(-np.asarray(height), -HEIGHTS, np.arange(len(HEIGHTS)))
        j = np.minimum(row.astype(int), len(HEIGHTS) - 2)
        s = row - j
        r, i0, i1 = self.radius, i % ANGLES, (i + 1) % ANGLES
        upper, lower = r[j, i0] * (1 - t) + r[j, i1] * t, r[j + 1, i0] * (1 - t) + r[j + 1, i1] * t
        return upper * (1 - s) + lower * s

    def place(self, angle: np.ndarray, height: np.ndarray, offset: np.ndarray | float) -> np.ndarray:
        """Points `(..., 3)`, head frame, lying `offset` centimetres above the body."""
        angle, height, offset = np.broadcast_arrays(angle, height, offset)

        def at(a: np.ndarray, h: np.ndarray) -> np.ndarray:
            origin, ray = self._rays(h, a)
            return origin + ray * self.distance(a, h)[..., None]

        step = 0.06
        across = at(angle + step, height) - at(angle - step, height)
        along = at(angle, height - 0.5) - at(angle, np.minimum(height + 0.5, TOP))
        normal = np.cross(along, across)
        normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
        return (at(angle, height) + normal * offset[..., None]) * self.scale + self.shift
