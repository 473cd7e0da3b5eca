"""What became of every photo, in `run.jsonl`: how a run goes on where an earlier one stopped.

A line is appended once a photo's files are written; the last line of a photo counts. Neither times nor durations are
noted, so that a run which was stopped and resumed ends with the same bytes as one that was not.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from io import FileIO
from pathlib import Path, PurePath
from typing import Any

from hrlm.errors import FormatError
from hrlm.formats.atomic import WriteError, exists, replacing
from hrlm.runs.discovery import Source, absolute, is_raw_of, numbered
from hrlm.runs.shards import WHOLE, Shard, files_of_all

JOURNAL_FILE = "run.jsonl"
OK, NO_FACE, ERROR = "ok", "no-face", "error"
# in place of the fingerprint: the photo is to be done again, whatever it is
VOID = "-"


@dataclass(frozen=True)
class Entry:
    """A photo's line.

    Args:
        path: the photo, as its result names it.
        result: its results' path below the output folder, without suffix.
        file: the photo's whole path where it was read; not noted by older runs.
        status: `ok`, `no-face` or `error`.
        size, mtime_ns: of the photo's file when it was read, bytes and nanoseconds; -1 where it was not there.
        fingerprint: of the model and the options that change what is found; see `fingerprint`.
        digest: of the result file; empty for an error.
        faces: how many were found.
        formats: what was written besides `NAME.json`, sorted.
        stale: what earlier runs wrote and this one did not, sorted.
        reason: of an error, one line; otherwise why a wanted format is not among `formats`.
        notes: what is worth telling of a photo that was read well.
    """

    path: str
    result: str
    status: str
    size: int
    mtime_ns: int
    fingerprint: str
    digest: str = ""
    faces: int = 0
    formats: tuple[str, ...] = ()
    reason: str = ""
    notes: tuple[str, ...] = ()
    file: str = ""
    stale: tuple[str, ...] = ()

    def line(self) -> bytes:
        """The journal's line, ASCII whatever the photo is called."""
        data = {k: v for k, v in vars(self).items() if v not in ("", ()) and (k != "faces" or self.status != ERROR)}
        return json.dumps(data).encode("ascii") + b"\n"

    @staticmethod
    def parse(line: bytes) -> Entry | None:
        """The entry of a line; None where it is none, such as one that was cut short."""
        try:
            data: dict[str, Any] = json.loads(line)
            lists = {key: tuple(map(str, data.pop(key, ()))) for key in ("formats", "notes", "stale")}
            data.update(lists)
            entry = Entry(**data)
        except (ValueError, TypeError, AttributeError, RecursionError):
            return None
        kinds = {"size": int, "mtime_ns": int, "faces": int}
        fits = all(isinstance(v, kinds.get(k, str)) for k, v in vars(entry).items() if k not in lists)
        return entry if fits else None

    def still_holds(self, source: Source, fingerprint: str, file: Path) -> bool:
        """Whether the photo need not be done again: nothing has changed, and `file` is the result of that time."""
        return (
            self.status != ERROR
            and self.fingerprint == fingerprint
            and self.path == source.name
            and (self.size, self.mtime_ns) == stamp(source.file)
            and self.digest == digest(file)
        )


def stamp(file: Path) -> tuple[int, int]:
    """Size in bytes and modification time in nanoseconds; -1, -1 where the file cannot be seen."""
    try:
        status = file.stat()
    except (OSError, ValueError):
        return -1, -1
    return status.st_size, status.st_mtime_ns


def digest(file: Path) -> str:
    """A file's SHA-256 as 16 hexadecimal digits; empty where it cannot be read."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    except OSError:
        return ""


def fingerprint(weights: Path, **options: str | float) -> str:
    """16 hexadecimal digits for a weight file's content and the options that change what is found."""
    whole = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    with weights.open("rb") as file:
        whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:16]


def noted(result: Path) -> list[Path]:
    """Where the photo of a result file lay when it was made, by the journal above it; nothing where none tells."""
    there = absolute(result).with_suffix("")
    for folder in there.parents:
        file = _files(folder, stamp(folder / JOURNAL_FILE)).get(there.relative_to(folder).as_posix())
        if file:
            return [Path(file)]
    return []


# not by the folder's own time: pictures that are written there would have it listed again for each
@lru_cache(maxsize=64)
def _files(folder: Path, _stamp: tuple[int, int]) -> Mapping[str, str]:
    """The photos' files by result, of all journals in a folder."""
    try:
        return {key: e.file for path in files_of_all(folder, JOURNAL_FILE) for key, e in read(path).items()}
    except (OSError, FormatError):
        return {}


def read(path: Path) -> dict[str, Entry]:
    """The last entry of every photo by its `result`, in the order of their first lines; none where there is no file.

    Raises:
        FormatError: the file cannot be read.
    """
    entries: dict[str, Entry] = {}
    try:
        with path.open("rb") as file:
            for line in file:
                entry = Entry.parse(line)
                if entry is not None:
                    entries[entry.result] = entry
    except FileNotFoundError:
        pass
    except OSError as e:
        raise FormatError(f"{path}: cannot be read ({e.strerror or e}): check the file and its rights") from e
    return entries


class Journal:
    """The journal of a run, or of a share of it, in the output folder.

    What the whole run and all shares have noted there counts when a photo is looked up; one file is written.

    Raises:
        FormatError: a journal cannot be read.
    """

    def __init__(self, out: Path, shard: Shard = WHOLE) -> None:
        self.path = out / shard.file(JOURNAL_FILE)
        self._own = read(self.path)
        others = [path for path in files_of_all(out, JOURNAL_FILE) if path != self.path]
        self._known: Sequence[Mapping[str, Entry]] = [dict(self._own), *map(read, others)]
        self._done: dict[str, Entry] = {}
        self._file: FileIO | None = None

    def find(self, source: Source, fingerprint: str, file: Path) -> Entry | None:
        """The entry of a photo that need not be done again, which is from now on among those done; else None."""
        key = source.result.as_posix()
        if key in self._own and self._own[key].fingerprint == VOID:
            return None
        for entries in self._known:
            entry = entries.get(key)
            if entry is not None and entry.still_holds(source, fingerprint, file):
                self._done[key] = entry
                return entry
        return None

    def named(self, sources: Sequence[Source], out: Path) -> list[Source]:
        """The photos with the result names that they have from earlier runs, as far as no other one takes these now.

        A new photo `a.png` beside `a.jpg` would else give that another name, and leave its old result and what a person
        made of it behind.
        """
        mine = {(e.file, e.path): e.result for entries in self._known for e in entries.values()}
        taken = {s.result.as_posix().casefold() for s in sources}
        named = []
        for source in sources:
            old = mine.get((str(absolute(source.file)), source.name), "")
            if old and old.casefold() not in taken and exists(out / f"{old}.json"):
                taken.add(old.casefold())
                source = replace(source, result=PurePath(old))
            named.append(source)
        return numbered(named)

    def other(self, source: Source) -> str:
        """Another photo that is still there and whose result has this photo's result name; empty where none is."""
        key, own = source.result.as_posix(), str(absolute(source.file))
        for entries in self._known:
            entry = entries.get(key)
            if entry is None or entry.status == ERROR or entry.file in ("", own) or not exists(entry.file):
                continue
            if is_raw_of(Path(entry.file), source.file):
                # the same shot, which was there before the picture that was developed from it
                continue
            if not exists(own) or not Path(own).samefile(entry.file):
                return entry.file
        return ""

    def last(self, source: Source) -> Entry | None:
        """What was last noted of the photo, here or else in another journal."""
        key = source.result.as_posix()
        return next((entries[key] for entries in (self._own, *self._known) if key in entries), None)

    def others(self, sources: Iterable[Source]) -> list[Entry]:
        """The entries of photos that are still there and none of `sources`."""
        names = {source.name for source in sources}
        return [e for e in self._own.values() if e.path not in names and e.file and exists(e.file)]

    def done(self, source: Source) -> Entry | None:
        """The photo's entry if it is done with this run's model and options and has a result."""
        return self._done.get(source.result.as_posix())

    def error(self, source: Source, formats: Iterable[str] = ()) -> Entry | None:
        """The photo's entry if the last try failed for the result or one of `formats`, in this run or an earlier."""
        entry, done = self._own.get(source.result.as_posix()), self.done(source)
        if entry is None or not entry.reason:
            return None
        failed = done is None if entry.status == ERROR else done == entry and not set(formats) <= set(entry.formats)
        return entry if failed else None

    @contextlib.contextmanager
    def appending(self) -> Iterator[None]:
        """Open the file for `add`.

        Raises:
            WriteError: it cannot be opened.
        """
        try:
            # unbuffered: what is noted must not be lost with the process
            self._file = self.path.open("ab", buffering=0)
            _drop_torn_line(self.path)
        except OSError as e:
            raise WriteError(self.path, e) from e
        with self._file:
            yield

    def add(self, entry: Entry) -> None:
        """Note a photo whose files are all written, or that failed.

        Raises:
            WriteError: the line cannot be written.
        """
        if self._file is None:
            raise ValueError("the journal is not open: use appending()")
        left = entry.line()
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as e:
            raise WriteError(self.path, e) from e
        self._own[entry.result] = entry
        if entry.status == ERROR:
            self._done.pop(entry.result, None)
        else:
            self._done[entry.result] = entry

    def forget(self, sources: Iterable[Source]) -> None:
        """Take it that none of these photos is done: they are to be done again, by this run or one that goes on.

        Raises:
            WriteError: the file cannot be written; the old one stays.
        """
        for source in sources:
            self._done.pop(source.result.as_posix(), None)
            # the line stays: it holds the result's name and whose files these are
            if (entry := self.last(source)) and entry.status != ERROR:
                self._own[entry.result] = replace(entry, fingerprint=VOID)
        self.compact(())

    def compact(self, sources: Iterable[Source]) -> None:
        """Write every photo once: those of `sources` in their order, then what else was noted.

        Raises:
            WriteError: the file cannot be written; the old one stays.
        """
        left = self._own | self._done
        with replacing(self.path) as file:
            names = set()
            for source in sources:
                names.add(source.name)
                entry = left.pop(source.result.as_posix(), None)
                if entry is not None:
                    file.write(entry.line())
            # one that gave its photo another result name, such as before a photo of the same stem came, is over
            file.writelines(entry.line() for entry in left.values() if entry.path not in names)


def _drop_torn_line(path: Path) -> None:
    """Cut off what follows the last line end: a killed run may have left half a line."""
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
