"""How a skin looks, drawn at random."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

TONES = np.array(
    [
        (0.925, 0.790, 0.715),
        (0.890, 0.725, 0.630),
        (0.820, 0.635, 0.520),
        (0.690, 0.490, 0.370),
        (0.510, 0.335, 0.240),
        (0.330, 0.205, 0.150),
    ]
)
"""sRGB skin colours of the Fitzpatrick types I to VI."""

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class SkinLook:
    """How a skin looks. Colours are sRGB, 0 to 1; amounts 0 to 1 unless said otherwise.

    Args:
        tone: plain skin.
        age: years, 18 to 80.
        freckles, moles: how many.
        blush: redness of cheeks, nose, ears and chin.
        lip_colour: the lips' colour where `lipstick` is 1.
        lipstick: cover of the lip colour over the natural one.
        lip_gloss: shine of the lips.
        roughness: of the skin's gloss, 0.3 (oily) to 0.6 (matt).
        oil: strength of the second, sharper gloss.
        pores: depth of the pores.
        wrinkles: depth of the wrinkles.
        shadow_colour, shadow: eye shadow and its cover.
        liner: cover of the eye liner.
        stubble: shaven beard's shadow.
        seed: of everything small.
    """

    tone: Colour
    age: float
    freckles: float
    moles: float
    blush: float
    lip_colour: Colour
    lipstick: float
    lip_gloss: float
    roughness: float
    oil: float
    pores: float
    wrinkles: float
    shadow_colour: Colour
    shadow: float
    liner: float
    stubble: float
    seed: int


def to_linear(colour: np.ndarray) -> np.ndarray:
    """Linear light of sRGB values, both 0 to 1."""
    return np.where(colour <= 0.04045, colour / 12.92, ((np.maximum(colour, 0) + 0.055) / 1.055) ** 2.4)


def to_srgb(light: np.ndarray) -> np.ndarray:
    """sRGB values of linear light, both 0 to 1."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)


def _hue(hue: float, saturation: float, value: float) -> Colour:
    hsv = np.array([[[hue % 1 * 360, saturation, value]]], np.float32)
    r, g, b = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return r, g, b


def draw_skin(rng: np.random.Generator, age: float | None = None) -> SkinLook:
    """The skin of a random person of any tone, with or without make-up; of `age` years when given."""
    type_ = rng.uniform(0, 5)
    low = int(type_)
    tone = TONES[low] + (TONES[low + 1] - TONES[low]) * (type_ - low) + rng.normal(0, 0.012, 3)
    tone = np.clip(tone * rng.uniform(0.96, 1.04), 0.1, 0.95)
    years = float(np.clip(rng.triangular(18, 30, 80) if age is None else age, 18, 80))
    made_up = bool(rng.random() < 0.35)
    lipstick = float(rng.uniform(0.4, 1)) if made_up and rng.random() < 0.75 else 0.0
    # most lipsticks are reds, pinks and browns; a few are any colour
    hue = float(rng.uniform()) if rng.random() < 0.12 else float(rng.normal(0.985, 0.035))
    shadow_hue = float(rng.uniform()) if rng.random() < 0.4 else float(rng.normal(0.05, 0.03))
    light = float(tone.mean())
    r, g, b = tone.tolist()
    return SkinLook(
        tone=(r, g, b),
        age=years,
        freckles=float(rng.uniform(0.3, 1)) if rng.random() < (0.35 if light > 0.6 else 0.06) else 0.0,
        moles=float(rng.beta(1.2, 3)),
        blush=float(rng.beta(2, 3)) * (1.0 if light > 0.6 else 0.6),
        lip_colour=_hue(hue, float(rng.uniform(0.45, 0.9)), float(rng.uniform(0.3, 0.85))),
        lipstick=lipstick,
        lip_gloss=float(rng.uniform(0.1, 1)),
        roughness=float(rng.uniform(0.38, 0.56)),
        oil=float(rng.beta(2, 3)),
        pores=float(np.clip(0.25 + (years - 18) / 90 + rng.normal(0, 0.2), 0.1, 1)),
        wrinkles=float(np.clip((years - 24) / 50 + rng.normal(0, 0.1), 0.02, 1)),
        shadow_colour=_hue(shadow_hue, float(rng.uniform(0.2, 0.6)), float(rng.uniform(0.2, 0.7))),
        shadow=float(rng.uniform(0.2, 0.7)) if made_up and rng.random() < 0.6 else 0.0,
        liner=float(rng.uniform(0.4, 1)) if made_up and rng.random() < 0.6 else 0.0,
        stubble=float(rng.beta(1.5, 2)) if not made_up and rng.random() < 0.4 else 0.0,
        seed=int(rng.integers(2**31)),
    )
