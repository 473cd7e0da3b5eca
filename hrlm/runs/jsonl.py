"""One line of JSON per photo for other programs, as soon as the photo is finished."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from hrlm.errors import FormatError
from hrlm.formats.atomic import WriteError

STANDARD_OUTPUT = "-"


class ClosedPipe(Exception):
    """Nobody reads the lines any more."""


class Lines:
    """Where lines go. A photo's result is its `NAME.json` in one line; a failed photo is `path` and `reason`."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path = file, path

    def result(self, file: Path) -> None:
        """Add the result that the file `file` holds.

        Raises:
            FormatError: it cannot be read.
            ClosedPipe: the reader has gone.
            WriteError: the line cannot be written.
        """
        try:
            data = json.loads(file.read_bytes())
        except (OSError, ValueError) as e:
            raise FormatError(f"{file}: cannot be read again ({e}): run the same command again") from e
        self._write(data)

    def failure(self, path: str, reason: str) -> None:
        """Add a photo that failed.

        Raises:
            ClosedPipe: the reader has gone.
            WriteError: the line cannot be written.
        """
        self._write({"path": path, "reason": reason})

    def _write(self, data: object) -> None:
        # in one piece: lines must be whole whenever the run ends
        left = json.dumps(data).encode("ascii") + b"\n"
        try:
            self._file.write(left)
            self._file.flush()
        except BrokenPipeError as e:
            raise ClosedPipe from e
        except OSError as e:
            raise WriteError(self._path, e) from e


@contextlib.contextmanager
def lines(target: str | None) -> Iterator[Lines | None]:
    """Open a file, whose earlier lines are replaced, or standard output for `-`; nothing for None.

    Raises:
        WriteError: the file cannot be opened.
    """
    if target is None:
        yield None
        return
    if target == STANDARD_OUTPUT:
        yield Lines(sys.stdout.buffer, Path("standard output"))
        return
    path = Path(target)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("wb")
    except OSError as e:
        raise WriteError(path, e) from e
    try:
        yield Lines(file, path)
    finally:
        # what could not be flushed has been told when its line was written
        with contextlib.suppress(OSError):
            file.close()


def forget_standard_output() -> None:
    """Let Python end without a word about lines that nobody took."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
