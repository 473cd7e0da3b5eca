"""Annotated photos, a detector that is off by a known part of the face, and the command run in this process."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from detecting import InProcess
from PIL import Image
from typer.testing import CliRunner, Result

from hrlm.commands import benchmark
from hrlm.detector import Located, first_crops
from hrlm.finding import FoundFace
from hrlm.formats import pts
from hrlm.geometry import CropTransform
from hrlm.photos import Photo
from hrlm.results import Face, ModelInfo
from hrlm.schemes import load_scheme

SIDE = 80
SHAPE = np.random.default_rng(3).uniform(0, 1, (68, 2))
SHAPE[[36, 45]] = [[0.0, 0.4], [1.0, 0.4]]


class FakeDetector:
    """Finds a face in the upper left fifth of a photo that is not black; off by 2 %, and by 5 % with level 0 alone."""

    device = torch.device("cpu")
    face_margin = 1.5

    def __init__(
        self, model: str, device: str, levels: int | None = None, quality: str = "best", habits: bool = True
    ) -> None:
        self.levels = 2 if levels is None else levels
        self.quality = quality
        self.scheme = load_scheme("ibug68")
        self.info = ModelInfo(model, "ibug68", "7")
        self._off = 0.02 if self.levels else 0.05

    def detect_batch(self, photos: Sequence[Photo], faces: str = "all", min_face: float = 0) -> list[list[Face]]:
        return [[self.face(p.width / 5)] if p.pixels.max() else [] for p in photos]

    def find(self, photo: Photo, min_face: float = 0) -> list[FoundFace]:
        return [FoundFace((0, 0, 9, 9), 1.0, np.arange(10.0).reshape(5, 2))]

    def first_crops(self, found: Sequence[FoundFace]) -> CropTransform:
        return first_crops(found, 256, self.face_margin)

    def locate(self, photos: Sequence[Photo], crops: Sequence[CropTransform]) -> list[Located]:
        n = len(crops[0])
        points = np.stack([self.face(photos[0].width / 5).landmarks] * n)
        return [Located(points, np.tile(np.eye(2), (n, 68, 1, 1)))]

    def face(self, side: float) -> Face:
        return Face(SHAPE * side - 0.5 + (self._off * side, 0), np.ones(68), (-0.5, -0.5, side, side), 0.9)


def annotated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with three photos, one without truth; the fake detector, and photos decoded in this process."""
    monkeypatch.setattr("hrlm.detector.Detector", FakeDetector)
    monkeypatch.setattr("hrlm.photos.IsolatedOpener", InProcess)
    folder.mkdir(exist_ok=True)
    for name, level in (("seen", 200), ("dark", 0), ("plain", 90)):
        Image.new("RGB", (SIDE * 5, SIDE * 5), (level, level, level)).save(folder / f"{name}.png")
    pts.write(folder / "seen_1.pts", SHAPE * SIDE - 0.5)
    pts.write(folder / "dark.pts", SHAPE * SIDE - 0.5)
    return folder


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(benchmark.command)
    return CliRunner().invoke(app, [str(a) for a in arguments])


def rows(result: Result) -> list[list[str]]:
    return [[c.strip() for c in re.split("[│┃]", line)[1:-1]] for line in result.stdout.splitlines() if "│" in line]
