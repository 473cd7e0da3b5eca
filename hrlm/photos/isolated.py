"""Photos decoded in processes of their own: a decoder that crashes or hangs costs one photo and never the run."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import TracebackType
from typing import Any, TypeVar

from hrlm.errors import PhotoError
from hrlm.photos.memory import Pool, Segment
from hrlm.photos.photo import Photo
from hrlm.photos.picture import MAX_PIXELS

# The child looks for modules where this process does, and imports nothing of the program that runs here.
_START = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from hrlm.photos.worker import main
main(*sys.argv[2:])
"""

T = TypeVar("T")

# Seconds for a process to start, on a machine that is busy or has its files far away.
_START_LIMIT = 120.0


class IsolatedOpener:
    """Opens photos as `open_photo` does, each in one of several decoding processes, which start in the background.

    The pixels stay in memory that is shared with the process: nothing is copied, and the memory is used again once
    the photo and all views of its pixels are gone. The processes end with this one, also when it is killed.

    Args:
        workers: decoding processes.
        timeout: seconds that a photo may take.
        max_pixels: as of `open_photo`.
    """

    def __init__(self, workers: int, timeout: float = 60.0, max_pixels: int = MAX_PIXELS) -> None:
        if workers < 1 or timeout <= 0:
            raise ValueError(f"workers must be at least 1 and timeout positive, not {workers}, {timeout}")
        self._timeout, self._max_pixels = timeout, max_pixels
        self._pool = Pool()
        self._closed = False
        self._lock = threading.Lock()
        self._idle: SimpleQueue[_Process] = SimpleQueue()
        self._processes = [_Process(timeout, max_pixels) for _ in range(workers)]
        for process in self._processes:
            self._idle.put(process)

    def __enter__(self) -> IsolatedOpener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes; photos that were opened stay as they are."""
        with self._lock:
            self._closed = True
            processes, self._processes = self._processes, []
        for process in processes:
            process.kill()

    def open(self, path: str | os.PathLike[str]) -> Photo:
        """Read a photo; may be called by several threads, and waits for a free process.

        Raises:
            PhotoError: as of `open_photo`; or the decoder crashed, or took too long.
            RuntimeError: the opener is closed.
        """
        name = os.fspath(path)
        process = self._idle.get()
        try:
            if not process.alive():
                process = self._replaced(process)
            return process.open(name, self._pool)
        except _Gone as error:
            if self._closed:
                raise RuntimeError("the opener is closed") from None
            raise PhotoError(f"{name}: {error}") from None
        except OSError as error:
            raise PhotoError(
                f"{name}: no decoding process can be started ({error.strerror or error}); close other programs"
            ) from error
        finally:
            if not process.alive():
                # where that fails, the next photo tries again
                with contextlib.suppress(OSError):
                    process = self._replaced(process)
            self._idle.put(process)

    def _replaced(self, gone: _Process) -> _Process:
        with self._lock:
            if self._closed:
                return gone
            process = _Process(self._timeout, self._max_pixels)
            self._processes = [process if p is gone else p for p in self._processes]
        gone.kill()
        return process


class _Gone(Exception):
    """A process ended before its answer; says why and what helps."""


class _Process:
    """One decoding process, used by one thread at a time."""

    def __init__(self, timeout: float, max_pixels: int) -> None:
        self._timeout = timeout
        self._ready = self._late = False
        self._segment: Segment | None = None
        self._files: socket.socket | None = None
        inherited: tuple[int, ...] = ()
        # a group of its own, which a terminal's Ctrl-C is not sent to
        flags, group = 0, None
        if sys.platform == "win32":
            flags = subprocess.CREATE_NEW_PROCESS_GROUP
        else:
            group = 0
            self._files, theirs = socket.socketpair()
            inherited = (theirs.fileno(),)
        numbers = [str(timeout), str(max_pixels), *map(str, inherited)]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, json.dumps(sys.path), *numbers],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=inherited,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            creationflags=flags,
            process_group=group,
        )
        if inherited:
            theirs.close()

    def alive(self) -> bool:
        """Whether it can be asked for a photo."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it, and wait until it is gone and writes nothing any more."""
        self._process.kill()
        self._process.wait()

    def open(self, name: str, pool: Pool) -> Photo:
        """Have a photo read.

        Raises:
            PhotoError: in the process.
            _Gone: the process is no more.
        """
        try:
            if not self._ready:
                self._within(_START_LIMIT, self._hear)
                self._ready = True
            return self._within(self._timeout, lambda: self._open(name, pool))
        except PhotoError:
            raise
        except (OSError, EOFError, ValueError) as error:
            self.kill()
            raise _Gone(self._why()) from error
        except BaseException:
            # in the midst of a talk, it cannot be talked to again
            self.kill()
            raise
        finally:
            # not before the process has answered or is gone: it writes there
            if self._segment is not None:
                pool.give(self._segment)
                self._segment = None

    def _open(self, name: str, pool: Pool) -> Photo:
        self._say({"path": name})
        while "room" in (message := self._hear()):
            if self._segment is not None:
                pool.give(self._segment)
                self._segment = None
            try:
                self._segment = pool.take(message["room"])
            except OSError:
                self._say({})
            else:
                self._hand_over(self._segment)
        if "error" in message:
            raise PhotoError(message["error"])
        assert self._segment is not None
        photo = message["photo"]
        pixels = pool.array(self._segment, (photo["height"], photo["width"], 3))
        self._segment = None  # the array's from here on
        return Photo(name, pixels, photo["orientation"], tuple(photo["notes"]))

    def _hand_over(self, segment: Segment) -> None:
        if self._files is not None and segment.file is not None:
            socket.send_fds(self._files, [b"m"], [segment.file])
        self._say({"size": segment.size, "tag": segment.tag})

    def _say(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode("ascii") + b"\n")
        self._process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        message: dict[str, Any] = json.loads(line)
        return message

    def _within(self, seconds: float, work: Callable[[], T]) -> T:
        """Do `work`, which is cut off by the end of the process when it takes longer."""
        timer = threading.Timer(seconds, self._expire)
        timer.daemon = True
        timer.start()
        try:
            return work()
        finally:
            timer.cancel()
            timer.join()

    def _expire(self) -> None:
        self._late = True
        self._process.kill()

    def _why(self) -> str:
        code = self._process.returncode
        if not self._ready:
            return f"the decoding process does not start (exit code {code}); check that hrlm is installed whole"
        if self._late:
            return f"decoding did not finish in {self._timeout:g} s; convert it to another format"
        if code == -signal.SIGKILL:
            return "the decoder was killed, perhaps for lack of memory; reduce the photo or use fewer workers"
        what = signal.strsignal(-code) if code < 0 else f"exit code {code}"
        return f"the decoder crashed on it ({what}); convert it to another format"
