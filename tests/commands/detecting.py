"""A detector that is quick and knows what it will find, photos for it, and the command run in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from hrlm.commands import detect
from hrlm.photos import Photo, open_photo
from hrlm.results import Face, ModelInfo
from hrlm.schemes import load_scheme

Before = Callable[[Sequence[Photo]], None]


class FakeDetector:
    """Finds as many faces as the photo's first pixel says; `before` may raise."""

    before: Before = staticmethod(lambda photos: None)
    batches: list[int]
    habits: bool

    def __init__(
        self, model: str, device: str, levels: int | None = None, quality: str = "best", habits: bool = True
    ) -> None:
        self.levels = levels
        type(self).habits = habits
        self.scheme = load_scheme("ibug68")
        self.device = torch.device("cpu")
        self.info = ModelInfo(model, "ibug68", "0")
        self.weights = Path(__file__)
        type(self).batches = []

    def detect_batch(self, photos: Sequence[Photo], faces: str = "all", min_face: float = 0) -> list[list[Face]]:
        self.batches.append(len(photos))
        type(self).before(photos)
        return [[self.face(k) for k in range(p.pixels[0, 0, 0])][: 1 if faces == "largest" else None] for p in photos]

    @staticmethod
    def face(k: int) -> Face:
        points = np.linspace(2, 20, 136).reshape(68, 2) + k
        return Face(points, np.full(68, 0.5), (2.0 + k, 2.0 + k, 20.0, 20.0), 0.9)


class InProcess:
    """An opener without processes of its own, whose start takes longer than all these photos."""

    def __init__(self, workers: int, timeout: float, max_pixels: int) -> None:
        self.max_pixels = max_pixels

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def open(self, path: str) -> Photo:
        return open_photo(path, self.max_pixels)


def photo(path: Path, faces: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((30, 40, 3), 100, np.uint8)
    pixels[0, 0] = faces
    # without loss, so that the first pixel says what it should
    with path.open("wb") as file:
        Image.fromarray(pixels).save(file, "PNG")
    return path


def run(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    app = typer.Typer()
    app.command()(detect.command)
    return CliRunner().invoke(app, [str(a) for a in arguments], input=stdin)


def files(folder: Path) -> set[str]:
    """All files below a folder but the journal, which every run writes."""
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name != "run.jsonl"}
