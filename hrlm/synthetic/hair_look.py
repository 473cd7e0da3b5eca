"""What a person's hair looks like, drawn by chance: pure data that the strands are grown and coloured from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LOOSE = ("medium", "long straight", "long wavy")
STYLES = (
    *("bald", "shaved", "buzz cut", "short", "fringe", "side parting"),
    *(*LOOSE, "curly", "bun", "receding"),
)
BEARDS = ("none", "stubble", "moustache", "goatee", "short beard", "full beard")
# chances of STYLES for somebody who may grow a beard, and for somebody who does not
CHANCES = (
    (0.05, 0.07, 0.13, 0.26, 0.10, 0.14, 0.05, 0.02, 0.02, 0.07, 0.02, 0.07),
    (0.01, 0.01, 0.03, 0.07, 0.10, 0.06, 0.19, 0.18, 0.14, 0.09, 0.12, 0.00),
)


@dataclass(frozen=True)
class HairLook:
    """Every choice about a head's hair.

    Args:
        style: one of STYLES.
        melanin: 0 white to 1 black.
        redness: 0 to 1, share of red pigment.
        grey: 0 to 1, share of white hairs on the scalp.
        dye: linear RGB of dyed scalp hair, or None.
        length: -1 to 1, shorter to longer than is usual for the style.
        volume: -1 to 1, flat to full.
        density: 0.6 to 1.1, hairs per area; 1 is usual.
        parting: -4 to 4, x of the parting in centimetres.
        sweep: 0 to 1, how far loose hair is swept back from the face; at 0 it covers temples and a part of the cheeks.
        recession: 0 to 1, how far the hair line has gone back.
        brow_thickness: 0.6 to 1.2 cm, the band's height.
        brow_arch: 0 to 1, straight to arched from below.
        brow_density: 0 to 1.
        lash_length: 0.6 to 1.1 cm, the longest upper lashes.
        beard: one of BEARDS.
        seed: for everything random about the single strands.
    """

    style: str
    melanin: float
    redness: float
    grey: float
    dye: tuple[float, float, float] | None
    length: float
    volume: float
    density: float
    parting: float
    sweep: float
    recession: float
    brow_thickness: float
    brow_arch: float
    brow_density: float
    lash_length: float
    beard: str
    seed: int


@dataclass(frozen=True)
class Strands:
    """S strands of K points.

    Args:
        points: `(S, K, 3)` head frame, root first.
        radius: `(S, K)` centimetres.
        kind: "scalp", "brow", "lash" or "beard".
    """

    points: np.ndarray
    radius: np.ndarray
    kind: str


def draw_hair(rng: np.random.Generator, age: float, tone: float) -> HairLook:
    """Hair for a person of an age in years and a skin tone from 0 (light) to 1 (dark)."""
    bearded = rng.random() < 0.5
    chances = np.array(CHANCES[0 if bearded else 1])
    by_style = dict(zip(STYLES, chances, strict=True))
    if tone > 0.65:
        by_style["curly"] *= 5
        by_style["buzz cut"] *= 2
        by_style["bun"] *= 2
    elif tone > 0.45:
        by_style["curly"] *= 2
    ageing = float(np.clip((age - 30) / 40, 0, 1))
    by_style["receding"] *= 3 * ageing
    by_style["bald"] *= 0.3 + 2 * ageing
    chances = np.array(list(by_style.values()))
    style = STYLES[rng.choice(len(STYLES), p=chances / chances.sum())]
    melanin, redness = _colour(rng, tone)
    grey = float(np.clip((age - 35) / 40 + rng.normal(0, 0.2), 0, 1)) if age > 28 else 0.0
    dyed = rng.random() < (0.05 if bearded else 0.12)
    beard = "none"
    if bearded and age >= 18:
        beard = BEARDS[rng.choice(len(BEARDS), p=(0.46, 0.22, 0.06, 0.07, 0.11, 0.08))]
    side = rng.choice((-1, 1))
    middle = style in LOOSE and rng.random() < 0.5
    return HairLook(
        style=style,
        melanin=melanin,
        redness=redness,
        grey=0.0 if dyed else grey,
        dye=_dye(rng) if dyed else None,
        length=float(rng.uniform(-1, 1)),
        volume=float(rng.uniform(-1, 1)),
        density=float(rng.uniform(0.8, 1.1) - 0.2 * ageing),
        parting=float(rng.normal(0, 0.3) if middle else side * rng.uniform(2.2, 3.8)),
        sweep=float(rng.beta(1.6, 1.2)),
        recession=float(np.clip(rng.normal(0.08 + (0.35 * ageing if bearded else 0), 0.12), 0, 1)),
        brow_thickness=float(rng.uniform(0.75, 1.2) if bearded else rng.uniform(0.6, 0.95)),
        brow_arch=float(rng.beta(1.5, 3) if bearded else rng.beta(2.5, 2)),
        brow_density=float(np.clip(rng.normal(0.55, 0.25) - 0.2 * ageing * (not bearded), 0, 1)),
        lash_length=float(rng.uniform(0.62, 0.85) if bearded else rng.uniform(0.75, 1.08)),
        beard=beard,
        seed=int(rng.integers(2**31)),
    )


def _colour(rng: np.random.Generator, tone: float) -> tuple[float, float]:
    """Melanin and redness: dark skin goes with dark hair; light skin with any."""
    if rng.random() < np.clip((tone - 0.25) * 2.2, 0.12, 1):
        return float(rng.uniform(0.82, 0.98)), float(rng.uniform(0.05, 0.35))
    kind = rng.choice(4, p=(0.37, 0.33, 0.22, 0.08))
    low, high = ((0.66, 0.84), (0.45, 0.66), (0.14, 0.34), (0.3, 0.5))[kind]
    red = ((0.1, 0.45), (0.15, 0.5), (0.05, 0.35), (0.85, 1.0))[kind]
    return float(rng.uniform(low, high)), float(rng.uniform(*red))


def _dye(rng: np.random.Generator) -> tuple[float, float, float]:
    """Mostly bleached or copper, sometimes a colour that no hair has."""
    natural = ((0.75, 0.58, 0.36), (0.80, 0.74, 0.64), (0.32, 0.07, 0.02), (0.20, 0.03, 0.03))
    bold = ((0.60, 0.10, 0.28), (0.08, 0.20, 0.50), (0.20, 0.07, 0.40), (0.05, 0.30, 0.26))
    group = natural if rng.random() < 0.7 else bold
    r, g, b = group[rng.integers(len(group))]
    return r, g, b
