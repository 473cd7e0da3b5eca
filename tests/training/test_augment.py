"""Faces stretched and bent: landmarks go with the pixels."""

import numpy as np
import pytest

from hrlm.training.augment import bend, warp
from hrlm.training.data import Sample


@pytest.mark.parametrize("way", [warp, bend])
def test_a_distorted_face_keeps_its_landmarks_on_its_marks(way: object) -> None:
    points = np.array([[30.0, 40], [90, 35], [60, 100], [62, 70]])
    pixels = np.zeros((140, 130, 3), np.uint8)
    for x, y in points:
        pixels[int(y), int(x)] = 255
    moved = 0.0
    sample = Sample("s", pixels, points, None, (20, 30, 80, 75), warp=0.15, bend=0.02)
    for seed in range(20):
        made = way(sample, np.random.default_rng(seed))  # type: ignore[operator]
        moved = max(moved, np.abs(made.points - points).max())
        for x, y in made.points:
            left, top = max(0, round(x) - 2), max(0, round(y) - 2)
            part = made.pixels[top : round(y) + 3, left : round(x) + 3, 0].astype(float)
            assert part.sum() > 60
            rows, columns = np.mgrid[: part.shape[0], : part.shape[1]]
            at = [(columns * part).sum() / part.sum() + left, (rows * part).sum() / part.sum() + top]
            assert at == pytest.approx([x, y], abs=0.4)
        assert made.box is not None
        assert made.box[0] < made.points[0, 0]
    assert moved > 2


def test_bending_moves_parts_against_each_other_and_folds_nothing() -> None:
    rows, columns = np.mgrid[20:220:8, 20:220:8].astype(float)
    points = np.stack([columns, rows], -1).reshape(-1, 2)
    sample = Sample("s", np.zeros((240, 240, 3), np.uint8), points, bend=0.02)
    stretched = []
    for seed in range(30):
        grid = bend(sample, np.random.default_rng(seed)).points.reshape(*rows.shape, 2)
        steps = np.concatenate([np.diff(grid[..., 0], axis=1).ravel(), np.diff(grid[..., 1], axis=0).ravel()])
        assert steps.min() > 0
        stretched.append(steps.std() / 8)
    assert np.mean(stretched) > 0.07
