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
