"""Every region of a face at the photo's own pixels, side by side on one sheet."""

from __future__ import annotations

import numpy as np

from hrlm.render.overlay import Look, draw_faces
from hrlm.render.strokes import text_width, write_text
from hrlm.results import Face
from hrlm.schemes import Scheme

GROUND = 40
LABEL_COLOUR = (235, 235, 235)
GAP = 12
LABEL = 22
# around a region's landmarks, as a share of the larger side of their bounding box
MARGIN = 0.18
# close up, marks must not hide the edge that they mark
WEIGHT = 0.5


def draw_closeups(pixels: np.ndarray, face: Face, scheme: Scheme, look: Look) -> np.ndarray:
    """A sheet of a face's regions, as they are and with its landmarks, unscaled and unturned.

    Args:
        pixels: `(H, W, 3)` uint8 of the whole photo.
        look: how the landmarks are drawn; at half its weight.

    Returns:
        `(h, w, 3)` uint8; regions that lie wholly outside the photo are left out.
    """
    fine = Look(look.styles, look.numbers, look.weight * WEIGHT)
    tiles = []
    for region in scheme.regions:
        low, high = _extent(face.landmarks[list(region.landmarks)], pixels.shape)
        if (high <= low).any():
            continue
        plain = pixels[low[1] : high[1], low[0] : high[0]]
        x, y, width, height = face.box
        moved = Face(face.landmarks - low, face.deviation, (x, y, width, height), face.score, (), face.covariance)
        drawn = draw_faces(plain, [moved], scheme, fine)
        label = f"{region.name.replace('_', ' ')}: {plain.shape[1]} x {plain.shape[0]} px"
        # as wide as what is written above it
        more = max(0, text_width(label, LABEL - 4) - 2 * plain.shape[1] - 2)
        gap, rest = (np.full((len(plain), wide, 3), GROUND, np.uint8) for wide in (2, more))
        tiles.append((label, np.concatenate([plain, gap, drawn, rest], 1)))
    return _sheet(tiles)


def _extent(points: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    low, high = points.min(0), points.max(0)
    margin = MARGIN * (high - low).max() + 2
    limits = shape[1::-1]
    return np.floor(low - margin).clip(0, limits).astype(int), np.ceil(high + margin + 1).clip(0, limits).astype(int)


def _sheet(tiles: list[tuple[str, np.ndarray]]) -> np.ndarray:
    """Tiles, by height, each on the first row with room for it, on a sheet that is about as wide as high."""
    tiles = sorted(tiles, key=lambda tile: -len(tile[1]))
    area = sum((t.shape[0] + LABEL + GAP) * (t.shape[1] + GAP) for _, t in tiles)
    room = max([round(1.1 * area**0.5), *(t.shape[1] + GAP for _, t in tiles)])
    rows: list[list[tuple[str, np.ndarray]]] = []
    for label, tile in tiles:
        wide = tile.shape[1] + GAP
        row = next((r for r in rows if sum(t.shape[1] + GAP for _, t in r) + wide <= room), None)
        if row is None:
            rows.append(row := [])
        row.append((label, tile))
    height = sum(len(r[0][1]) + LABEL + GAP for r in rows) + GAP
    width = max((sum(t.shape[1] + GAP for _, t in r) for r in rows), default=0) + GAP
    sheet = np.full((height, width, 3), GROUND, np.uint8)
    y = GAP
    # the smallest are those that people look at first
    for row in rows[::-1]:
        x = GAP
        for label, tile in row:
            sheet[y + LABEL : y + LABEL + len(tile), x : x + tile.shape[1]] = tile
            write_text(sheet, [(x, y, label)], LABEL - 4, LABEL_COLOUR, "lt")
            x += tile.shape[1] + GAP
        y += len(row[0][1]) + LABEL + GAP
    return sheet
