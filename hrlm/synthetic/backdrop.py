"""Painted backgrounds: paper, walls and out-of-focus places, as linear RGB images."""

from __future__ import annotations

import cv2
import numpy as np

BACKDROPS = ("paper", "plain", "gradient", "room", "foliage", "street")


def _noise(rng: np.random.Generator, size: int, cells: int) -> np.ndarray:
    """Smooth noise `(size, size)` of unit deviation with about `cells` bumps a side."""
    coarse = rng.standard_normal((cells + 3, cells + 3))
    at = np.linspace(0, cells, size) + 1
    i = np.minimum(at.astype(int), cells + 1)
    t = at - i
    t = t * t * (3 - 2 * t)
    rows = coarse[i] * (1 - t)[:, None] + coarse[i + 1] * t[:, None]
    return rows[:, i] * (1 - t) + rows[:, i + 1] * t


def _blur(image: np.ndarray, radius: float) -> np.ndarray:
    """Blur `(H, W, 3)` by a Gaussian of `radius` pixels, edges repeated."""
    return cv2.GaussianBlur(image, (0, 0), radius, borderType=cv2.BORDER_REPLICATE)


class _Canvas:
    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self.size, self.rng = size, rng
        grid = (np.arange(size) + 0.5) / size * 2 - 1
        self.x, self.y = np.meshgrid(grid, -grid)
        self.image = np.zeros((size, size, 3))

    def disc(self, x: float, y: float, r: float, colour: np.ndarray, soft: float, add: bool) -> None:
        """A bokeh disc, a little brighter at its edge."""
        reach = r * 1.3 + 0.02
        column = slice(*np.searchsorted(self.x[0], [x - reach, x + reach]))
        row = slice(*np.searchsorted(-self.y[:, 0], [-y - reach, -y + reach]))
        d = np.hypot(self.x[row, column] - x, self.y[row, column] - y) / r
        cover = np.clip((1 - d) / soft, 0, 1)[..., None] * (0.82 + 0.18 * np.clip(d, 0, 1)[..., None] ** 4)
        part = self.image[row, column]
        self.image[row, column] = part + cover * colour if add else part * (1 - cover) + cover * colour

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: np.ndarray, soft: float) -> None:
        """A rectangle with soft edges."""
        across = np.clip((self.x - x0) / soft, 0, 1) * np.clip((x1 - self.x) / soft, 0, 1)
        along = np.clip((self.y - y0) / soft, 0, 1) * np.clip((y1 - self.y) / soft, 0, 1)
        cover = (across * along)[..., None]
        self.image = self.image * (1 - cover) + cover * colour


def _paper(c: _Canvas, colour: np.ndarray) -> None:
    u = c.rng.uniform
    x, y = u(-0.3, 0.3), u(-0.3, 0.3)
    d2 = (c.x - x) ** 2 + ((c.y - y) * u(0.7, 1)) ** 2
    pool = u(0.2, 0.75) + u(0.4, 1.0) * np.exp(-d2 / u(0.25, 1.2))
    mottle = 1 + u(0, 0.1) * _noise(c.rng, c.size, 5) + u(0, 0.05) * _noise(c.rng, c.size, 14)
    c.image = (pool * mottle)[..., None] * colour


def _gradient(c: _Canvas, colour: np.ndarray) -> None:
    turn = c.rng.uniform(0, 2 * np.pi)
    t = 1 / (1 + np.exp(-3 * (c.x * np.cos(turn) + c.y * np.sin(turn)) - 0.2 * _noise(c.rng, c.size, 3)))
    other = colour * c.rng.uniform(0.15, 0.8) * (1 + 0.3 * c.rng.uniform(-1, 1, 3))
    c.image = colour * (1 - t[..., None]) + other * t[..., None]


def _room(c: _Canvas, colour: np.ndarray) -> None:
    rng, u = c.rng, c.rng.uniform
    wall = u(0.15, 0.6) * (1 + 0.15 * rng.uniform(-1, 1, 3)) * np.array([1.08, 1.0, 0.88])
    c.image = (wall * np.ones_like(c.image)) * (1 + 0.25 * c.x * rng.choice([-1, 1]))[..., None]
    soft = u(0.04, 0.1)
    for _ in range(rng.integers(5, 12)):
        x, w, h = u(-1.1, 1.1), u(0.08, 0.5), u(0.15, 0.9)
        y = u(-0.9, 0.8)
        tone = wall * u(0.15, 1.3) * (1 + 0.5 * rng.uniform(-1, 1, 3) * rng.random())
        c.box(x - w / 2, y - h / 2, x + w / 2, y + h / 2, np.clip(tone, 0.01, 1), soft)
    for _ in range(rng.integers(2, 5)):
        y = u(-0.9, 0.6)
        x = u(-0.9, 0.3)
        c.box(x, y, x + u(0.4, 0.8), y + u(0.02, 0.05) + soft, wall * u(0.2, 0.5), soft * 0.7)
    if rng.random() < 0.6:
        x, y, w, h = u(-1, 0.5), u(-0.1, 0.4), u(0.3, 0.6), u(0.5, 0.9)
        c.box(x, y, x + w, y + h, np.array([1.0, 1.05, 1.1]) * u(0.9, 2.2), soft)
        c.box(x + w * 0.47, y, x + w * 0.53, y + h, wall * 0.6, soft * 0.3)
    c.image = _blur(c.image, c.size * u(0.014, 0.035))
    for _ in range(rng.integers(0, 9)):
        c.disc(u(-1, 1), u(-0.2, 0.9), u(0.04, 0.09), np.array([1.0, 0.75, 0.42]) * u(0.3, 1.1), 0.12, True)


def _foliage(c: _Canvas, colour: np.ndarray) -> None:
    rng, u = c.rng, c.rng.uniform
    season = np.array([[0.16, 0.26, 0.06], [0.10, 0.19, 0.07], [0.32, 0.25, 0.06], [0.22, 0.30, 0.16]])[rng.integers(4)]
    tone = 0.35 + 0.25 * c.y + 0.22 * _noise(rng, c.size, 4) + 0.12 * _noise(rng, c.size, 11)
    c.image = np.clip(tone, 0.06, 1.4)[..., None] * season * 1.8
    for _ in range(rng.integers(0, 4)):
        x = u(-1, 1)
        w = u(0.03, 0.1)
        c.box(x - w, -1.2, x + w, u(0.2, 1.2), np.array([0.07, 0.05, 0.035]) * u(0.6, 2), 0.05)
    for _ in range(rng.integers(120, 320)):
        x, y = u(-1.05, 1.05), np.clip(rng.normal(0.15, 0.5), -1, 1)
        c.disc(x, y, u(0.025, 0.085), season * u(0.3, 2.6) * (1 + 0.15 * rng.uniform(-1, 1, 3)), u(0.2, 0.6), False)
    ground = np.clip((-0.45 - c.y) / 0.4, 0, 1)[..., None]
    c.image = c.image * (1 - ground) + ground * (season * u(0.6, 1.4) + 0.03)
    c.image = _blur(c.image, c.size * u(0.01, 0.024))
    for _ in range(rng.integers(0, 26)):
        c.disc(u(-1, 1), u(-0.2, 1), u(0.03, 0.07), np.array([0.95, 1.0, 0.85]) * u(0.05, 0.35), 0.25, True)


def _street(c: _Canvas, colour: np.ndarray) -> None:
    rng, u = c.rng, c.rng.uniform
    night = rng.random() < 0.2
    day = 0.12 if night else 1.0
    sky = np.array([0.75, 0.85, 1.0]) * u(0.5, 1.1) * day
    c.image = sky * np.clip(0.8 + 0.3 * c.y, 0, 2)[..., None]
    soft = u(0.03, 0.08)
    for _ in range(rng.integers(7, 14)):
        x, w, top = u(-1.2, 1.0), u(0.2, 0.6), u(-0.1, 1.3)
        tone = np.array([0.42, 0.38, 0.34]) * u(0.3, 1.5) * (1 + 0.2 * rng.uniform(-1, 1, 3)) * day
        c.box(x, -1.2, x + w, top, tone, soft)
        for _ in range(rng.integers(0, 9)):
            wx, wy = x + u(0.1, 0.8) * w, u(-0.5, top)
            lit = u(0.9, 1.6) if rng.random() < 0.25 + 0.4 * night else u(0.05, 0.3)
            c.box(wx, wy, wx + 0.06 + soft, wy + 0.1 + soft, np.array([1, 0.9, 0.7]) * lit * max(day, 0.5), soft * 0.7)
    road = np.clip((-0.3 - c.y) / 0.15, 0, 1)[..., None]
    c.image = c.image * (1 - road) + road * np.array([0.24, 0.24, 0.25]) * day * u(0.6, 1.5)
    for _ in range(rng.integers(3, 10)):
        x, y, w = u(-1.1, 1), u(-0.6, -0.2), u(0.1, 0.3)
        c.box(x, y, x + w, y + w * u(0.4, 1.6), rng.uniform(0.03, 0.7, 3) * day, soft)
    c.image = _blur(c.image, c.size * u(0.016, 0.034))
    lamps = np.array([[1, 0.72, 0.35], [1, 0.9, 0.75], [1, 0.25, 0.18], [0.4, 0.9, 0.5], [0.5, 0.7, 1.0]])
    for _ in range(rng.integers(20, 60) if night else rng.integers(0, 16)):
        r = u(0.03, 0.08)
        c.disc(u(-1, 1), rng.normal(0, 0.35), r, lamps[rng.integers(5)] * u(0.15, 0.9), 0.12, True)


def paint_backdrop(kind: str, colour: np.ndarray, seed: int, size: int = 1024) -> np.ndarray:
    """Linear RGB `(size, size, 3)` float, top row first, relative to a white card in full light.

    Args:
        kind: one of BACKDROPS.
        colour: linear RGB of paper, wall or light; painted places bring their own.
        seed: of everything painted; the same at any size.
    """
    canvas = _Canvas(size, np.random.default_rng(seed))
    if kind == "plain":
        fall = 1 - canvas.rng.uniform(0, 0.25) * (canvas.x**2 + canvas.y**2) / 2
        canvas.image = fall[..., None] * np.asarray(colour)
    else:
        painters = {"paper": _paper, "gradient": _gradient, "room": _room, "foliage": _foliage, "street": _street}
        painters[kind](canvas, np.asarray(colour, float))
    # A trace of grain keeps smooth gradients from banding.
    grain = 1 + 0.012 * canvas.rng.standard_normal((size, size, 1))
    return np.clip(canvas.image * grain, 0, 8)
