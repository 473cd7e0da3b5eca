"""Clothes as meshes that lie on a body."""

from __future__ import annotations

import numpy as np

from hrlm.synthetic.worn import Piece, WornLook, grid_faces, tube
from hrlm.synthetic.worn_body import BOTTOM, Body

AROUND = 144
BASE = -12.2
"""The slice that runs around the base of the neck."""


def fold_depth(points: np.ndarray, seed: int) -> np.ndarray:
    """How far cloth stands out, about -1 to 1, at places `(..., 3)`: long folds that hang and pull at the arms."""
    rng = np.random.default_rng(seed)
    x, y, z = np.moveaxis(points, -1, 0)
    bend = 1.5 * np.sin(0.11 * y + rng.uniform(0, 6)) + 1.2 * np.sin(0.17 * x + 0.1 * z + rng.uniform(0, 6))
    depth = np.zeros(points.shape[:-1])
    total = 0.0
    for length, steep, weight in ((15, 0.35, 1.0), (10, 0.9, 0.8), (7, 0.6, 0.5), (4.5, 1.3, 0.3)):
        for mirrored in (-1, 1):
            turn = mirrored * rng.uniform(0.5, 1.2) * steep
            wave = (x * np.cos(turn) + y * np.sin(turn) + 0.5 * z) * 2 * np.pi / (length * rng.uniform(0.8, 1.25))
            here = 0.5 + 0.5 * np.sin(0.13 * y + 0.21 * x * mirrored + rng.uniform(0, 6))
            depth += weight * here * (1 - 2 * np.abs(np.sin(wave / 2 + bend + rng.uniform(0, 6))) ** 0.8)
            total += weight * 0.5
    return depth / total


def _piece(name: str, points: np.ndarray, material: str, closed: bool, subdivisions: int = 1) -> Piece:
    """A grid `(rows, columns, 3)` of points as a mesh, with centimetres along it as texture coordinates."""
    rows, columns = points.shape[:2]
    down = np.concatenate([np.zeros((1, columns)), np.linalg.norm(np.diff(points, axis=0), axis=-1)]).cumsum(0)
    across = np.linalg.norm(np.diff(points, axis=1), axis=-1)
    across = np.concatenate([np.zeros((rows, 1)), across], 1).cumsum(1)
    middle = across - across[:, columns // 2 : columns // 2 + 1]
    uv = np.stack([middle, -down], -1).reshape(-1, 2)
    return Piece(name, points.reshape(-1, 3), grid_faces(rows, columns, closed), uv, material, subdivisions)


def _even(points: np.ndarray, times: int) -> np.ndarray:
    """Smooth rows `(rows, columns, 3)` along themselves, ends kept."""
    for _ in range(times):
        points = np.concatenate(
            [points[:, :1], 0.5 * points[:, 1:-1] + 0.25 * (points[:, :-2] + points[:, 2:]), points[:, -1:]], 1
        )
    return points


def _front(angle: np.ndarray) -> np.ndarray:
    """Angles as -pi to pi, 0 in front."""
    return (np.asarray(angle) + np.pi) % (2 * np.pi) - np.pi


class _Shell:
    """A garment's surface: the body, the cloth's ease and its folds."""

    def __init__(self, body: Body, look: WornLook, extra: float) -> None:
        self.body, self.look, self.extra = body, look, extra

    def offset(self, angle: np.ndarray, height: np.ndarray) -> np.ndarray:
        """Centimetres above the body: close at the neck and on the shoulders, loose below."""
        hang = np.clip((-height - 13) / 16, 0, 1)
        calm = 0.25 + 0.3 * hang + self.extra
        folds = fold_depth(self.body.place(angle, height, 0.0), self.look.seed)
        deep = 0.06 + 0.75 * np.clip((-height - 15) / 18, 0, 1)
        return calm + self.look.ease * hang + self.look.folds * deep * (folds + 0.15)

    def at(self, angle: np.ndarray, height: np.ndarray, above: np.ndarray | float = 0.0) -> np.ndarray:
        """Points `(..., 3)` lying `above` centimetres over the garment."""
        angle, height = np.broadcast_arrays(np.asarray(angle, float), np.asarray(height, float))
        return self.body.place(angle, height, self.offset(angle, height) + above)


def _main(shell: _Shell, neckline: np.ndarray, name: str, material: str) -> Piece:
    """The garment from its neckline `(AROUND,)` of heights down, with the edge turned in."""
    angle = np.arange(AROUND) / AROUND * 2 * np.pi + np.pi
    t = np.linspace(0, 1, 84)[:, None] ** 1.35
    height = neckline * (1 - t) + BOTTOM * t
    points = shell.at(np.broadcast_to(angle, height.shape), height)
    inner = shell.body.place(angle, neckline - 0.2, 0.04)
    return _piece(name, np.concatenate([inner[None], points]), material, closed=True)


def _strip(
    shell: _Shell, angle: np.ndarray, rows: list[tuple[np.ndarray | float, np.ndarray | float]], name: str,
    material: str, closed: bool,
) -> Piece:  # fmt: skip
    """A band around the neck: rows of height and of centimetres above the garment, both by angle."""
    points = np.stack([shell.at(angle, np.broadcast_to(h, angle.shape), o) for h, o in rows])
    return _piece(name, points, material, closed)


def _around() -> np.ndarray:
    return np.arange(AROUND) / AROUND * 2 * np.pi + np.pi


def _rib(shell: _Shell, neckline: np.ndarray, width: float) -> Piece:
    profile = [(0.12, -0.2), (0.0, 0.0), (-0.12, 0.2), (-0.4, 0.28), (-0.75, 0.28), (-0.95, 0.2), (-1.0, -0.1)]
    rows = [(neckline + 0.1 + width * min(d, 0.0), o) for d, o in profile]
    return _strip(shell, _around(), list(rows), "rib", "outer", True)


def _turtleneck(shell: _Shell, look: WornLook) -> Piece:
    top = -8.6 - 0.8 * (1.2 - look.collar)
    roll = top - 3.6 * look.collar
    profile = [(top - 1.5, -0.3), (top - 0.3, -0.1), (top, 0.25), (top - 0.15, 0.7), (top - 0.6, 0.95)]
    profile += [(h, 1.0 + 0.1 * np.sin(h * 2)) for h in np.linspace(top - 1.2, roll, 6)]
    profile += [(roll - 0.35, 0.75), (roll - 0.2, 0.35), (BASE - 0.6, 0.1)]
    angle = _around()
    slack = 0.16 * np.sin(3 * angle + look.seed % 7) + 0.1 * np.sin(5 * angle + look.seed % 5)
    return _strip(shell, angle, [(h + slack * 0.5, o + slack * (o > 0.2)) for h, o in profile], "roll", "outer", True)


def _collar(shell: _Shell, look: WornLook, material: str) -> list[Piece]:
    """A shirt's collar: a band that stands and a leaf that falls over it to two points."""
    gap = 0.16
    angle = np.linspace(gap, 2 * np.pi - gap, 97)
    away = np.abs(_front(angle))
    top = BASE + 2.9 * look.collar * (0.72 + 0.28 * np.clip(away / 1.2, 0, 1))
    band = [(BASE - 0.8, 0.05), (BASE + 0.3, 0.12), ((top + BASE) / 2, 0.12), (top, 0.12)]
    pieces = [_strip(shell, angle, list(band), "band", material, False)]
    point = np.clip(1 - (away - gap) / 0.75, 0, 1)
    edge = BASE - 0.4 - 4.4 * look.collar * point**1.3
    high, low = (_even(shell.at(angle, h, o)[None], 30)[0] for h, o in ((top, 0.2), (edge, 0.35)))
    t = np.linspace(0, 1, 9)[:, None, None]
    leaf = high * (1 - t) + low * t
    centre = leaf.mean((0, 1)) * [1, 0, 1]
    out = leaf * [1, 0, 1] - centre
    out /= np.linalg.norm(out, axis=-1, keepdims=True)
    leaf = leaf + out * (0.55 * np.sin(np.pi * t) ** 0.7 + 0.12)
    turned = np.concatenate([high[None] - 0.1 * out[:1], leaf, leaf[-1:] - 0.3 * out[-1:]])
    pieces.append(_piece("leaf", turned, material, False))
    return pieces


def _button(centre: np.ndarray, normal: np.ndarray, radius: float, name: str) -> Piece:
    across = np.cross(normal, [0, 1.0, 0])
    across /= np.linalg.norm(across)
    up = np.cross(across, normal)
    turn = np.arange(16) / 16 * 2 * np.pi
    ring = np.cos(turn)[:, None] * across + np.sin(turn)[:, None] * up
    rows = [(0.9, -0.1), (1.0, 0.0), (0.9, 0.09), (0.75, 0.06), (0.001, 0.05)]
    points = np.stack([centre + ring * radius * r + normal * d for r, d in rows])
    return Piece(name, points.reshape(-1, 3), grid_faces(len(rows), 16, True), np.zeros((len(rows) * 16, 2)), "button")


def _placket(shell: _Shell, top: float, material: str, below: float) -> list[Piece]:
    """The doubled strip in front with its buttons."""
    height = np.linspace(top, below, 60)[:, None]
    wide = np.array([-1.7, -1.62, -0.8, 0, 0.8, 1.62, 1.7])
    angle = wide / shell.body.distance(np.zeros(1), height)
    points = shell.at(angle, np.broadcast_to(height, angle.shape), np.array([0.0, 0.16, 0.2, 0.2, 0.2, 0.16, 0.0]))
    pieces = [_piece("placket", points, material, False)]
    for number, h in enumerate(np.arange(top - 1.2, below, -8.2)):
        a, b = (shell.at(np.zeros(1), np.array([h]), above)[0] for above in (0.22, 1.2))
        normal = (b - a) / np.linalg.norm(b - a)
        pieces.append(_button(a, normal, 0.55, f"button{number}"))
    return pieces


def _hood(shell: _Shell, look: WornLook) -> list[Piece]:
    """A hood that lies on the shoulders behind the neck, and its two cords."""
    gap = 0.14
    angle = np.linspace(gap, 2 * np.pi - gap, 121)
    back = np.clip((np.abs(_front(angle)) - 0.3) / 2.4, 0, 1) ** 0.8
    front = np.clip(1 - (np.abs(_front(angle)) - gap) / 0.5, 0, 1)
    start = shell.at(angle, BASE + 0.5 - 1.2 * front, 0.15)
    end = shell.at(angle, BASE - 1.3 - 1.6 * back - 1.6 * front, 0.05)
    wave = 1 + 0.1 * np.sin(5 * angle + look.seed % 6) + 0.07 * np.sin(9 * angle + look.seed % 9)
    rise = (1.1 + 3.2 * back) * look.collar * wave
    rows = []
    for u in np.linspace(0, 1, 17):
        bend = np.sin(np.pi * u) ** 0.75
        # Round on top, tucked under at the outer edge.
        out = u - 0.16 * np.sin(2 * np.pi * u) * back
        row = start + (end - start) * out[:, None]
        row[:, 1] += rise * bend * (1 - 0.25 * u)
        rows.append(row)
    pieces = [_piece("hood", _even(np.stack(rows), 4), "outer", False)]
    fall = np.random.default_rng(look.seed).uniform(9, 17, 2)
    for side, length in zip((-1, 1), fall, strict=True):
        height = np.linspace(BASE - 2.6, BASE - 2.6 - length, 24)
        swing = side * (2.6 + 0.5 * np.sin(height * 0.3 + side)) / shell.body.distance(np.zeros(1), height)
        path = shell.at(swing, height, 0.45)
        across = np.tile([1.0, 0, 0], (24, 1))
        vertices, faces = tube(path, across, np.array([0.26, 0.2]), False, 8)
        pieces.append(Piece(f"cord{side}", vertices, faces, np.zeros((len(vertices), 2)), "inner"))
    return pieces


def _lapels(shell: _Shell, edge: np.ndarray, low: float, look: WornLook) -> list[Piece]:
    """A jacket's lapels along its opening, and the collar around the neck."""
    pieces = []
    t = np.linspace(0, 1, 50)
    height = (BASE - 4.0) * (1 - t) + low * t
    inner = np.interp(-height, -edge[:, 1], edge[:, 0])
    width = 5.4 * look.collar * np.minimum(np.clip((1 - t) / 0.85, 0, 1) ** 0.75, 0.55 + 0.45 * np.clip(t / 0.1, 0, 1))
    across = np.linspace(-0.04, 1, 8)[:, None]
    for side in (-1, 1):
        wide = inner + across * width / shell.body.distance(np.full(1, 0.5), height)
        above = np.array([0.05, 0.3, 0.42, 0.46, 0.44, 0.42, 0.4, 0.2])[:, None] * np.ones_like(wide)
        points = shell.at(side * wide, np.broadcast_to(height, wide.shape), above)
        pieces.append(_piece(f"lapel{side}", points, "outer", False))
    angle = np.linspace(0.75, 2 * np.pi - 0.75, 97)
    front = np.clip((1.5 - np.abs(_front(angle))) / 0.75, 0, 1)
    high = _even(shell.at(angle, BASE + 1.0 - 3.4 * front, -0.35)[None], 12)[0]
    low_edge = _even(shell.at(angle, BASE - 1.2 - 4.0 * front, 0.5)[None], 12)[0]
    u = np.linspace(0, 1, 8)[:, None, None]
    leaf = high * (1 - u) + low_edge * u + np.array([0, 1.0, 0]) * np.sin(np.pi * u**0.7)
    inside = shell.at(angle, BASE - 0.2 - 3.0 * front, -0.6)
    pieces.append(
        _piece("jacket collar", np.concatenate([inside[None], leaf, leaf[-1:] - [0, 0.3, 0]]), "outer", False)
    )
    return pieces


def clothes_pieces(body: Body, look: WornLook) -> list[Piece]:
    """The meshes of what covers the body."""
    shell = _Shell(body, look, 0.0)
    away = np.abs(_front(_around()))
    crew = np.full(AROUND, BASE - 0.5 - 1.6 * (look.collar - 0.85)) - 0.4 * np.exp(-((away / 0.7) ** 2))
    open_throat = np.full(AROUND, BASE) - (1.2 + 3 * (1.2 - look.collar)) * np.clip(1 - away / 0.3, 0, 1)
    kind = look.clothes
    if kind == "vneck":
        v = np.full(AROUND, BASE - 0.4) - 3.6 * look.collar / 1.2 * (
            np.sqrt(np.clip(1 - away / 0.8, 0, 1) ** 2 + 0.004) - 0.063
        )
        return [_main(shell, v, "top", "outer"), _rib(shell, v, 1.3)]
    if kind == "turtleneck":
        return [_main(shell, np.full(AROUND, BASE - 0.3), "top", "outer"), _turtleneck(shell, look)]
    if kind == "shirt":
        placket = _placket(shell, float(open_throat.min()) - 0.2, "outer", BOTTOM + 4)
        return [_main(shell, open_throat, "top", "outer"), *_collar(shell, look, "outer"), *placket]
    if kind == "hoodie":
        return [_main(shell, crew, "top", "outer"), *_hood(shell, look)]
    if kind == "jacket":
        coat = _Shell(body, look, 0.9)
        low = -42.0 - 8 * (look.collar - 1)
        # The opening runs straight from the side of the neck to the button.
        down = np.linspace(BASE - 1.0, low, 60)
        beside = 5.6 - 5.2 * (down - down[0]) / (down[-1] - down[0])
        edge = np.stack([np.arcsin(np.clip(beside / body.distance(np.full(60, 0.5), down), 0, 0.9)), down], 1)
        reach = np.interp(away, edge[::-1, 0], edge[::-1, 1])
        pieces = [_main(coat, reach, "coat", "outer"), *_lapels(coat, edge, low, look)]
        if look.seed % 3:
            shirt = [_main(shell, open_throat, "top", "inner"), *_collar(shell, look, "inner")]
            return pieces + shirt + _placket(shell, float(open_throat.min()) - 0.2, "inner", low)
        return [*pieces, _main(shell, crew, "top", "inner")]
    return [_main(shell, crew, "top", "outer"), _rib(shell, crew, 1.9 * look.collar)]
