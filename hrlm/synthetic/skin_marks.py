"""A skin's small things: wrinkles, freckles, spots, moles, stubble."""

from __future__ import annotations

import cv2
import numpy as np

from hrlm.synthetic.skin_look import Colour, SkinLook, to_linear
from hrlm.synthetic.skin_regions import COARSE, FaceRegions
from hrlm.synthetic.uvspace import noise, spots, strokes


def wrinkles(look: SkinLook, rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Height in centimetres and the darkness of folds."""
    fine: list[tuple[np.ndarray, float]] = []
    broad: list[tuple[np.ndarray, float]] = []

    def line(
        to: list[tuple[np.ndarray, float]], points: list[tuple[float, float]], strength: float, mirror: bool
    ) -> None:
        for flip in (False, True) if mirror else (False,):
            p = np.array(points) + rng.normal(0, 0.0016, (len(points), 2))
            to.append((np.stack([1 - p[:, 0], p[:, 1]], 1) if flip else p, strength * rng.uniform(0.6, 1.2)))

    for v in np.arange(0.845, 0.95, 0.021):
        start, sag = rng.uniform(0.30, 0.42), rng.uniform(-0.004, 0.006)
        across = np.linspace(start, 1 - rng.uniform(0.30, 0.42), 7)
        line(fine, [(u, v + sag * np.cos((u - 0.5) * 14) + rng.normal(0, 0.002)) for u in across], 1.0, False)
    line(fine, [(0.484, 0.755), (0.482, 0.775), (0.487, 0.798)], 0.8, True)
    for k in range(6):
        turn = np.radians(-38 + 15 * k + rng.normal(0, 3))
        ray = np.linspace(0.012, rng.uniform(0.045, 0.075), 4)
        bend = 0.15 * (ray - 0.012) * np.sign(turn)
        line(
            fine,
            [(0.31 - r * np.cos(turn), 0.718 + r * np.sin(turn) - b) for r, b in zip(ray, bend, strict=True)],
            0.9,
            True,
        )
    for drop in (0.012, 0.022, 0.034):
        line(fine, [(0.400, 0.711 - drop), (0.365, 0.704 - drop), (0.328, 0.708 - drop)], 0.6, True)
    line(broad, [(0.405, 0.700), (0.370, 0.677), (0.335, 0.672)], 0.5, True)
    line(broad, [(0.428, 0.560), (0.400, 0.525), (0.377, 0.480), (0.366, 0.440)], 1.0, True)
    line(fine, [(0.424, 0.555), (0.398, 0.520), (0.375, 0.475)], 0.9, True)
    line(broad, [(0.380, 0.428), (0.368, 0.400), (0.368, 0.370)], 0.6, True)
    for u in np.arange(0.41, 0.5, 0.016):
        line(fine, [(u, 0.515 + 0.012 * (u - 0.41) / 0.09), (u * 0.97 + 0.015, 0.531)], 0.45 * look.wrinkles, True)
    for v in (0.06, 0.12, 0.17):
        line(fine, [(u, v + 0.012 * np.cos((u - 0.5) * 8)) for u in np.linspace(0.2, 0.8, 7)], 0.8, False)
    thin = strokes(fine, size, 0.0008)

    def slow(lines: list[tuple[np.ndarray, float]], width: float) -> np.ndarray:
        return cv2.resize(strokes(lines, COARSE, width), (size, size), interpolation=cv2.INTER_LINEAR)

    soft, wide = slow(fine, 0.0030), slow(broad, 0.007)
    height = -look.wrinkles * (0.010 * thin + 0.040 * soft + 0.10 * wide)
    return height, look.wrinkles * np.clip(0.3 * thin + 0.4 * soft + 0.5 * wide, 0, 1)


def lay_marks(
    albedo: list[np.ndarray],
    height: np.ndarray,
    look: SkinLook,
    shape: FaceRegions,
    hair_colour: Colour,
    rng: np.random.Generator,
) -> None:
    """Freckles, age spots, moles, stubble."""
    size = len(height)
    # centimetres that a texel covers, across and down
    step = 8
    p = np.where(shape.known[..., None], shape.places, np.nan)
    across = np.linalg.norm(p[:, step:] - p[:, :-step], axis=-1)[:-step] / step * COARSE / size
    down = np.linalg.norm(p[step:] - p[:-step], axis=-1)[:, :-step] / step * COARSE / size
    usable = np.isfinite(across * down) & (shape.inner[:-step, :-step] > 0)
    scale = np.stack([across, down], -1)

    def scatter(density: np.ndarray, most: float) -> tuple[np.ndarray, np.ndarray]:
        """Texels and the size of one there, with `density` marks per square centimetre, thinned to 0 to `most`."""
        wanted = np.where(usable, np.clip(density[:-step, :-step], 0, most), 0) * np.nan_to_num(across * down)
        share = np.cumsum((wanted * (size / COARSE) ** 2).ravel())
        count = rng.poisson(share[-1])
        cell = np.minimum(np.searchsorted(share, rng.uniform(0, share[-1], count)), share.size - 1)
        row, column = np.divmod(cell, wanted.shape[1])
        place = (np.stack([column, row], 1) + rng.uniform(0, 1, (count, 2))) * size / COARSE - 0.5
        return place, scale[row, column]

    def lay(density: np.ndarray, radius: tuple[float, float], strength: tuple[float, float]) -> np.ndarray:
        canvas = np.zeros((size, size), np.float32)
        place, texel = scatter(density, 60)
        radii = rng.uniform(*radius, (len(place), 1)) * rng.uniform(0.8, 1.2, (len(place), 2)) / texel
        spots(canvas, place, np.minimum(radii, size / 60), rng.uniform(*strength, len(place)))
        return canvas

    centre = shape.blob(shape.at(31, 2.4, 1.7, -1.4), (2.4, 1.3, 2.6)) + shape.blob(shape.at(29), (0.8, 1.2, 1.0))
    patchy = np.clip(0.6 + 0.5 * noise(rng, centre.shape, 24, 24), 0, 1.6)
    freckles = look.freckles * patchy * (9 * np.clip(centre, 0, 1) + 0.5)
    aged = max(look.age - 45, 0) / 35 * 0.05
    for canvas in (
        lay(freckles, (0.025, 0.06), (0.08, 0.45)),
        lay(np.full_like(centre, aged), (0.06, 0.22), (0.08, 0.3)),
    ):
        for k, depth in enumerate((0.45, 0.8, 0.9) if canvas.any() else ()):
            albedo[k] *= 1 - depth * canvas
    moles = lay(np.full_like(centre, 0.03 * look.moles), (0.035, 0.09), (0.5, 0.9))
    for k, depth in enumerate((0.7, 0.85, 0.9)):
        albedo[k] *= 1 - depth * np.clip(moles * 1.4, 0, 1)
    height += 0.03 * moles
    if look.stubble > 0:
        beard = shape.beard()
        hairs = lay(beard * 60 * look.stubble, (0.005, 0.009), (0.3, 0.8))
        veil = cv2.resize(beard.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR) * 0.5 * look.stubble
        for k, hair in enumerate(to_linear(np.array(hair_colour))):
            cool = (0.75, 0.72, 0.62)[k] * albedo[k] * 0.55
            albedo[k] += (0.5 * hair + 0.5 * cool - albedo[k]) * veil
            albedo[k] += (hair - albedo[k]) * hairs
        height += 0.006 * hairs
