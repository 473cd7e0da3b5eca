"""A small data set of drawn marks with a scheme of its own: what training tests need, and no photo of anyone."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SCHEME = """
name: marks4
landmarks: [right, left, below, above]
mirror: [[0, 1]]
normaliser: [0, 1]
regions:
  sides: {landmarks: [0, 1]}
  middle: {landmarks: [2, 3]}
subsets:
  inner: [2, 3]
"""
COLOURS = [(220, 40, 40), (40, 200, 60), (60, 80, 230), (240, 220, 60)]


def draw(folder: Path, count: int, seed: int = 0) -> None:
    """`count` photos of 160 x 160 with four coloured discs each, and their .pts files."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for i in range(count):
        centre, size, angle = rng.uniform(70, 90, 2), rng.uniform(25, 35), rng.normal(0, 0.2)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = np.array([[-1, 0], [1, 0], [0, 0.9], [0, -0.9]]) * size @ turn.T + centre
        image = Image.new("RGB", (160, 160), tuple(int(v) for v in rng.integers(90, 160, 3)))
        canvas = ImageDraw.Draw(image)
        for (x, y), colour in zip(points, COLOURS, strict=True):
            canvas.ellipse((x - 6, y - 6, x + 6, y + 6), fill=colour)
        image.save(folder / f"d{i:02d}.png")
        lines = "\n".join(f"{x + 1:.4f} {y + 1:.4f}" for x, y in points)
        (folder / f"d{i:02d}.pts").write_text(f"version: 1\nn_points: 4\n{{\n{lines}\n}}\n")
