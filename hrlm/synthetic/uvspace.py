"""Painting in texture space: which point of the head a texel shows, smooth lines, noise and small marks.

Texel (row, column) of a map of side `size` is centred at u = (column + 0.5) / size, v = 1 - (row + 0.5) / size.
"""

from __future__ import annotations

import cv2
import numpy as np

from hrlm.synthetic.curves import spline
from hrlm.synthetic.head import HeadModel


def to_texels(uv: np.ndarray, size: int) -> np.ndarray:
    """Column and row `(..., 2)`, floats, of texture coordinates `(..., 2)`."""
    return np.stack([uv[..., 0] * size - 0.5, (1 - uv[..., 1]) * size - 0.5], -1)


def texel_places(head: HeadModel, material: str, size: int) -> np.ndarray:
    """Neutral head points `(size, size, 3)` float32 that the texels of a material's tile show; NaN between islands."""
    faces, corners = head.faces[head.material == material], head.face_uv[head.material == material]
    quads = faces[:, 3] >= 0
    triangles = np.concatenate([faces[:, :3], faces[quads][:, [0, 2, 3]]])
    uv = to_texels(head.uv[np.concatenate([corners[:, :3], corners[quads][:, [0, 2, 3]]])], size)
    places = np.full((size, size, 3), np.nan, np.float32)
    low = np.clip(np.floor(uv.min(1)).astype(int), 0, size - 1)
    high = np.clip(np.ceil(uv.max(1)).astype(int), 0, size - 1)
    edges = np.stack([uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]], -1)
    determinant = np.linalg.det(edges)
    for k in np.flatnonzero(np.abs(determinant) > 1e-9):
        (x0, y0), (x1, y1) = low[k], high[k]
        grid = np.stack(np.meshgrid(np.arange(x0, x1 + 1), np.arange(y0, y1 + 1)), -1)
        b, c = np.moveaxis((grid - uv[k, 0]) @ np.linalg.inv(edges[k]).T, -1, 0)
        inside = (b >= -1e-4) & (c >= -1e-4) & (b + c <= 1 + 1e-4)
        p = head.neutral[triangles[k]]
        places[y0 : y1 + 1, x0 : x1 + 1][inside] = (
            p[0] + b[inside, None] * (p[1] - p[0]) + c[inside, None] * (p[2] - p[0])
        )
    return places


def through(points: np.ndarray, steps: int = 8, closed: bool = False) -> np.ndarray:
    """A smooth line through all of `points` `(N, D)`: Catmull-Rom, `steps` pieces between two of them."""
    p = np.asarray(points, np.float64)
    n = len(p)
    padded = np.concatenate([p[-1:], p, p[:2]]) if closed else np.concatenate([p[:1], p, p[-1:]])
    spans = n if closed else n - 1
    return spline(padded, np.linspace(0, spans, spans * steps + (not closed), endpoint=not closed))


def polygon_mask(outline: np.ndarray, size: int, blur: float) -> np.ndarray:
    """Coverage `(size, size)` float32 of a polygon `(N, 2)` in u, v; one half exactly on a straight outline.

    Args:
        blur: standard deviation in shares of the map's side.
    """
    fine = 4
    texels = to_texels(outline, size)
    margin = 4 + 4 * blur * size
    x0, y0 = np.maximum(np.floor(texels.min(0) - margin), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(texels.max(0) + margin), size - 1).astype(int)
    window = np.zeros(((y1 - y0 + 1) * fine, (x1 - x0 + 1) * fine), np.uint8)
    # cv2 puts pixel centres at integers and fills the outline itself too, half a fine pixel beyond it
    points = (texels - [x0, y0] + 0.5) * fine - 0.5
    cv2.fillPoly(window, [np.round(points * 256).astype(np.int32)], 255, cv2.LINE_8, 8)
    small = cv2.resize(window, (x1 - x0 + 1, y1 - y0 + 1), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    mask = np.zeros((size, size), np.float32)
    mask[y0 : y1 + 1, x0 : x1 + 1] = cv2.GaussianBlur(small, (0, 0), max(blur * size, 0.3))
    return mask


def strokes(lines: list[tuple[np.ndarray, float]], size: int, width: float) -> np.ndarray:
    """Soft lines `(size, size)` float32, each `strength` high in its middle and tapering to its ends.

    Args:
        lines: `(N, 2)` points in u, v and the line's strength.
        width: standard deviation in shares of the map's side.
    """
    canvas = np.zeros((size, size), np.float32)
    for points, strength in lines:
        texels = to_texels(through(points, 12), size)
        taper = np.sin(np.linspace(0.05, np.pi - 0.05, len(texels))) ** 0.6 * strength
        for a, b, w in zip(texels[:-1], texels[1:], taper, strict=False):
            start, end = (tuple(np.round(q * 16).astype(int).tolist()) for q in (a, b))
            cv2.line(canvas, start, end, float(w), 1, cv2.LINE_AA, 4)
    sigma = max(width * size, 0.5)
    # a line one texel wide, blurred, is 1 / (sigma sqrt(2 pi)) high
    return cv2.GaussianBlur(canvas, (0, 0), sigma) * np.float32(sigma * 2.5066)


def noise(rng: np.random.Generator, shape: tuple[int, int], across: int, down: int) -> np.ndarray:
    """Smooth noise of `shape`, float32, about -2 to 2, with `across` by `down` random cells."""
    coarse = rng.standard_normal((down, across)).astype(np.float32)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)


def spots(canvas: np.ndarray, texels: np.ndarray, radii: np.ndarray, strengths: np.ndarray) -> None:
    """Round soft marks laid over `canvas` `(S, S)` in place: where two meet the stronger counts.

    Args:
        texels: `(N, 2)` column, row.
        radii: `(N, 2)` of their Gaussians in texels across and down.
    """
    size = len(canvas)
    for (x, y), (rx, ry), strength in zip(texels, radii, strengths, strict=True):
        left, right = max(int(x - 3 * rx), 0), min(int(x + 3 * rx) + 2, size)
        top, bottom = max(int(y - 3 * ry), 0), min(int(y + 3 * ry) + 2, size)
        if left >= right or top >= bottom:
            continue
        gx = np.exp(-0.5 * ((np.arange(left, right) - x) / max(rx, 0.4)) ** 2)
        gy = np.exp(-0.5 * ((np.arange(top, bottom) - y) / max(ry, 0.4)) ** 2)
        area = canvas[top:bottom, left:right]
        np.maximum(area, (strength * gy[:, None] * gx[None]).astype(np.float32), out=area)


def pore_tile(rng: np.random.Generator, size: int, across: int) -> np.ndarray:
    """Skin relief `(size, size)` float32 that tiles: pores as dents down to -1, between them a net of shallow furrows.

    Args:
        across: pores along a side.
    """
    pore, gap = _cells(rng, size, across)
    _, furrow = _cells(rng, size, 2 * across)
    irregular = 1 + 0.35 * _tiled_noise(rng, size, across)
    dents = np.exp(-((pore / 0.21) ** 2)) * np.clip(irregular, 0.15, 1.6)
    lines = np.exp(-((gap / 0.10) ** 2)) * 0.22 + np.exp(-((furrow / 0.14) ** 2)) * 0.20
    relief = 0.16 * _tiled_noise(rng, size, across) + 0.07 * _tiled_noise(rng, size, 4 * across) - lines
    return np.clip(relief - dents, -1.5, 0.6).astype(np.float32)


def _tiled_noise(rng: np.random.Generator, size: int, cells: int) -> np.ndarray:
    coarse = np.pad(rng.standard_normal((cells, cells)).astype(np.float32), 4, mode="wrap")
    fine = cv2.resize(coarse, None, fx=size / cells, fy=size / cells, interpolation=cv2.INTER_CUBIC)
    start = round(4 * size / cells)
    return fine[start : start + size, start : start + size]


def _cells(rng: np.random.Generator, size: int, across: int) -> tuple[np.ndarray, np.ndarray]:
    """Distance to the nearest of scattered points, and how much farther the second is, in cells; both tile."""
    jitter = rng.uniform(0.05, 0.95, (across, across, 2)).astype(np.float32)
    place = (np.arange(size, dtype=np.float32) + 0.5) * across / size
    cell = place.astype(int)
    first = np.full((size, size), 9, np.float32)
    second = first.copy()
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            row, column = cell + dy, cell + dx
            at = jitter[row[:, None] % across, column[None] % across]
            away = np.hypot(column[None] + at[..., 0] - place[None], row[:, None] + at[..., 1] - place[:, None])
            second = np.minimum(second, np.maximum(first, away))
            first = np.minimum(first, away)
    return first, second - first
