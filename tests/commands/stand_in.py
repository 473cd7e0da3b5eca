"""The command line with a detector that needs no networks, for tests that start and kill processes.

Only for processes of their own: importing this replaces the detector.
"""

from __future__ import annotations

import sys
import time
import types
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hrlm.photos import Photo
from hrlm.results import Face, ModelInfo
from hrlm.schemes import load_scheme

# a batch, from the second one
SECONDS = 0.05


class StandIn:
    """Finds faces by the checksum of the pixels, and slightly other ones in other company, as networks do."""

    def __init__(self, model: str, device: str, levels: int | None, quality: str, habits: bool) -> None:
        self.levels = levels
        self.scheme = load_scheme("ibug68")
        self.device = types.SimpleNamespace(type="cpu")
        self.info = ModelInfo(model, "ibug68", "0")
        self.weights = Path(__file__)
        self.seconds = 0.0

    def detect_batch(self, photos: Sequence[Photo], faces: str, min_face: float) -> list[list[Face]]:
        time.sleep(self.seconds)
        self.seconds = SECONDS
        company = sum(zlib.crc32(p.pixels) for p in photos) % 1000 / 100
        return [self._faces(zlib.crc32(p.pixels), company) for p in photos]

    def _faces(self, number: int, company: float) -> list[Face]:
        rng = np.random.default_rng(number)
        return [
            Face(rng.uniform(5, 100, (68, 2)) + company, np.full(68, rng.uniform(0, 9)), (5.0, 5.0, 95.0, 95.0), 0.9)
            for _ in range(1 + number % 2)
        ]


module = types.ModuleType("hrlm.detector")
vars(module).update(Detector=StandIn)
sys.modules["hrlm.detector"] = module

# imported once for all runs that are forked from a process with this module
from hrlm.runs import engine, resumable  # noqa: E402, F401


def main(arguments: Sequence[str]) -> None:
    """Run the command line."""
    from hrlm.cli import main as command_line

    sys.argv = ["hrlm", *arguments]
    command_line()
