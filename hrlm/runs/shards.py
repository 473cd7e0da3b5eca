"""A share of a run for each of several machines, and what its files are called."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from hrlm.errors import HrlmError
from hrlm.runs.discovery import Source

_TEXT = re.compile(r"(\d{1,6})/(\d{1,6})")


@dataclass(frozen=True)
class Shard:
    """Share `number` (from 1) of `count`; 1 of 1 is the whole run.

    A photo belongs to a share by its place below the output folder, so that all machines divide a folder alike.
    """

    number: int = 1
    count: int = 1

    @staticmethod
    def parse(text: str) -> Shard:
        """The share that `3/16` means.

        Raises:
            HrlmError: it is no share.
        """
        match = _TEXT.fullmatch(text)
        number, count = map(int, match.groups()) if match else (0, 0)
        if not 1 <= number <= count:
            raise HrlmError(f"--shard must be a number of a number, such as 3/16, not {text!r}")
        return Shard(number, count)

    def takes(self, source: Source) -> bool:
        """Whether the photo belongs to this share."""
        digest = hashlib.sha256(os.fsencode(source.result.as_posix())).digest()
        return int.from_bytes(digest[:8]) % self.count == self.number - 1

    def file(self, name: str) -> str:
        """The name of this share's own `run.jsonl` and so on: `run.3of16.jsonl`; unchanged for the whole run."""
        if self.count == 1:
            return name
        stem, dot, suffix = name.rpartition(".")
        return f"{stem}.{self.number}of{self.count}{dot}{suffix}"


WHOLE = Shard()


def files_of_all(out: Path, name: str) -> list[Path]:
    """The files of this name in `out`, of the whole run and of shares, sorted."""
    return sorted(path for path in out.iterdir() if is_of(path.name, name))


def is_of(file: str, name: str) -> bool:
    """Whether a file's name is `name` itself or that of a share's file."""
    stem, dot, suffix = name.rpartition(".")
    return re.fullmatch(rf"{re.escape(stem)}(\.\d+of\d+)?{re.escape(dot + suffix)}", file) is not None
