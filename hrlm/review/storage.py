"""Saving corrections: no save overwrites one that it has not seen, and none is lost when the power goes.

Every save goes to the journal `corrections.jsonl` in the results folder first, as one line with the whole correction,
then to its files, then a short line says that it got there. So the journal also keeps all earlier revisions.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hrlm.errors import FormatError, HrlmError
from hrlm.formats import corrections
from hrlm.formats import json as result_json
from hrlm.formats.atomic import WriteError, exists
from hrlm.formats.corrections import CorrectedFace, Correction
from hrlm.runs.lock import locked

JOURNAL = "corrections.jsonl"
LOCK_FILE = ".hrlm-corrections.lock"
# a save takes milliseconds, on a network's drive perhaps seconds
LOCK_SECONDS = 20.0
# of the journal's end that is read to see whether the last save was completed
_TAIL = 8 << 20


class StaleError(HrlmError):
    """A save that is based on an older revision than the one that is there."""

    def __init__(self, path: Path, current: Correction | None) -> None:
        super().__init__(f"{path}: was saved from elsewhere meanwhile: do it again")
        self.current = current


class Store:
    """The corrections of a results folder. One store may serve several threads.

    Args:
        folder: the results folder; holds the journal.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._journal = folder / JOURNAL
        self._lock = threading.Lock()

    def load(self, result: Path) -> Correction | None:
        """The correction of a result file, None where there is none.

        Raises:
            FormatError: it is damaged.
        """
        path = corrections.path_of(result)
        return corrections.read(path) if exists(path) and not result_json.looks_like_result(path) else None

    def history(self) -> dict[Path, list[tuple[CorrectedFace, ...]]]:
        """The faces of every revision in the journal, oldest first, by the correction's file."""
        revisions: dict[Path, list[tuple[CorrectedFace, ...]]] = {}
        try:
            with self._journal.open("rb") as file:
                for line in file:
                    # a line may be cut off, and a person may have written there
                    with contextlib.suppress(FormatError, ValueError, KeyError, TypeError, OverflowError):
                        entry = json.loads(line)
                        if "correction" in entry:
                            faces = corrections.from_data(entry["correction"]).faces
                            revisions.setdefault(self.folder / entry["file"], []).append(faces)
        except OSError:
            pass
        return revisions

    def save(self, result: Path, correction: Correction, base: int) -> Correction:
        """Save a correction of a result file that was made from revision `base` (0: from the result).

        Returns:
            it, with its new revision and time.

        Raises:
            StaleError: the revision there is another than `base`.
            WriteError: the folder or a file cannot be written.
            HrlmError: another program keeps the folder for itself.
            FormatError: the correction there is damaged, or its name is taken by the result of another photo.
        """
        path = corrections.path_of(result)
        # before the journal says that it is to be written
        corrections.check_name(path)
        with self._alone():
            current = self.load(result)
            if (current.revision if current else 0) != base:
                raise StaleError(path, current)
            now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            correction = replace(correction, revision=base + 1, saved=now)
            name = path.relative_to(self.folder).as_posix()
            self._append({"file": name, "correction": json.loads(corrections.dumps(correction))})
            corrections.write(path, correction)
            self._append({"file": name, "revision": correction.revision, "written": True})
        return correction

    def recover(self) -> str | None:
        """Complete a save that was cut off between the journal and its files.

        Returns:
            the file that was completed, if any.

        Raises:
            WriteError: it cannot be written.
        """
        # a folder that is only read needs no lock
        if self._cut_off() is None:
            return None
        with self._alone():
            return self._recover()

    def _recover(self) -> str | None:
        entry = self._cut_off()
        if entry is None:
            return None
        try:
            correction = corrections.from_data(entry["correction"])
            path = (self.folder / entry["file"]).resolve()
            corrections.check_name(path)
        except (FormatError, ValueError, KeyError, TypeError, OverflowError, OSError):
            return None
        if not corrections.is_correction(path) or not path.is_relative_to(self.folder.resolve()):
            return None
        # of the same revision, some of its files may still be older
        if _revision(path) > correction.revision:
            return None
        corrections.write(path, correction)
        self._append({"file": entry["file"], "revision": correction.revision, "written": True})
        return str(entry["file"])

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep the folder from this process's other threads and from other programs."""
        busy = f"{self.folder}: another program is saving corrections there: try again"
        with self._lock, locked(self.folder / LOCK_FILE, busy, LOCK_SECONDS):
            yield

    def _append(self, entry: dict[str, Any]) -> None:
        try:
            with self._journal.open("a+b") as file:
                # a line that was cut off must not swallow the next one
                if file.seek(0, os.SEEK_END):
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":
                        file.write(b"\n")
                file.write(json.dumps(entry).encode("ascii") + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as e:
            raise WriteError(self._journal, e) from e

    def _cut_off(self) -> dict[str, Any] | None:
        """The journal's last entry, if it is of a save that did not get to its end."""
        entry = self._last_entry()
        return entry if entry is not None and "correction" in entry else None

    def _last_entry(self) -> dict[str, Any] | None:
        try:
            with self._journal.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _TAIL))
                lines = file.read().splitlines()
        except OSError:
            return None
        for line in reversed(lines):
            try:
                entry = json.loads(line)
            except ValueError:  # cut off: what it says never reached a file
                continue
            return entry if isinstance(entry, dict) else None
        return None


def _revision(path: Path) -> int:
    """A correction's revision; 0 where there is none or it is damaged: the journal holds it whole."""
    try:
        return corrections.read(path).revision
    except FormatError:
        return 0
