"""All files of one photo: the result first, so that its landmarks are safe whatever becomes of the other formats."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count, takewhile, zip_longest
from pathlib import Path

import numpy as np

from hrlm.errors import HrlmError
from hrlm.formats import json as result_json
from hrlm.formats import pts
from hrlm.formats.atomic import WriteError, exists
from hrlm.formats.catalogue import FORMATS
from hrlm.photos import Photo
from hrlm.render.overlay import Look
from hrlm.results import PhotoResult
from hrlm.runs import journal
from hrlm.runs.discovery import Source
from hrlm.runs.pipeline import Item, Written
from hrlm.runs.sinks import OVERLAY_SUFFIX, Sink, format_sink, further_pts, overlay_sink, with_suffix, write_result
from hrlm.schemes import Scheme

OVERLAY = "overlay"


class Writer:
    """Writes a photo's files below `out`: `NAME.json` first, then the formats that are made of it.

    A new `NAME.json` no longer has the digest that the journal noted, so that a run which is killed before the other
    files are replaced does the photo again.

    Args:
        formats: per-photo formats of `formats.catalogue` besides `NAME.json`.
        overlay: whether the landmarks are drawn too.
    """

    def __init__(self, out: Path, formats: Sequence[str], overlay: bool, scheme: Scheme) -> None:
        self._out = out
        self._sinks: Mapping[str, Sink] = {name: format_sink(FORMATS[name], out, scheme) for name in formats}
        self._overlay = overlay_sink(out, scheme, Look()) if overlay else None

    @property
    def formats(self) -> tuple[str, ...]:
        """What is written besides `NAME.json`, sorted, as the journal notes it."""
        return tuple(sorted([*self._sinks, *([OVERLAY] if self._overlay else [])]))

    def file(self, source: Source) -> Path:
        """The photo's `NAME.json`."""
        return with_suffix(self._out / source.result, ".json")

    def foreign(self, source: Source, entry: journal.Entry | None) -> Path | None:
        """A file of a wanted format that no run wrote; None where there is none.

        What the photo's line `entry` speaks of is a run's. So is what a run left that was killed before it noted the
        photo: `NAME.json` came first, and `.pts` files say the same.
        """
        base, noted = self._out / source.result, {*entry.formats, *entry.stale} if entry else set()
        first = with_suffix(base, ".pts")
        if "pts" in self._sinks and "pts" not in noted:
            files = [first, *takewhile(exists, (further_pts(self._out, source, number) for number in count(2)))]
            try:
                faces = result_json.read(self.file(source)).faces if exists(self.file(source)) else ()
                for file, face in zip_longest(files, faces):
                    if file is not None and exists(file) and (face is None or not _alike(file, face.landmarks)):
                        return None if self._is_another_s(source, file) else file
            except HrlmError:
                return first
        # an .xmp file is not replaced: what others have put there stays
        others = [with_suffix(base, FORMATS[n].suffix) for n in self._sinks if n not in ("xmp", "pts")]
        return None if entry or exists(self.file(source)) else next(filter(exists, others), None)

    def _is_another_s(self, source: Source, file: Path) -> bool:
        """Whether `a_2.pts`, where the photo `a_2` is new, may be the second face of `a`."""
        head, _, tail = source.result.as_posix().rpartition("_")
        own = file == with_suffix(self._out / source.result, ".pts")
        return own and tail.isdecimal() and exists(self._out / f"{head}.json")

    def missing(self, source: Source, entry: journal.Entry) -> set[str]:
        """Which of the wanted formats a finished photo lacks."""
        base = self._out / source.result
        # without a face there need be no file
        files = {name: [with_suffix(base, FORMATS[name].suffix)] for name in self._sinks if entry.faces}
        if self._overlay and entry.faces:
            files[OVERLAY] = [with_suffix(base, OVERLAY_SUFFIX)]
        if "pts" in files:
            files["pts"] += [further_pts(self._out, source, number) for number in range(2, entry.faces + 1)]
        gone = {name for name, own in files.items() if not all(map(exists, own))}
        return gone | (set(self.formats) - set(entry.formats))

    def __call__(self, item: Item, photo: Photo | None, result: PhotoResult | None) -> Written:
        """Write all files of a photo; without photo and result, only what it lacks, from its `NAME.json`.

        A format that fails costs itself alone: what is returned says so.

        Raises:
            WriteError: the folder or `NAME.json` cannot be written.
            FormatError: the result cannot be read, or a file that is in the way is not hrlm's.
        """
        source = item.source
        path = self.file(source)
        names = set(self.formats)
        if result is None:
            result, names = result_json.read(path), names & item.lacks
        else:
            write_result(path, source, result)
        reasons: dict[str, str] = {}
        fatal = False
        for name, write in self._writes(source, photo, result):
            if name not in names:
                continue
            try:
                write()
            except WriteError as e:
                reasons[name] = str(e)
                fatal = fatal or e.hopeless
            except HrlmError as e:
                reasons[name] = f"{source.file}: {e}"
        # one cause may fail them all
        reason = "; ".join(dict.fromkeys(reasons.values()))
        return Written(len(result.faces), journal.digest(path), tuple(sorted(reasons)), reason, fatal)

    def _writes(
        self, source: Source, photo: Photo | None, result: PhotoResult
    ) -> Iterator[tuple[str, Callable[[], None]]]:
        for name, sink in self._sinks.items():
            yield name, partial(sink, source, result)
        if self._overlay and photo is not None:
            yield OVERLAY, partial(self._overlay, source, photo, result)


def _alike(file: Path, landmarks: np.ndarray) -> bool:
    there = pts.read(file)
    # the result and the file are rounded each for itself
    return there.shape == landmarks.shape and bool(np.abs(there - landmarks).max() <= 0.002)
