"""Hats and scarves as meshes that clear the skull."""

from __future__ import annotations

import numpy as np

from hrlm.synthetic.head import HeadModel
from hrlm.synthetic.worn import Hat, Piece, grid_faces

AROUND = 120
CLEAR = 0.75
"""Centimetres between skull and hat, for hair that lies flat."""


class Skull:
    """The smooth hull of a head: how far it reaches from its middle in every direction.

    Args:
        vertices: `(V, 3)` this person's head.
    """

    def __init__(self, head: HeadModel, vertices: np.ndarray) -> None:
        skin = head.vertices_of("M_Face", "M_BackHead")
        usual = head.neutral[skin]
        ear = (np.abs(usual[:, 0]) > 7.95) & (usual[:, 1] < 4.5)
        points = vertices[skin[(usual[:, 1] > -9) & ~ear]][::2]
        self.centre = np.array([0.0, vertices[head.landmarks[27], 1] + 1.5, 0.5])
        own = points - self.centre
        self.reach_of = np.linalg.norm(own, axis=1)
        self.toward = own / self.reach_of[:, None]
        self.ears = vertices[skin[ear]]
        marks = vertices[head.landmarks]
        self.brow = float(marks[17:27, 1].max())
        self.top = float(vertices[skin, 1].max())
        self.marks = marks

    def reach(self, directions: np.ndarray) -> np.ndarray:
        """Centimetres from the middle `(...)` for unit directions `(..., 3)`: a hull a little wider than the head."""
        flat = directions.reshape(-1, 3)
        near = flat @ self.toward.T
        weight = np.exp((near - 1) * 260)
        found = (weight * self.reach_of).sum(1) / np.maximum(weight.sum(1), 1e-9)
        # A smooth maximum leans to the farther vertices, so that none pokes through.
        high = np.where(near > 0.985, self.reach_of, 0).max(1)
        return np.maximum(found, 0.5 * found + 0.5 * high).reshape(directions.shape[:-1])


def _turned(points: np.ndarray, centre: np.ndarray, degrees: float) -> np.ndarray:
    a = np.radians(degrees)
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    return (points - centre) @ turn.T + centre


def _rim(skull: Skull, front: float, side: float, back: float, above: float) -> np.ndarray:
    """A loop `(AROUND, 3)` around the head at heights in front, at the sides and behind."""
    angle = np.arange(AROUND) / AROUND * 2 * np.pi
    c = np.cos(angle)
    height = side + (front - side) * np.clip(c, 0, 1) ** 1.4 + (back - side) * np.clip(-c, 0, 1) ** 1.4
    wide = np.stack([np.sin(angle), 0 * angle, c], -1)
    place = wide * 9.0
    for _ in range(8):
        place[:, 1] = height - skull.centre[1]
        direction = place / np.linalg.norm(place, axis=1, keepdims=True)
        far = direction * (skull.reach(direction) + above)[:, None]
        place = wide * np.linalg.norm(far[:, [0, 2]], axis=1)[:, None]
    place[:, 1] = height - skull.centre[1]
    return skull.centre + place


def _dome(skull: Skull, rim: np.ndarray, above: float, rows: int = 24) -> np.ndarray:
    """Points `(rows, AROUND, 3)` over the skull from a rim to the crown."""
    start = rim - skull.centre
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    pole = np.array([0.0, 1.0, -0.12])
    pole /= np.linalg.norm(pole)
    t = np.linspace(0, 1, rows)[:, None, None] * 0.998
    angle = np.arccos(np.clip(start @ pole, -1, 1))[None, :, None]
    direction = (np.sin((1 - t) * angle) * start + np.sin(t * angle) * pole) / np.sin(angle)
    return skull.centre + direction * (skull.reach(direction) + above)[..., None]


def _grid(name: str, points: np.ndarray, repeat: float = 60.0, subdivisions: int = 1) -> Piece:
    """A closed grid of cloth; texture coordinates run `repeat` centimetres around it."""
    rows, columns = points.shape[:2]
    down = np.concatenate([np.zeros((1, columns)), np.linalg.norm(np.diff(points, axis=0), axis=-1)]).cumsum(0)
    around = np.minimum(np.arange(columns), columns - np.arange(columns)) / columns * repeat
    uv = np.stack([np.broadcast_to(around, down.shape), -down], -1).reshape(-1, 2)
    return Piece(name, points.reshape(-1, 3), grid_faces(rows, columns, True), uv, "hat", subdivisions)


def _beanie(skull: Skull, look: Hat) -> list[Piece]:
    front = skull.brow + 2.6 - 1.7 * look.brow
    rim = _rim(skull, front, skull.brow - 2.4, skull.brow - 4.5, CLEAR)
    dome = _dome(skull, rim, CLEAR + 0.1)
    t = np.linspace(0, 1, len(dome))[:, None]
    # Loose cloth stands above the crown and leans back.
    slack = look.size * 1.6 * t**2
    dome = dome + np.stack([0 * slack, slack, -0.7 * slack], -1)
    pieces = [_grid("hat", dome)]
    cuff = 5.0 * look.size
    up = np.linalg.norm(np.diff(dome, axis=0), axis=-1).cumsum(0)
    outward = (dome - skull.centre) / np.linalg.norm(dome - skull.centre, axis=-1, keepdims=True)
    rows = []
    for height, out in (
        (0.0, -0.35),
        (-0.12, 0.1),
        (0.0, 0.42),
        (0.25, 0.5),
        (0.5, 0.5),
        (0.75, 0.52),
        (0.95, 0.5),
        (1.0, 0.3),
        (0.97, 0.0),
    ):
        want = max(height, 0) * cuff
        row = np.stack([
            [np.interp(want, np.concatenate([[0], up[:, i]]), (dome + outward * out)[:, i, k]) for k in range(3)]
            for i in range(AROUND)
        ])  # fmt: skip
        row[:, 1] += min(height, 0)
        rows.append(row)
    return [*pieces, _grid("cuff", np.stack(rows))]


def _brim(inner: np.ndarray, outer: np.ndarray, name: str, thick: float) -> Piece:
    """A plate between two closed loops `(AROUND, 3)`."""
    t = np.linspace(0, 1, 9)[:, None, None]
    sheet = inner * (1 - t) + outer * t
    under = sheet[::-1] - [0, thick, 0]
    return _grid(name, np.concatenate([sheet, under]))


def _cap(skull: Skull, look: Hat) -> list[Piece]:
    front = skull.brow + 2.4 - 1.5 * look.brow
    rim = _rim(skull, front, skull.brow - 0.6, skull.brow - 3.0, CLEAR * 0.8)
    dome = _dome(skull, rim, CLEAR)
    t = np.linspace(0, 1, len(dome))[:, None]
    angle = np.arange(AROUND) / AROUND * 2 * np.pi
    # The front panels stand up before they turn over.
    stand = look.size * 1.1 * np.sin(np.pi * t**0.8) * np.clip(np.cos(angle), 0, 1)
    seam = 0.07 * np.exp(-((np.sin(3 * angle) / 0.06) ** 2)) * np.sin(np.pi * np.clip(t, 0, 1)) ** 0.3
    outward = (dome - skull.centre) / np.linalg.norm(dome - skull.centre, axis=-1, keepdims=True)
    dome = dome + outward * (stand - seam)[..., None]
    edge = np.concatenate([(dome[:1] - outward[:1] * 0.4), dome])
    pieces = [_grid("hat", edge)]
    wide = np.linspace(-1.02, 1.02, 49)
    base = np.stack(
        [np.interp(wide, np.radians(np.arange(-120, 121, 3)), dome[0][np.arange(-40, 41), k]) for k in range(3)], -1
    )
    long = (6.8 * look.size) * np.clip(1 - (wide / 1.02) ** 2, 0, 1) ** 0.55
    steps = np.linspace(0, 1, 12)[:, None]
    arch = 0.9 * np.cos(wide * 1.3)
    forward = np.stack(
        [0.12 * steps * long * np.sin(wide), steps * (-0.24 * long) - steps * (0.9 - arch), steps * long], -1
    )
    top = base - outward[0][np.arange(-24, 25) * 33 // 50] * 0.25 + forward
    peak = np.concatenate([top, (top - [0, 0.28, 0])[::-1]])
    rows, columns = peak.shape[:2]
    uv = peak[..., [0, 2]].reshape(-1, 2)
    pieces.append(Piece("peak", peak.reshape(-1, 3), grid_faces(rows, columns), uv, "hat", 1))
    knob = dome[-1].mean(0)
    turn, around = np.linspace(0, np.pi, 7), np.arange(12) / 12 * 2 * np.pi
    ball = np.stack(
        [np.sin(turn)[:, None] * np.cos(around) * 0.7, np.cos(turn)[:, None] * 0.35 + 0 * around,
         np.sin(turn)[:, None] * np.sin(around) * 0.7], -1,
    )  # fmt: skip
    pieces.append(_grid("knob", knob + ball, 2.0))
    return pieces


def _brimmed(skull: Skull, look: Hat) -> list[Piece]:
    front = skull.brow + 2.6 - 1.4 * look.brow
    rim = _rim(skull, front, skull.brow + 1.3, skull.brow + 0.2, CLEAR)
    t = np.linspace(0, 1, 22)[:, None]
    middle = rim.mean(0)
    tall = (skull.top - rim[:, 1].mean() + 2.2) * (0.9 + 0.1 * look.size)
    angle = np.arange(AROUND) / AROUND * 2 * np.pi
    # Walls that lean in a little, a rounded shoulder, then a crown with a crease from front to back.
    lean = 1 - 0.13 * t - 0.87 * np.clip((t - 0.62) / 0.38, 0, 1) ** 2.2
    lift = tall * np.clip(t / 0.72, 0, 1) ** 0.9
    pinch = 1 - 0.12 * np.clip(np.cos(angle), 0, 1) ** 4 * np.sin(np.pi * np.clip(t * 1.2, 0, 1))
    out = rim - middle
    crown = np.stack([middle[0] + out[:, 0] * lean * pinch, rim[:, 1] + lift, middle[2] + out[:, 2] * lean], -1)
    crease = 1.5 * np.clip((t - 0.5) / 0.5, 0, 1) * np.exp(-((crown[..., 0] / 2.2) ** 2))
    crown[..., 1] -= crease
    crown[..., 1] += 0.05 * (rim[:, 1].mean() - rim[:, 1]) * t
    outward = out * [1, 0, 1] / np.linalg.norm(out[:, [0, 2]], axis=1, keepdims=True)
    reach = 5.8 * look.size
    roll = 1.5 * np.sin(angle) ** 2 - 0.9 * np.clip(np.cos(angle), 0, 1)
    steps = np.linspace(0, 1, 9)[:, None, None]
    sheet = rim + outward * reach * steps + np.array([0, 1, 0]) * (roll[:, None] * steps**2)
    plate = np.concatenate([sheet, sheet[::-1] - [0, 0.25, 0]])
    band = np.stack([
        rim + out * k + [0, h, 0] for h, k in ((0.1, 0.0), (0.2, 0.022), (1.4, 0.014), (2.9, -0.004), (3.0, -0.03))
    ])  # fmt: skip
    ribbon = _grid("ribbon", band)
    return [
        _grid("hat", crown), _grid("brim", plate),
        Piece("ribbon", ribbon.vertices, ribbon.faces, ribbon.uv, "inner", 1),
    ]  # fmt: skip


def _scarf(skull: Skull, look: Hat, neck: np.ndarray) -> list[Piece]:
    """A scarf around face and neck. `neck`: `(rows, AROUND, 3)` places on the neck and shoulders, top first."""
    marks = skull.marks
    chin = marks[8]
    top = skull.brow + 2.9 - 1.3 * look.brow
    turn = np.arange(AROUND) / AROUND * 2 * np.pi
    # The opening of the face: from the forehead past the temples to below the chin.
    half = float(np.abs(marks[[1, 15], 0]).mean()) + 0.25
    middle = (top + chin[1] - 1.2) / 2
    tall = (top - chin[1] + 1.2) / 2
    x = half * np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** 0.9
    y = middle + tall * np.cos(turn)
    narrow = 1 - 0.3 * np.clip((middle - y) / tall, 0, 1) ** 2.2
    centre = skull.centre
    direction = np.stack(
        [x * narrow, y - centre[1], np.interp(y, [chin[1] - 1, -1, 4, top], [8.5, 5.6, 5.0, 8.0]) - centre[2]], -1
    )
    start = direction / np.linalg.norm(direction, axis=1, keepdims=True)
    pole = np.array([0.0, -0.15, -1.0]) / np.hypot(0.15, 1)
    t = np.linspace(0, 1, 40)[:, None, None] * 0.995
    angle = np.arccos(np.clip(start @ pole, -1, 1))[None, :, None]
    ways = (np.sin((1 - t) * angle) * start + np.sin(t * angle) * pole) / np.sin(angle)
    reach = np.maximum(skull.reach(ways), 7.6) + 0.7 + 0.5 * np.sin(np.pi * t[..., 0])
    # Over the ears.
    reach += 0.9 * np.exp(-((((ways * [1, 0, 0]).sum(-1) ** 2 - 1) / 0.35) ** 2)) * np.clip(0.4 - ways[..., 1], 0, 1)
    under = np.linalg.norm(direction, axis=1)[None]
    blend = np.clip(t[..., 0] / 0.25, 0, 1) ** 0.7
    low = np.clip(-start[None, :, 1] * 2 - 0.6, 0, 1)
    reach = reach * (1 - low * (1 - blend)) + np.minimum(reach, under + 0.5) * low * (1 - blend)
    wave = 0.13 * np.sin(9 * turn + 6 * t[..., 0]) * np.sin(np.pi * t[..., 0])
    hood = centre + ways * (reach + wave)[..., None]
    edge = np.concatenate([hood[:1] - start * 0.45, hood[:1] + np.array([0, 0, 0.12]), hood])
    pieces = [_grid("scarf", edge)]
    rows = len(neck)
    out = neck - neck.mean(1, keepdims=True)
    out /= np.linalg.norm(out, axis=-1, keepdims=True)
    u = np.linspace(0, 1, rows)[:, None]
    around = np.arange(AROUND) / AROUND * 2 * np.pi
    loose = 1.3 + 1.0 * np.sin(np.pi * u) + 0.35 * np.sin(16 * u + 1.2 * np.cos(around) + 0.5 * np.sin(2 * around))
    # Its upper folds rise to the chin.
    lift = 2.6 * (1 - u) ** 2
    pieces.append(_grid("wrap", neck + out * (loose + 0.5 * (1 - u) ** 2)[..., None] + lift[..., None] * [0, 1, 0]))
    return pieces


def hat_pieces(head: HeadModel, vertices: np.ndarray, look: Hat, neck: np.ndarray) -> list[Piece]:
    """The meshes of a hat.

    Args:
        vertices: `(V, 3)` this person's head.
        neck: `(rows, AROUND, 3)` places on the neck and shoulders from under the chin down, for a scarf.
    """
    skull = Skull(head, vertices)
    if look.kind == "scarf":
        return _scarf(skull, look, neck)
    pieces = {"beanie": _beanie, "cap": _cap, "brimmed": _brimmed}[look.kind](skull, look)
    return [
        Piece(p.name, _turned(p.vertices, skull.centre, look.tilt), p.faces, p.uv, p.material, p.subdivisions)
        for p in pieces
    ]
