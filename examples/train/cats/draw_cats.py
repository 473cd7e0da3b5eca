"""Draw cats with nine landmarks and a box each, as stand-ins for photos: PNG files and one table, cats.csv.

python draw_cats.py FOLDER --count 400 --seed 1
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import cv2
import numpy as np

NAMES = (
    "eye_right",
    "eye_left",
    "mouth",
    *(f"ear_{s}_{p}" for s in ("right", "left") for p in ("outer", "tip", "inner")),
)
SIDE = 256


def face(rng: np.random.Generator) -> np.ndarray:
    """`(9, 2)` landmarks of one cat, in units of half its head's width, before it is turned."""
    eye, high = rng.uniform(0.36, 0.48), rng.uniform(1.15, 1.45)
    right = [(-0.85, -0.5), (-0.7 + rng.normal(0, 0.05), -high), (-0.25, -0.82)]
    left = [(-x, y) for x, y in right]
    tip = rng.normal(0, 0.06, 2)
    points = np.array([(-eye, -0.1), (eye, -0.1), (0, rng.uniform(0.38, 0.5)), *right, *left])
    points[[4, 7]] += tip
    return points


def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A picture `(256, 256, 3)` and its landmarks `(9, 2)` in pixels."""
    shape = face(rng)
    size, turn, middle = rng.uniform(40, 62), rng.normal(0, 0.3), rng.uniform(112, 144, 2)
    matrix = size * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])

    def place(points: np.ndarray) -> np.ndarray:
        return np.asarray(points) @ matrix.T + middle

    def fill(points: np.ndarray, colour: np.ndarray) -> None:
        cv2.fillPoly(image, [np.rint(place(points) * 16).astype(np.int32)], colour.tolist(), cv2.LINE_AA, shift=4)

    def blob(centre: tuple[float, float], radii: tuple[float, float], colour: np.ndarray) -> None:
        angle = np.linspace(0, 2 * np.pi, 40)
        fill(np.stack([centre[0] + radii[0] * np.cos(angle), centre[1] + radii[1] * np.sin(angle)], -1), colour)

    background = cv2.resize(
        rng.integers(0, 256, (4, 4, 3), dtype=np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC
    )
    image = np.ascontiguousarray(background)
    fur = rng.integers(30, 220, 3).astype(float)
    dark, light = fur * 0.55, np.minimum(fur * 1.25 + 20, 255)
    for ear in (shape[3:6], shape[6:9]):
        fill(ear, fur)
        fill(ear.mean(0) + 0.55 * (ear - ear.mean(0)), light)
    blob((0, 0), (1, 0.88), fur)
    for i in range(int(rng.integers(0, 4))):
        blob((0.22 * (i - 1), -0.62), (0.05, 0.16), dark)
    iris = np.array([rng.integers(60, 200), rng.integers(140, 240), rng.integers(20, 120)], float)
    for x, y in shape[:2]:
        blob((x, y), (0.17, 0.14), iris)
        blob((x, y), (0.05, 0.12), np.array([10.0, 10, 10]))
    x, y = shape[2]
    blob((0, y - 0.22), (0.09, 0.06), np.array([200.0, 120, 130]))
    for s in (-1, 1):
        line = place(np.array([[0, y - 0.16], [0, y], [s * 0.2, y + 0.08]]))
        cv2.polylines(image, [np.rint(line * 16).astype(np.int32)], False, dark.tolist(), 2, cv2.LINE_AA, shift=4)
    noisy = image + rng.normal(0, 5, image.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), place(shape)


def write(folder: Path, count: int, seed: int = 1) -> Path:
    """Draw `count` cats into a folder; returns the table."""
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "cats.csv"
    head = ["photo", "box_x", "box_y", "box_width", "box_height", *(f"{n}_{k}" for n in NAMES for k in "xy")]
    with table.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(head)
        for i in range(count):
            rng = np.random.default_rng([seed, i])
            image, points = draw(rng)
            name = f"cat-{i:04}.png"
            cv2.imwrite(str(folder / name), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            # as loose as a finder's box
            low, high = points.min(0) + rng.normal(0, 3, 2), points.max(0) + rng.normal(0, 3, 2)
            rows.writerow([name, *(f"{v:.2f}" for v in (*low, *(high - low), *points.ravel()))])
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    print(f"wrote {write(told.folder, told.count, told.seed)}")
