"""The maps of a skin, painted in the face's texture tile.

Blotches are left to the shader, which sees the head as a whole; here is what has its place on a face.
"""

from __future__ import annotations

import cv2
import numpy as np

from hrlm.synthetic.head import HeadModel
from hrlm.synthetic.skin_look import Colour, SkinLook, draw_skin, to_linear, to_srgb
from hrlm.synthetic.skin_marks import lay_marks, wrinkles
from hrlm.synthetic.skin_regions import COARSE, FaceRegions, regions
from hrlm.synthetic.truth import lip_border
from hrlm.synthetic.uvspace import noise, polygon_mask, pore_tile, texel_places, through

__all__ = ["HEIGHT_RANGE", "PORE_TILE", "SkinLook", "draw_skin", "paint_skin"]

HEIGHT_RANGE = 0.4
"""Centimetres that the height map's 0 to 65535 span; the middle is the surface of the mesh."""
PORE_TILE = 4.0
"""Centimetres along a side of the tile of pores."""
LIP_WINDOW = ((30, 42), (24, 40))
"""Rows and columns of the maps that hold the lips, in 64ths."""


def paint_skin(head: HeadModel, look: SkinLook, hair_colour: Colour, size: int = 4096) -> dict[str, np.ndarray]:
    """Maps of the face's texture tile, first row at v = 1.

    Args:
        hair_colour: sRGB of the stubble.
        size: side of the maps; the same look at any size.

    Returns:
        `albedo` `(size, size, 3)` uint8 sRGB; `height` `(size, size)` uint16 (see `HEIGHT_RANGE`); `surface`
        `(size, size, 3)` uint8: roughness, depth of pores, second gloss, each 0 to 255 for 0 to 1; `pores`
        `(1024, 1024)` uint16: a tile of pores `PORE_TILE` wide, for everywhere, -1.5 to 0.6 times their depth.
    """
    rng = np.random.default_rng(look.seed)
    places = texel_places(head, "M_Face", COARSE)
    shape = FaceRegions(head, places)
    tint, roughness, pores, oil = regions(look, shape)
    albedo = [
        cv2.resize(np.ascontiguousarray(tint[..., k]), (size, size), interpolation=cv2.INTER_LINEAR) for k in range(3)
    ]
    height, fold = wrinkles(look, rng, size)
    lay_marks(albedo, height, look, shape, hair_colour, rng)
    _lids(albedo, head, look, size)
    lips = _lips(albedo, height, head, look, rng)
    for k, deep in enumerate((0.10, 0.16, 0.17)):
        albedo[k] = albedo[k] * (1 - deep * fold)
    srgb = np.stack([(to_srgb(np.clip(c, 0, 1)) * 255 + 0.5).astype(np.uint8) for c in albedo], -1)

    def wide(values: np.ndarray) -> np.ndarray:
        return cv2.resize(values.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR)

    lip_roughness = 0.5 - 0.26 * look.lip_gloss
    surface = np.stack(
        [
            wide(roughness) * (1 - lips) + lip_roughness * lips,
            wide(pores) * (1 - lips),
            wide(oil) * (1 - lips) + (0.2 + 0.6 * look.lip_gloss) * lips,
        ],
        -1,
    )
    return {
        "albedo": srgb,
        "height": np.clip((height / HEIGHT_RANGE + 0.5) * 65535, 0, 65535).astype(np.uint16),
        "pores": ((pore_tile(rng, COARSE, 44) + 1.5) / 2.1 * 65535).astype(np.uint16),
        "surface": (np.clip(surface, 0, 1) * 255 + 0.5).astype(np.uint8),
    }


def _lids(albedo: list[np.ndarray], head: HeadModel, look: SkinLook, size: int) -> None:
    """The red rim of the lids, eye liner and eye shadow."""
    uv, mark = head.vertex_uv, head.landmarks
    for right in (True, False):
        upper = uv[head.chain((mark[36:40] if right else mark[42:46]).tolist())]
        lower = uv[head.chain(mark[[39, 40, 41, 36] if right else [45, 46, 47, 42]].tolist())]
        opening = np.concatenate([through(upper), through(lower)[1:-1]])
        rim = polygon_mask(opening, size, 0.0012)
        for k, depth in enumerate((0.08, 0.34, 0.34)):
            albedo[k] *= 1 - depth * rim
        lift = np.sin(np.linspace(0.1, np.pi - 0.1, len(upper)))[:, None]
        if look.shadow > 0:
            above = through(upper + lift * [0, 0.050])
            shade = polygon_mask(np.concatenate([through(upper), above[::-1]]), size, 0.010)
            for k, light in enumerate(to_linear(np.array(look.shadow_colour))):
                albedo[k] += (light - albedo[k]) * shade * look.shadow * 0.8
        if look.liner > 0:
            # thickest outside, and none over the inner corner
            outer = upper if right else upper[::-1]
            outer = outer[: round(0.85 * len(outer))]
            above = through(outer + np.linspace(1, 0.2, len(outer))[:, None] * [0, 0.0065])
            line = polygon_mask(np.concatenate([through(outer), above[::-1]]), size, 0.0008)
            for k in range(3):
                albedo[k] *= 1 - 0.93 * look.liner * line


def _lips(
    albedo: list[np.ndarray], height: np.ndarray, head: HeadModel, look: SkinLook, rng: np.random.Generator
) -> np.ndarray:
    """Paint the lips and return their cover `(size, size)`: one half exactly on the vermilion border."""
    size = len(height)
    soft = 0.0022 - 0.0014 * look.lipstick
    cover = polygon_mask(lip_border(head, 96), size, soft)
    inner = polygon_mask(through(head.vertex_uv[head.landmarks[60:68]], 12, closed=True), size, 0.009)
    # everything else in a window that holds the lips
    rows, columns = (slice(size * a // 64, size * b // 64) for a, b in LIP_WINDOW)
    lips, inner = cover[rows, columns], inner[rows, columns]
    shape = lips.shape
    tone = to_linear(np.array(look.tone))
    light = float(np.mean(look.tone))
    natural = tone * (np.array([0.70, 0.38, 0.41]) + (1 - light) * np.array([0.16, 0.28, 0.26]))
    colour = natural + (to_linear(np.array(look.lip_colour)) - natural) * look.lipstick * 0.9
    wet = natural * np.array([0.85, 0.6, 0.62])
    # creases fan out from the middle of the mouth and end before the border
    body = np.clip(2.2 * cv2.GaussianBlur(lips, (0, 0), size * 0.006) - 1.2, 0, 1)
    v, u = np.mgrid[rows, columns].astype(np.float32)
    u, v = (u + 0.5) / size - 0.5, 1 - (v + 0.5) / size
    fan = u / (np.abs(v - 0.4325) + 0.10) * 115 + 1.6 * noise(rng, shape, 10, 8) + noise(rng, shape, 40, 60) + 400
    random = rng.standard_normal((1, 900)).astype(np.float32)
    crease = cv2.remap(random, fan, np.zeros_like(fan), cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP)
    crease *= np.clip(0.65 + 0.35 * noise(rng, shape, 15, 11), 0.1, 1.4) * body
    mottle = 1 + 0.05 * noise(rng, shape, 22, 17) + 0.03 * crease
    rim = np.clip(cv2.GaussianBlur(lips, (0, 0), size * 0.004) - lips, 0, 1)
    for k in range(3):
        blend = colour[k] + (wet[k] - colour[k]) * inner
        area = albedo[k][rows, columns]
        area *= 1 + 0.16 * rim * (1 - look.lipstick)
        area += (np.clip(blend * mottle, 0, 1) - area) * lips
    height[rows, columns] += 0.006 * crease * (1 - 0.4 * look.lip_gloss) * (0.6 + 0.8 * look.wrinkles) + 0.004 * rim
    return cover
