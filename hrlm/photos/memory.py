"""Memory that decoding processes write pixels to and this process reads them from, without a copy and without a name.

A segment is an anonymous file: it is gone with the last process that holds it, however that process ends. Pages of a
fresh segment are slow to come by (half as slow as decoding the photo that fills them), so segments are used again.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import secrets
import sys
import tempfile
import threading
import weakref
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import numpy as np

# A segment may be this much larger than the picture that it is given to.
_SPARE = 3


@dataclass(frozen=True, eq=False)
class Segment:
    """Shared memory.

    Args:
        view: the whole of it, as this process sees it.
        size: bytes.
        file: descriptor of the anonymous file, for handing over to another process; None on Windows.
        tag: its name on Windows, where such memory has one and lives no longer than its users all the same.
    """

    view: mmap.mmap
    size: int
    file: int | None
    tag: str = ""


def create(size: int) -> Segment:
    """A new segment.

    Raises:
        OSError: no room for it.
    """
    if sys.platform == "win32":
        tag = f"hrlm-{os.getpid()}-{secrets.token_hex(8)}"
        return Segment(mmap.mmap(-1, size, tagname=tag), size, None, tag)
    file = _anonymous_file()
    try:
        # reserved at once where that is possible: a write to pages that are not to be had would end the process
        os.posix_fallocate(file, 0, size) if hasattr(os, "posix_fallocate") else os.ftruncate(file, size)
        segment = Segment(mmap.mmap(file, size), size, file)
    except BaseException:
        os.close(file)
        raise
    weakref.finalize(segment, os.close, file)
    return segment


def open_file(file: int, size: int) -> np.ndarray:
    """The bytes of another process's segment, whose descriptor is closed by this."""
    if sys.platform == "win32":
        raise NotImplementedError
    try:
        # all pages at once where the system can: a fault for each takes a third of the time of decoding into them
        flags = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)
        return np.frombuffer(mmap.mmap(file, size, flags), np.uint8)
    finally:
        os.close(file)


def open_tag(tag: str, size: int) -> np.ndarray:
    """The bytes of another process's segment on Windows."""
    if sys.platform != "win32":
        raise NotImplementedError
    return np.frombuffer(mmap.mmap(-1, size, tagname=tag), np.uint8)


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        # not of /dev/shm, which is tiny in many containers
        with contextlib.suppress(OSError):
            return os.memfd_create("hrlm", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class Pool:
    """Segments in use and for use again; safe for several threads.

    What is free stays until something is asked for that none of it fits: together they never take more memory than
    was once in use at a time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: list[Segment] = []
        # arrays may go at any moment, also while the lock is held: a queue takes their segments then
        self._returned: SimpleQueue[Segment] = SimpleQueue()

    def take(self, size: int) -> Segment:
        """A segment of `size` bytes or somewhat more.

        Raises:
            OSError: no room for it.
        """
        with self._lock:
            self._collect()
            fitting = [s for s in self._free if size <= s.size <= size * _SPARE]
            if fitting:
                best = min(fitting, key=lambda s: s.size)
                self._free.remove(best)
                return best
            # what does not fit goes before more is asked for
            self._free.clear()
        return create(size)

    def give(self, segment: Segment) -> None:
        """Back for use again."""
        self._returned.put(segment)

    def array(self, segment: Segment, shape: tuple[int, int, int]) -> np.ndarray:
        """The segment as a uint8 array of `shape`; free again by itself once the array and all its views are gone."""
        root = np.frombuffer(segment.view, np.uint8, shape[0] * shape[1] * shape[2])
        # numpy keeps this very array alive for every view of it
        weakref.finalize(root, self._returned.put, segment).atexit = False
        return root.reshape(shape)

    def _collect(self) -> None:
        with contextlib.suppress(Empty):
            while True:
                self._free.append(self._returned.get_nowait())
