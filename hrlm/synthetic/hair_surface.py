"""What hair grows on: points scattered over the head's skin, and how far anything is outside that skin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hrlm.synthetic.head import HeadModel

SKIN = ("M_Face", "M_BackHead")
CENTRE = np.array([0.0, 4.0, 0.0])  # of the skull: rays from here leave the head once
BUST_TOP = -9.5  # below it the body is no longer star-shaped as seen from the skull's centre


def unit(vectors: np.ndarray) -> np.ndarray:
    """The vectors `(..., 3)` at length 1; a zero vector stays zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def smooth(low: float, high: float, x: np.ndarray) -> np.ndarray:
    """0 below `low`, 1 above `high`, a smooth cubic between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


@dataclass(frozen=True)
class Roots:
    """S places on the skin that go where the skin goes.

    Args:
        corners: `(S, 4)` vertices of the face of each.
        weights: `(S, 4)` that add up to 1.
    """

    corners: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.corners)

    def at(self, values: np.ndarray) -> np.ndarray:
        """Values `(V, C)` of the vertices at the roots, `(S, C)`."""
        return np.einsum("sk,skc->sc", self.weights, values[self.corners])

    def only(self, wanted: np.ndarray) -> Roots:
        """Those of a mask or of indices."""
        return Roots(self.corners[wanted], self.weights[wanted])


def scatter(head: HeadModel, rng: np.random.Generator, box: np.ndarray, density: float) -> Roots:
    """Roots spread evenly over the neutral skin within a box `((x, y, z) low, (x, y, z) high)`, `density` per cm²."""
    faces = head.faces[np.isin(head.material, SKIN)]
    rings = np.where(faces >= 0, faces, faces[:, :1])
    corners = head.neutral[rings].astype(np.float64)
    middle = corners[:, :3].mean(1)
    inside = ((middle >= box[0]) & (middle <= box[1])).all(1)
    faces, rings, corners = faces[inside], rings[inside], corners[inside]
    triangle = faces[:, 3] < 0
    diagonal = np.where(triangle[:, None], corners[:, 2] - corners[:, 1], corners[:, 3] - corners[:, 1])
    first = np.where(triangle[:, None], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(np.cross(first, diagonal), axis=1) / 2
    chosen = rng.choice(len(faces), int(area.sum() * density), p=area / area.sum())
    u, v = rng.random((2, len(chosen)))
    fold = triangle[chosen] & (u + v > 1)
    u, v = np.where(fold, 1 - u, u), np.where(fold, 1 - v, v)
    quad = np.stack([(1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v], 1)
    flat = np.stack([1 - u - v, u, v, 0 * u], 1)
    return Roots(rings[chosen], np.where(triangle[chosen, None], flat, quad))


class Shell:
    """The head as a distance from its centre per direction: tells at once how deep inside it a point lies.

    Args:
        head: for its faces.
        vertices: `(V, 3)` of the head as it is now.
        soften: cells of blur and growth; long hair wants a shell without nostrils and eye sockets.
    """

    ROWS, COLUMNS = 160, 320

    def __init__(self, head: HeadModel, vertices: np.ndarray, soften: int = 0) -> None:
        faces = head.faces[np.isin(head.material, SKIN)]
        corners = vertices[np.where(faces >= 0, faces, faces[:, 2:3])]
        u, v = (a.ravel()[:, None, None] for a in np.meshgrid(np.linspace(0, 1, 6), np.linspace(0, 1, 6)))
        a, b, c, d = (corners[:, k] for k in range(4))
        points = ((1 - u) * (1 - v) * a + u * (1 - v) * b + u * v * c + (1 - u) * v * d).reshape(-1, 3)
        self.bust = _ground(points[points[:, 1] < BUST_TOP])
        row, column, far = self._cells(points[points[:, 1] > BUST_TOP])
        radius = np.zeros((self.ROWS, self.COLUMNS))
        at = np.clip(np.rint(row), 0, self.ROWS - 1).astype(int), np.rint(column).astype(int) % self.COLUMNS
        np.maximum.at(radius, at, far)
        radius = _filled(radius)
        for _ in range(soften):
            radius = np.maximum(radius, _blurred(radius))
        self.radius = _blurred(radius) if soften else radius

    def _cells(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        away = points - CENTRE
        far = np.linalg.norm(away, axis=-1)
        row = np.arccos(np.clip(away[..., 1] / np.maximum(far, 1e-9), -1, 1)) / np.pi * (self.ROWS - 1)
        column = np.arctan2(away[..., 0], away[..., 2]) / (2 * np.pi) * self.COLUMNS
        return row, column, far

    def height(self, points: np.ndarray) -> np.ndarray:
        """Centimetres `(...,)` outside the head, measured from its centre; negative inside."""
        row, column, far = self._cells(points)
        r0 = np.clip(row.astype(int), 0, self.ROWS - 2)
        c0 = np.floor(column).astype(int)
        fr, fc = row - r0, column - c0
        c0, c1 = c0 % self.COLUMNS, (c0 + 1) % self.COLUMNS
        top = self.radius[r0, c0] * (1 - fc) + self.radius[r0, c1] * fc
        low = self.radius[r0 + 1, c0] * (1 - fc) + self.radius[r0 + 1, c1] * fc
        return far - (top * (1 - fr) + low * fr)

    def push(self, points: np.ndarray, least: np.ndarray) -> np.ndarray:
        """Points `(S, 3)` moved out until they are `least` `(S,)` outside head and shoulders."""
        lack = np.maximum(least - self.height(points), 0)
        moved = points + unit(points - CENTRE) * np.where(points[:, 1] > BUST_TOP, lack, 0)[:, None]
        x = np.clip(np.rint(moved[:, 0] * 2 + 30), 0, 59).astype(int)
        z = np.clip(np.rint(moved[:, 2] * 2 + 30), 0, 59).astype(int)
        moved[:, 1] = np.maximum(moved[:, 1], np.minimum(self.bust[x, z] + least, BUST_TOP))
        return moved


def _ground(points: np.ndarray) -> np.ndarray:
    """Height `(60, 60)` of the shoulders over x and z from -15 in half centimetres; far below where there are none."""
    ground = np.full((60, 60), -99.0)
    cell = np.clip(np.rint(points[:, [0, 2]] * 2 + 30), 0, 59).astype(int)
    np.maximum.at(ground, (cell[:, 0], cell[:, 1]), points[:, 1])
    return ground


def _neighbours(grid: np.ndarray) -> list[np.ndarray]:
    up, down = np.vstack([grid[:1], grid[:-1]]), np.vstack([grid[1:], grid[-1:]])
    return [up, down, np.roll(grid, 1, 1), np.roll(grid, -1, 1)]


def _blurred(grid: np.ndarray) -> np.ndarray:
    return (2 * grid + sum(_neighbours(grid))) / 6


def _filled(grid: np.ndarray) -> np.ndarray:
    """Empty (zero) cells take the mean of their filled neighbours, from the rim inwards."""
    while (grid == 0).any():
        around = np.stack(_neighbours(grid))
        mean = around.sum(0) / np.maximum((around > 0).sum(0), 1)
        grid = np.where(grid == 0, mean, grid)
    return grid
