"""Work done ahead of its use by a few threads, in order and within bounds of number and memory."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from types import FrameType
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

MOST_THREADS = 4
MEMORY = 1 << 30


def thread_count() -> int:
    """Threads for decoding and encoding: a few, as the detector wants the cores too."""
    return min(MOST_THREADS, cores())


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Window:
    """How many photos may be held at once: at most `most`, fewer where they are large, never none.

    Args:
        most: photos.
        memory: bytes that all of them together should stay under.
    """

    def __init__(self, most: int, memory: int = MEMORY) -> None:
        self._most = most
        self._memory = memory
        self._largest = 0

    def saw(self, size: int) -> None:
        """A photo took `size` bytes."""
        self._largest = max(self._largest, size)

    def __call__(self) -> int:
        if not self._largest:
            # nothing is known yet: a large photo may come
            return min(self._most, thread_count())
        return max(1, min(self._most, self._memory // self._largest))


class Budget:
    """Bytes for the pictures that are held, of which nobody knows how large they are before they are opened.

    A picture that is still to come is taken to be as large as the largest so far; before any is known, one is opened
    alone. A picture larger than the whole is held all the same, once nothing is being written.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = self._largest = self._opening = self._writing = 0
        self._changed = threading.Condition()

    def fits(self) -> bool:
        """Whether a further picture may be opened."""
        with self._changed:
            return self._fits()

    def begin(self) -> None:
        """A picture must be opened now; waits for those that are being written where it does not fit."""
        with self._changed:
            self._changed.wait_for(lambda: self._fits() or not self._writing)
            self._opening += 1

    def took(self, size: int) -> None:
        """A picture was opened and has `size` bytes; 0 where it could not be opened."""
        with self._changed:
            self._opening -= 1
            self._held += size
            self._largest = max(self._largest, size)
            self._changed.notify_all()

    def writes(self) -> None:
        """A picture is written from now on: it gives its bytes back without anybody's help."""
        with self._changed:
            self._writing += 1

    def gave_back(self, size: int, written: bool) -> None:
        """A picture of `size` bytes is held no more; `written` after `writes`."""
        with self._changed:
            self._held -= size
            self._writing -= written
            self._changed.notify_all()

    def _fits(self) -> bool:
        if not self._largest:
            return not self._opening
        return self._held + (self._opening + 1) * self._largest <= self._limit


def ahead(
    pool: Executor, work: Callable[[T], R], items: Iterable[T], window: Callable[[], int]
) -> Iterator[tuple[T, Future[R]]]:
    """Give every item with the future of `work(item)`, in order, while at most `window()` later ones are begun."""
    begun: deque[tuple[T, Future[R]]] = deque()
    for item in items:
        begun.append((item, pool.submit(work, item)))
        while len(begun) > window():
            yield begun.popleft()
    while begun:
        yield begun.popleft()


class Stop(threading.Event):
    """Set when a run is to end early, with the signal that asked for it."""

    def __init__(self) -> None:
        super().__init__()
        self.signal: int = signal.SIGINT


@contextlib.contextmanager
def stop_on_interrupt(told: Callable[[], None]) -> Iterator[Stop]:
    """What the first Ctrl-C or SIGTERM sets, after which `told` is called; the second raises KeyboardInterrupt."""
    stop = Stop()

    def handle(number: int, _frame: FrameType | None) -> None:
        again = stop.is_set()
        stop.signal = number
        stop.set()
        if again:
            raise KeyboardInterrupt
        told()

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
