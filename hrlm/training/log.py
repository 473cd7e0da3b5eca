"""The log of a training: a CSV file, TensorBoard when asked, and where the time goes."""

from __future__ import annotations

import contextlib
import csv
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrlm.errors import DependencyError
from hrlm.formats.atomic import WriteError
from hrlm.training.native_step import NATIVE_FIGURES
from hrlm.training.validation import FIGURES

VALIDATION = (*FIGURES, *NATIVE_FIGURES)
COLUMNS = ("time", "stage", "samples", "loss", "rate", "step_seconds", "loading_seconds", *VALIDATION)


@dataclass
class Clock:
    """Mean seconds of a step, and those of them spent waiting for photos, since the last reading."""

    steps: int = 0
    loading: float = 0.0
    since: float = 0.0

    def __post_init__(self) -> None:
        self.since = time.monotonic()

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Count what happens inside as waiting."""
        start = time.monotonic()
        yield
        self.loading += time.monotonic() - start

    def read(self) -> dict[str, float]:
        """The figures by their columns' names; starts anew."""
        steps = max(1, self.steps)
        figures = {
            "step_seconds": (time.monotonic() - self.since) / steps,
            "loading_seconds": self.loading / steps,
        }
        self.steps, self.loading, self.since = 0, 0.0, time.monotonic()
        return figures


class Log:
    """Appends to `log.csv` in a folder and, when asked, writes TensorBoard's events below `tensorboard`.

    Args:
        folder: where; it exists.
        tensorboard: whether.

    Raises:
        DependencyError: TensorBoard is asked for and not installed.
    """

    def __init__(self, folder: Path, tensorboard: bool) -> None:
        self.path = folder / "log.csv"
        self._events: Any = None
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as e:
                raise DependencyError("TensorBoard is not installed: pip install 'hrlm[tensorboard]'") from e
            self._events = SummaryWriter(str(folder / "tensorboard"))

    def write(self, stage: str, samples: int, before: int, figures: Mapping[str, float]) -> None:
        """One row.

        Args:
            samples: shown in this stage.
            before: shown in the stages before it.
            figures: by column.

        Raises:
            WriteError: the file cannot be written.
        """
        row = {"time": f"{time.time():.0f}", "stage": stage, "samples": samples}
        row |= {name: f"{value:.5f}" for name, value in figures.items()}
        try:
            columns = self._columns()
            with self.path.open("a", newline="", encoding="utf-8") as f:
                writer = csv.DictWriter(f, columns or COLUMNS, extrasaction="ignore")
                if not columns:
                    writer.writeheader()
                writer.writerow(row)
        except OSError as e:
            raise WriteError(self.path, e) from e
        if self._events is not None:
            for name, value in figures.items():
                group = "validation" if name in VALIDATION else "training"
                self._events.add_scalar(f"{group}/{name}", value, before + samples)
            self._events.flush()

    def _columns(self) -> list[str]:
        """Of the file as it is: a training may go on that an older hrlm began."""
        if not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8") as f:
            return next(csv.reader(f), [])

    def close(self) -> None:
        """Finish TensorBoard's file."""
        if self._events is not None:
            self._events.close()
