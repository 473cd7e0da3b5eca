"""What a rendered person wears: clothes, glasses, hats and ear-rings, drawn by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CLOTHES = ("crew", "vneck", "shirt", "turtleneck", "hoodie", "jacket")
PATTERNS = ("plain", "heather", "stripes", "pinstripes", "plaid", "knit", "denim", "dots")
GLASSES = ("round", "rectangular", "aviator", "rimless", "thick")
HATS = ("beanie", "cap", "brimmed", "scarf")

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Cloth:
    """A cloth.

    Args:
        colour, second: linear RGB of the cloth and of its pattern.
        pattern: one of PATTERNS.
        scale: centimetres of the pattern's period.
        roughness: 0 to 1.
        weave: depth of the weave, 0 to 1.
    """

    colour: Colour
    second: Colour
    pattern: str
    scale: float
    roughness: float
    weave: float


@dataclass(frozen=True)
class Glasses:
    """A pair of glasses.

    Args:
        shape: one of GLASSES.
        width: of the whole frame, relative to the head's at the temples.
        height: of a lens, relative to its usual height.
        rim: centimetres of the rim's thickness.
        frame: linear RGB.
        metal: a metal frame rather than acetate.
        mottled: tortoise-shell.
        tint: what the lenses let through, linear RGB; 1 is clear.
        lower: centimetres by which they have slipped down the nose.
    """

    shape: str
    width: float
    height: float
    rim: float
    frame: Colour
    metal: bool
    mottled: bool
    tint: Colour
    lower: float


@dataclass(frozen=True)
class Hat:
    """Something on the head.

    Args:
        kind: one of HATS.
        cloth: what it is made of.
        brow: 0 sits high on the forehead, 1 just above the brows.
        tilt: degrees, positive towards the subject's left.
        size: of brims, cuffs and crowns, about 1.
    """

    kind: str
    cloth: Cloth
    brow: float
    tilt: float
    size: float


@dataclass(frozen=True)
class WornLook:
    """What a person wears.

    Args:
        clothes: one of CLOTHES.
        outer, inner: the cloth seen most and the cloth below a jacket; the inner is also collar and lining.
        ease: centimetres between body and cloth.
        folds: how deep the cloth's folds are, about 1.
        build: how broad the shoulders are, about 1.
        chest: 0 flat to 1 full.
        collar: height and width of collars, necklines and hoods, about 1.
        glasses, hat: None when not worn.
        earrings: "", "stud" or "hoop".
        metal: linear RGB of the ear-rings.
        seed: of folds and cloth.
    """

    clothes: str
    outer: Cloth
    inner: Cloth
    ease: float
    folds: float
    build: float
    chest: float
    collar: float
    glasses: Glasses | None
    hat: Hat | None
    earrings: str
    metal: Colour
    seed: int

    @property
    def covers_scalp(self) -> bool:
        """Whether a hat lies on the hair, so that hair must lie flat and stay short on top."""
        return self.hat is not None


@dataclass(frozen=True)
class Piece:
    """A mesh to be rendered with one material.

    Args:
        name: of the object; unique in a look.
        vertices: `(V, 3)` head frame.
        faces: `(F, 4)` vertex indices.
        uv: `(V, 2)` centimetres across and along the cloth; zeros where no pattern needs them.
        material: "outer", "inner", "hat", "frame", "lens", "metal" or "button".
        subdivisions: levels of smoothing that the renderer should add.
    """

    name: str
    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    material: str
    subdivisions: int = 1


def grid_faces(rows: int, columns: int, closed: bool = False) -> np.ndarray:
    """Faces `(F, 4)` of a grid of vertices in row order; `closed` joins the last column to the first."""
    index = np.arange(rows * columns).reshape(rows, columns)
    if closed:
        index = np.concatenate([index, index[:, :1]], 1)
    ring = [index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]]
    return np.stack([corner.ravel() for corner in ring], -1)


def tube(
    path: np.ndarray, across: np.ndarray, radii: np.ndarray, closed: bool, sides: int = 10
) -> tuple[np.ndarray, np.ndarray]:
    """A rounded bar along a path.

    Args:
        path: `(n, 3)`.
        across: `(n, 3)` one cross direction of the bar, made perpendicular to the path here.
        radii: `(2,)` or `(n, 2)` half the bar's size along `across` and perpendicular to it.
        closed: whether the path is a loop.

    Returns:
        Vertices `(n * sides, 3)` and faces `(F, 4)`; open ends are drawn together.
    """
    ahead = np.roll(path, -1, 0) - np.roll(path, 1, 0) if closed else np.gradient(path, axis=0)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    first = across - (across * ahead).sum(1, keepdims=True) * ahead
    first /= np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-9)
    second = np.cross(ahead, first)
    turn = np.arange(sides) / sides * 2 * np.pi
    # A superellipse: flat sides with rounded edges.
    c, s = (np.sign(f) * np.abs(f) ** 0.6 for f in (np.cos(turn), np.sin(turn)))
    size = np.broadcast_to(radii, (len(path), 2))
    if not closed:
        path = np.concatenate([path[:1], path, path[-1:]])
        first, second = (np.concatenate([a[:1], a, a[-1:]]) for a in (first, second))
        size = np.concatenate([size[:1] * 0.05, size, size[-1:] * 0.05])
    ring = (
        path[:, None]
        + first[:, None] * (c[None, :, None] * size[:, None, :1])
        + second[:, None] * (s[None, :, None] * size[:, None, 1:])
    )
    faces = grid_faces(len(path), sides, closed=True)
    if closed:
        last = grid_faces(2, sides, closed=True)
        faces = np.concatenate([faces, np.where(last < sides, last + (len(path) - 1) * sides, last - sides)])
    return ring.reshape(-1, 3), faces


def _tone(rng: np.random.Generator) -> Colour:
    """A cloth's colour: mostly black, white, grey, navy and muted hues."""
    basics = [
        (0.012, 0.012, 0.014), (0.7, 0.69, 0.66), (0.2, 0.2, 0.205), (0.014, 0.022, 0.06), (0.05, 0.06, 0.075),
        (0.42, 0.34, 0.24), (0.05, 0.07, 0.035), (0.14, 0.015, 0.025), (0.12, 0.2, 0.34), (0.3, 0.16, 0.08),
    ]  # fmt: skip
    if rng.random() < 0.65:
        base = np.array(basics[rng.integers(len(basics))])
    else:
        hue, value, fade = rng.random(), rng.uniform(0.03, 0.55), rng.uniform(0.15, 0.75)
        pure = np.clip(np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
        base = value * (fade + (1 - fade) * pure)
    r, g, b = (float(v) for v in np.clip(base * rng.uniform(0.8, 1.2, 3), 0.006, 0.8))
    return r, g, b


def _cloth(rng: np.random.Generator, clothes: str) -> Cloth:
    shares: dict[str, dict[str, float]] = {
        "crew": {"plain": 6, "heather": 3, "stripes": 2, "knit": 1.5, "dots": 0.4},
        "vneck": {"plain": 5, "heather": 3, "knit": 3},
        "shirt": {"plain": 5, "pinstripes": 2, "plaid": 2.5, "denim": 1.5, "dots": 0.5},
        "turtleneck": {"plain": 3, "knit": 5, "heather": 1},
        "hoodie": {"plain": 5, "heather": 4},
        "jacket": {"plain": 5, "heather": 3, "pinstripes": 1, "plaid": 1, "denim": 1},
        "hat": {"plain": 5, "heather": 2, "denim": 1},
        "beanie": {"knit": 1},
    }
    usual = shares[clothes]
    share = np.array(list(usual.values()), float)
    pattern = str(rng.choice(list(usual), p=share / share.sum()))
    colour: Colour = (0.035, 0.06, 0.13) if pattern == "denim" else _tone(rng)
    scale = {"stripes": (1.5, 6), "pinstripes": (0.6, 1.8), "plaid": (2, 7), "knit": (0.35, 0.8), "dots": (1, 2.5)}
    low, high = scale.get(pattern, (1, 2))
    return Cloth(
        colour, _tone(rng), pattern, float(rng.uniform(low, high)), float(rng.uniform(0.6, 0.95)),
        float(rng.uniform(0.5, 1)),
    )  # fmt: skip


def draw_glasses(rng: np.random.Generator, shape: str) -> Glasses:
    """Draw a pair of glasses of a shape out of GLASSES."""
    metal = shape in ("aviator", "rimless") or (shape == "round" and rng.random() < 0.5)
    metals = [(0.75, 0.6, 0.35), (0.7, 0.7, 0.72), (0.12, 0.12, 0.13), (0.7, 0.45, 0.38)]
    plastics = [(0.01, 0.01, 0.011), (0.06, 0.028, 0.012), (0.02, 0.03, 0.07), (0.16, 0.02, 0.03), (0.4, 0.33, 0.27)]
    frame = metals[rng.integers(4)] if metal else plastics[rng.choice(5, p=[0.45, 0.25, 0.1, 0.1, 0.1])]
    tint: Colour = (0.97, 0.975, 0.97)
    if rng.random() < (0.5 if shape == "aviator" else 0.15):
        dark = [(0.05, 0.045, 0.04), (0.1, 0.12, 0.09), (0.35, 0.25, 0.15), (0.3, 0.33, 0.4), (0.5, 0.3, 0.3)]
        tint = dark[rng.integers(len(dark))]
    return Glasses(
        shape=shape,
        width=float(rng.uniform(0.95, 1.05)),
        height=float(rng.uniform(0.88, 1.12)),
        rim=float(rng.uniform(0.11, 0.17) if metal else rng.uniform(0.24, 0.36) + 0.2 * (shape == "thick")),
        frame=frame,
        metal=metal,
        mottled=not metal and bool(rng.random() < 0.35),
        tint=tint,
        lower=float(rng.beta(1, 4) * 0.8),
    )


def draw_hat(rng: np.random.Generator, kind: str) -> Hat:
    """Draw a hat of a kind out of HATS."""
    return Hat(
        kind=kind,
        cloth=_cloth(rng, "beanie" if kind == "beanie" else "hat"),
        brow=float(rng.uniform(0, 1)),
        tilt=float(rng.normal(0, 3)),
        size=float(rng.uniform(0.8, 1.2)),
    )


def draw_worn(rng: np.random.Generator) -> WornLook:
    """Draw clothes, and sometimes glasses (15 %), a hat (8 %) or ear-rings (20 %)."""
    clothes = str(rng.choice(CLOTHES, p=[0.3, 0.14, 0.2, 0.11, 0.11, 0.14]))
    outer = _cloth(rng, clothes)
    inner = _cloth(rng, "shirt" if clothes in ("shirt", "jacket") else "crew")
    ease = {"jacket": (1.2, 2.0), "hoodie": (1.4, 2.6), "turtleneck": (0.5, 1.4)}.get(clothes, (0.5, 1.6))
    glasses = draw_glasses(rng, str(rng.choice(GLASSES))) if rng.random() < 0.15 else None
    hat = draw_hat(rng, str(rng.choice(HATS, p=[0.3, 0.3, 0.2, 0.2]))) if rng.random() < 0.08 else None
    if hat is not None and hat.kind == "scarf":
        clothes = "crew"  # a scarf leaves no room for a collar
    earrings = str(rng.choice(["stud", "hoop"])) if rng.random() < 0.2 else ""
    return WornLook(
        clothes=clothes,
        outer=outer,
        inner=inner,
        ease=float(rng.uniform(*ease)),
        folds=float(rng.uniform(0.5, 1.4)),
        build=float(rng.normal(1, 0.05)),
        chest=float(rng.beta(1.2, 1.8)),
        collar=float(rng.uniform(0.85, 1.2)),
        glasses=glasses,
        hat=hat,
        earrings=earrings,
        metal=((0.85, 0.64, 0.3), (0.8, 0.8, 0.82))[rng.integers(2)],
        seed=int(rng.integers(2**31)),
    )
