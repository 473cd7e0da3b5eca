"""Glasses and ear-rings as meshes that sit on a face."""

from __future__ import annotations

import numpy as np

from hrlm.synthetic.curves import even_in_knots
from hrlm.synthetic.head import HeadModel
from hrlm.synthetic.worn import Glasses, Piece, grid_faces, tube

TILT = np.radians(7.0)
"""How far the lower edges of lenses lean towards the cheeks."""


def _plain(name: str, vertices: np.ndarray, faces: np.ndarray, material: str, subdivisions: int = 0) -> Piece:
    return Piece(name, vertices, faces, np.zeros((len(vertices), 2)), material, subdivisions)


def lens_outline(shape: str, half: float, height: float, count: int = 96) -> np.ndarray:
    """The outline `(count, 2)` of the subject's left lens around its centre: x outwards, y up.

    Args:
        shape: one of `worn.GLASSES`.
        half: half the lens's width in centimetres.
        height: relative to the shape's usual height.
    """
    turn = np.arange(count) / count * 2 * np.pi
    c, s = np.cos(turn), np.sin(turn)
    power, ratio = {"round": (2.1, 0.93), "rectangular": (3.6, 0.66), "aviator": (2.5, 0.88)}.get(shape, (2.9, 0.74))
    if shape == "rimless":
        power, ratio = 3.0, 0.68
    radius = (np.abs(c) ** power + np.abs(s) ** power) ** (-1 / power)
    x, y = half * radius * c, half * ratio * height * radius * s
    if shape == "aviator":
        # A drop that hangs outwards.
        x = x * (1 + 0.1 * np.sin(turn)) - 0.16 * np.minimum(y, 0) * 0.8
        y = y + 0.12 * half * np.clip(c, 0, 1) * (s > 0)
    elif shape == "thick":
        x = x * (1 + 0.06 * s)
        y = y + 0.1 * half * np.clip(c, 0, 1) ** 2 * np.clip(s, 0, 1)
    return np.stack([x, y], -1)


class _Seat:
    """Where glasses sit on a face: an origin between the eyes, a lean and a wrap around the face."""

    def __init__(self, head: HeadModel, vertices: np.ndarray, look: Glasses) -> None:
        marks = vertices[head.landmarks]
        skin = vertices[head.vertices_of("M_Face", "M_BackHead")]
        # Ears stand out from the side of the head: leave them out of its width.
        usual = head.neutral[head.vertices_of("M_Face", "M_BackHead")]
        ear = (np.abs(usual[:, 0]) > 7.3) & (usual[:, 1] < 4.2) & (usual[:, 2] < 2.2)
        self.skin = skin[~ear]
        self.bare = skin
        eyes = np.stack([marks[36:42].mean(0), marks[42:48].mean(0)])
        self.unit = float(np.linalg.norm(eyes[1] - eyes[0])) / 6.25
        self.origin = np.array([marks[27, 0], eyes[:, 1].mean() - 0.15 - look.lower, 0.0])
        side = self.skin[
            (np.abs(self.skin[:, 1] - self.origin[1] - 0.8) < 0.7) & (self.skin[:, 2] > 1) & (self.skin[:, 2] < 5)
        ]
        self.reach = (float(np.abs(side[:, 0]).max()) + 0.12) * look.width
        self.wrap = 15.0

    def curve(self, x: np.ndarray) -> np.ndarray:
        """How far the front bends back at `x` centimetres from the middle."""
        return -(np.asarray(x) ** 2) / (2 * self.wrap)

    def lift(self, flat: np.ndarray, forward: np.ndarray | float = 0.0) -> np.ndarray:
        """Points `(..., 3)` of the head for points `(..., 2)` on the front of the glasses."""
        x, y = flat[..., 0], flat[..., 1]
        z = self.curve(x) + forward
        return self.origin + np.stack([x, y * np.cos(TILT) - z * np.sin(TILT), z * np.cos(TILT) + y * np.sin(TILT)], -1)

    def rest(self, outline: np.ndarray, everything: np.ndarray) -> None:
        """Slide the front along z until it just clears the face behind the lenses."""
        own = everything - self.origin
        x, y = np.abs(own[:, 0]), own[:, 1]
        low, high = outline.min(0), outline.max(0)
        inside = (x > low[0] + 0.25) & (x < high[0]) & (y > low[1] + 0.5) & (y < high[1]) & (own[:, 2] > 5)
        gap = own[inside, 2] - self.curve(x[inside]) - y[inside] * np.sin(TILT)
        self.origin = self.origin + np.array([0, 0, float(gap.max()) + 0.22])


def glasses_pieces(head: HeadModel, vertices: np.ndarray, look: Glasses) -> list[Piece]:
    """Frame, lenses, temples and pads of glasses that rest on the nose and the ears.

    Args:
        vertices: `(V, 3)` this person's head.
    """
    seat = _Seat(head, vertices, look)
    unit = seat.unit * look.width
    inner = 0.92 * unit
    outer = min(seat.reach - 0.55, inner + 5.6 * unit)
    half = (outer - inner) / 2
    flat = lens_outline(look.shape, half, look.height) + np.array([inner + half, -0.1])
    seat.rest(flat, vertices[head.vertices_of("M_Face", "M_EyeLashes", "M_ScleraLeft", "M_ScleraRight")])
    rim = look.rim * unit
    thick = look.rim if look.metal else 0.34
    centre = flat.mean(0)
    pieces = []
    for side, name in ((1, "left"), (-1, "right")):
        turn = np.array([side, 1.0])
        rings = np.stack([centre + (flat - centre) * r for r in (1.0, 0.75, 0.5, 0.25, 0.01)])
        # A meniscus: the middle of a lens stands a little forward of its edge.
        bulge = 0.22 * (1 - np.array([1.0, 0.75, 0.5, 0.25, 0.01]) ** 2)[:, None]
        points = seat.lift(rings * turn, bulge).reshape(-1, 3)
        pieces.append(_plain(f"lens {name}", points, grid_faces(5, len(flat), True), "lens"))
        size = np.array([rim, thick]) / 2 if look.shape != "rimless" else np.array([0.03, 0.1])
        path = seat.lift(flat * turn)
        vertices_, faces = tube(path, path - seat.lift(centre * turn), size, True, 12)
        pieces.append(_plain(f"rim {name}", vertices_, faces, "frame" if look.shape != "rimless" else "pad"))
    pieces += _bridge(seat, look, flat, rim, thick, vertices[head.landmarks[27:31]])
    for side, name in ((1, "left"), (-1, "right")):
        pieces += _temple(seat, look, flat, side, name, *_ear(head, vertices, side))
    return pieces


def _bridge(seat: _Seat, look: Glasses, flat: np.ndarray, rim: float, thick: float, nose: np.ndarray) -> list[Piece]:
    pieces = []
    inner = flat[np.argmin(flat[:, 0])]
    high = flat[:, 1].max()
    levels = {"aviator": (0.35, 0.85), "round": (0.4,), "rimless": (0.35,)}.get(look.shape, (0.5,))
    for number, level in enumerate(levels):
        y = inner[1] + (high - inner[1]) * level
        near = flat[(flat[:, 0] < flat[:, 0].mean())]
        x = near[np.argmin(np.abs(near[:, 1] - y)), 0] + 0.02
        t = np.linspace(-1, 1, 21)
        path = np.stack([t * x, y + 0.22 * (1 - t**2) * (number == 0)], -1)
        ahead = 0.3 * (1 - t**2)
        points = seat.lift(path, ahead)
        over = np.interp(points[:, 1], nose[::-1, 1], nose[::-1, 2])
        short = np.maximum((over + 0.1 + thick / 2 - np.abs(points[:, 0]) * 1.6 - points[:, 2]).max(), 0)
        points = seat.lift(path, ahead + short * (1 - t**4))
        size = np.array([rim if not look.metal else 0.14, thick]) / 2
        vertices, faces = tube(points, np.tile([0.0, 1, 0], (21, 1)), size * (1.15 if not look.metal else 1), False, 10)
        pieces.append(_plain(f"bridge {number}", vertices, faces, "frame"))
    for side in (1, -1):
        # A pad lies on the side of the nose, as deep as the skin there.
        x, y = 0.82 * seat.unit, -0.75
        at = seat.origin + np.array([side * x, y, 0])
        close = seat.bare[np.argsort(np.linalg.norm((seat.bare - at)[:, :2], axis=1))[:6]]
        at = np.array([at[0], at[1], close[:, 2].max() + 0.06])
        turn = np.linspace(0, np.pi, 9)
        around = np.arange(14) / 14 * 2 * np.pi
        ball = np.stack(
            [np.sin(turn)[:, None] * np.cos(around) * 0.13, np.cos(turn)[:, None] * 0.38 + 0 * around,
             np.sin(turn)[:, None] * np.sin(around) * 0.22], -1,
        )  # fmt: skip
        if look.metal:
            pieces.append(_plain(f"pad {side}", (at + ball).reshape(-1, 3), grid_faces(9, 14, True), "pad"))
            start = seat.lift(np.array([side * (inner[0] + 0.03), inner[1] - 0.1]))
            path = even_in_knots(
                np.stack([start, start * 0.5 + at * 0.5 + [0, 0.1, 0.12], at + np.array([side * 0.05, 0, 0.05])]), 10
            )
            vertices, faces = tube(path, np.tile([0.0, 1, 0], (10, 1)), np.array([0.05, 0.05]), False, 6)
            pieces.append(_plain(f"pad wire {side}", vertices, faces, "frame"))
    return pieces


def _ear(head: HeadModel, vertices: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The highest place of an ear's root and its lowest place, the lobe."""
    skin = head.vertices_of("M_Face", "M_BackHead")
    usual = head.neutral[skin] * [side, 1, 1]
    ear = skin[(usual[:, 0] > 8.2) & (usual[:, 1] < 4.5)]
    lobe = skin[(usual[:, 0] > 7.4) & (usual[:, 1] > -2.2) & (usual[:, 1] < -1.2) & (usual[:, 2] < 1.6)]
    top = vertices[ear[np.argmax(vertices[ear, 1])]]
    return top, vertices[lobe].mean(0)


def _temple(
    seat: _Seat, look: Glasses, flat: np.ndarray, side: int, name: str, ear: np.ndarray, lobe: np.ndarray
) -> list[Piece]:
    outermost = flat[np.argmax(flat[:, 0])]
    y = outermost[1] + (flat[:, 1].max() - outermost[1]) * (0.55 if look.shape != "round" else 0.25)
    near = flat[flat[:, 0] > flat[:, 0].mean()]
    x = near[np.argmin(np.abs(near[:, 1] - y)), 0]
    start = seat.lift(np.array([side * (x - 0.08), y]), 0.02)
    width = seat.reach + 0.1
    corner = np.array([seat.origin[0] + side * min(width, flat[:, 0].max() + 0.35), start[1], start[2] - 0.75])
    over = np.array([seat.origin[0] + side * width, ear[1] + 0.12, ear[2] + 0.9])
    bend = np.array([over[0], ear[1] - 0.15, ear[2] - 1.5])
    tip = np.array([over[0] - side * 0.5, lobe[1] + 2.0, ear[2] - 2.9])
    elbow = start * 0.35 + corner * 0.65 + [side * 0.08, 0, 0.25]
    path = even_in_knots(np.stack([start, elbow, corner, corner * 0.5 + over * 0.5, over, bend, tip]), 70)
    # Keep clear of the head behind the hinge.
    for i, p in enumerate(path):
        here = seat.skin[(np.abs(seat.skin[:, 1] - p[1]) < 0.6) & (np.abs(seat.skin[:, 2] - p[2]) < 0.6)]
        if len(here):
            edge = side * (side * here[:, 0]).max() + side * 0.13
            path[i, 0] = side * max(side * p[0], side * edge) if p[2] < corner[2] else p[0]
    path[:, 0] = np.convolve(np.pad(path[:, 0], 3, mode="edge"), np.ones(7) / 7, "valid")
    depth = 0.1 if look.metal else 0.22 + 0.3 * look.rim
    tall = np.full(70, depth)
    tall[:12] = np.linspace(depth * (1.0 if look.metal else 1.5), depth, 12)
    size = np.stack([tall, np.full(70, 0.07 if look.metal else 0.13)], -1)
    vertices, faces = tube(path, np.tile([0.0, 1, 0], (70, 1)), size, False, 10)
    return [_plain(f"temple {name}", vertices, faces, "frame")]


def earring_pieces(head: HeadModel, vertices: np.ndarray, kind: str, seed: int) -> list[Piece]:
    """A pair of ear-rings, `kind` "stud" or "hoop"."""
    rng = np.random.default_rng(seed)
    size = rng.uniform(0.16, 0.3) if kind == "stud" else rng.uniform(0.5, 1.9)
    pieces = []
    for side in (1, -1):
        _, lobe = _ear(head, vertices, side)
        if kind == "stud":
            turn, around = np.linspace(0, np.pi, 10), np.arange(16) / 16 * 2 * np.pi
            ball = np.stack(
                [np.sin(turn)[:, None] * np.cos(around), np.cos(turn)[:, None] + 0 * around,
                 np.sin(turn)[:, None] * np.sin(around)], -1,
            )  # fmt: skip
            points = lobe + [side * 0.35, 0, 0.2] + ball * size
            pieces.append(_plain(f"stud {side}", points.reshape(-1, 3), grid_faces(10, 16, True), "metal"))
        else:
            turn = np.arange(48) / 48 * 2 * np.pi
            ring = np.stack([0.25 * np.sin(turn) * side, np.cos(turn), np.sin(turn)], -1) * size
            path = lobe + np.array([side * 0.1, 0.15 - size, 0.2]) + ring
            thick = 0.05 + 0.06 * rng.random()
            made, faces = tube(path, ring, np.array([thick, thick]), True, 8)
            pieces.append(_plain(f"hoop {side}", made, faces, "metal"))
    return pieces
