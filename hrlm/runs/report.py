"""What a run says while it works, on standard error, and what it says at the end."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from hrlm.runs.discovery import Problem

# seconds between lines where there is no terminal
LINE_EVERY = 10.0
# not among Python's signals where the system has none
SIGPIPE = 13


def one_line(text: str) -> str:
    """`text` with everything that a terminal would not print as a character (line ends, broken bytes) escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def reason_of(error: Exception) -> str:
    """One line about an error that nobody foresaw."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")


@dataclass
class Summary:
    """What became of a run.

    Args:
        photos: that were worked on.
        done: photos that needed no work, as an earlier run had finished them.
        seconds: of wall-clock.
        stopped_by: the signal of an interruption.
        pipe_closed: whether the reader of standard output went away, which ends a run.
        hopeless: whether a full or read-only disk ended it.
    """

    photos: int = 0
    faces: int = 0
    without_face: int = 0
    problems: list[Problem] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False
    done: int = 0
    stopped_by: int = signal.SIGINT
    pipe_closed: bool = False
    hopeless: bool = False

    @property
    def exit_code(self) -> int:
        """0 all well, 1 something failed; 130 interrupted, 143 terminated, 141 nobody reads standard output."""
        if self.pipe_closed:
            return 128 + SIGPIPE
        return 128 + self.stopped_by if self.interrupted else int(bool(self.problems))

    def __str__(self) -> str:
        rate = self.photos / self.seconds if self.seconds > 0 else 0.0
        start = "interrupted after " if self.interrupted else ""
        done = f"{self.done} already done, " if self.done else ""
        return (
            f"{start}{counted(self.photos, 'photo')}, {counted(self.faces, 'face')}, "
            f"{self.without_face} without a face, {done}{len(self.problems)} failed, "
            f"{self.seconds:.1f} s, {rate:.2f} photos/s"
        )


def counted(number: int, noun: str) -> str:
    """Such as `1 photo`, `2 photos`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


class Reporter:
    """Progress on standard error: a bar on a terminal, a plain line now and then elsewhere, nothing when quiet.

    Problems are always shown.
    """

    def __init__(self, total: int, quiet: bool = False, console: Console | None = None) -> None:
        self._console = console or _Console(stderr=True)
        self._quiet = quiet
        self._total = total
        self._done = 0
        self._start = self._last = time.monotonic()
        self._bar: Progress | None = None
        if self._console.is_terminal and not quiet:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                _Rate(),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._task = self._bar.add_task("photos", total=total)

    def __enter__(self) -> Reporter:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def step(self) -> None:
        """One more photo is done, well or not."""
        self._done += 1
        if self._bar:
            self._bar.advance(self._task)
            return
        now = time.monotonic()
        if not self._quiet and now - self._last >= LINE_EVERY and self._done < self._total:
            self._last = now
            rate = self._done / (now - self._start)
            left = (self._total - self._done) / rate
            self.say(f"{self._done} of {self._total} photos, {rate:.2f} photos/s, {left:.0f} s left")

    def problem(self, problem: Problem) -> None:
        """Name what failed and why, unless the reason names it already."""
        named = problem.name in problem.reason
        self.say(problem.reason if named else f"{problem.name}: {problem.reason}", always=True)

    def say(self, text: str, always: bool = False) -> None:
        """Print one plain line; `always` even when quiet."""
        if always or not self._quiet:
            try:
                # a file name may look like markup or be wider than the terminal
                self._console.print(one_line(text), markup=False, highlight=False, emoji=False, soft_wrap=True)
            except OSError:
                # such as a log on a full disk: no reason to stop, and what matters is in the run's own files
                _forget_standard_error()


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Go on: nobody reads what a run says, but its files are wanted."""
        _forget_standard_error()


def _forget_standard_error() -> None:
    """Send to nowhere what is said from here on, also what is still held back."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stderr.fileno())
        os.close(nowhere)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Photos per second."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.2f} photos/s" if speed else "")
