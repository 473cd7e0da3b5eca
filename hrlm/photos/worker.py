"""The decoding process of `isolated`: told file names, it decodes them into shared memory.

Messages are lines of JSON, from the parent on standard input and to it on standard output. For each `{"path": …}` it
asks for `{"room": bytes}` as often as it needs, is handed that memory, and ends with `{"photo": …}` or `{"error": …}`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from typing import Any, BinaryIO

import cv2
import numpy as np

from hrlm.errors import PhotoError
from hrlm.photos.memory import open_file, open_tag
from hrlm.photos.photo import Photo, read_photo
from hrlm.photos.picture import brief

# A parent that was killed can stop no decoder that hangs, so each process stops itself this much later, in seconds.
_GRACE = 10.0


class Worker:
    """Answers a parent's messages until there are no more.

    Args:
        source, sink: where messages come from and go to.
        files: socket on which the memory's descriptors come; None on Windows.
        timeout: seconds a photo.
        max_pixels: as of `open_photo`.
    """

    def __init__(
        self, source: BinaryIO, sink: BinaryIO, files: socket.socket | None, timeout: float, max_pixels: int
    ) -> None:
        self._source, self._sink, self._files = source, sink, files
        self._timeout, self._max_pixels = timeout, max_pixels

    def run(self) -> None:
        """Until the parent goes."""
        self._say({"ready": os.getpid()})
        while message := self._hear():
            self._alarm(self._timeout + _GRACE)
            self._say(self._answer(message["path"]))
            self._alarm(0)

    def _answer(self, path: str) -> dict[str, Any]:
        given: list[np.ndarray] = []

        def allocate(height: int, width: int) -> np.ndarray:
            # a decoder that gives up leaves its room to the next one
            if not given or given[0].shape != (height, width, 3):
                given[:] = [self._room(height * width * 3).reshape(height, width, 3)]
            return given[0]

        try:
            photo = read_photo(path, self._max_pixels, allocate)
            if not given or not np.shares_memory(photo.pixels, given[0]):
                np.copyto(allocate(photo.height, photo.width), photo.pixels)
        except PhotoError as error:
            return {"error": str(error)}
        except Exception as error:  # a decoder can fail in more ways than it documents
            return {"error": f"{path}: cannot be read ({brief(error)}); check or convert the file"}
        return {"photo": _description(photo)}

    def _room(self, size: int) -> np.ndarray:
        self._say({"room": size})
        message = self._hear()
        if message is None or "size" not in message:
            raise MemoryError
        if self._files is None:
            return open_tag(message["tag"], message["size"])[:size]
        _, files, _, _ = socket.recv_fds(self._files, 1, 1)
        return open_file(files[0], message["size"])[:size]

    def _hear(self) -> dict[str, Any] | None:
        line = self._source.readline()
        return json.loads(line) if line.endswith(b"\n") else None

    def _say(self, message: dict[str, Any]) -> None:
        self._sink.write(json.dumps(message).encode("ascii") + b"\n")
        self._sink.flush()

    @staticmethod
    def _alarm(seconds: float) -> None:
        if sys.platform != "win32":
            signal.setitimer(signal.ITIMER_REAL, seconds)


def _description(photo: Photo) -> dict[str, Any]:
    return {
        "height": photo.height,
        "width": photo.width,
        "orientation": photo.orientation,
        "notes": photo.notes,
    }


def main(timeout: str, max_pixels: str, files: str = "") -> None:
    """Serve the parent that started this process; arguments as on its command line."""
    # Ctrl-C and a service that is stopped are for the parent, which lets what is in hand be finished
    for stopped in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stopped, signal.SIG_IGN)
    # each process has one core's worth of work
    cv2.setNumThreads(1)
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what decoders print must not look like a message
    inherited = socket.socket(fileno=int(files)) if files else None
    Worker(sys.stdin.buffer, sink, inherited, float(timeout), int(max_pixels)).run()
