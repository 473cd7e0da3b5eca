"""All files of one photo: the order in which they are written says which photos are done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hrlm.errors import FormatError
from hrlm.formats import json as result_json
from hrlm.formats.atomic import WriteError
from hrlm.formats.catalogue import FORMATS
from hrlm.photos import Photo
from hrlm.render.overlay import Look
from hrlm.results import PhotoResult
from hrlm.runs import journal
from hrlm.runs.discovery import Source
from hrlm.runs.pipeline import Written
from hrlm.runs.sinks import OVERLAY_SUFFIX, Sink, format_sink, overlay_sink, with_suffix
from hrlm.schemes import Scheme

OVERLAY = "overlay"


class Writer:
    """Writes a photo's files below `out`: `NAME.json` last, so that a photo which has it has all.

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

    def missing(self, source: Source, entry: journal.Entry) -> set[str]:
        """Which of the wanted formats a finished photo lacks."""
        suffixes = {name: FORMATS[name].suffix for name in self._sinks}
        if self._overlay:
            suffixes[OVERLAY] = OVERLAY_SUFFIX
        base = self._out / source.result
        # without a face there need be no file
        return {
            name
            for name, suffix in suffixes.items()
            if name not in entry.formats or (entry.faces and not with_suffix(base, suffix).exists())
        }

    def __call__(self, source: Source, photo: Photo | None, result: PhotoResult | None) -> Written:
        """Write all files of a photo; without photo and result, only further formats from its `NAME.json`.

        Raises:
            WriteError: a folder or a file cannot be written.
            FormatError: the result cannot be read, or a file that is in the way is not hrlm's.
            HrlmError: the result does not fit a format.
        """
        path = self.file(source)
        anew = result is not None
        if result is None:
            result = result_json.read(path)
        else:
            self._clear(path)
        for sink in self._sinks.values():
            sink(source, result)
        if self._overlay and photo is not None:
            self._overlay(source, photo, result)
        if anew:
            result_json.write(path, result)
        return Written(len(result.faces), journal.digest(path))

    def _clear(self, path: Path) -> None:
        """Remove an old result: while its photo's files are replaced one by one it must not vouch for them."""
        try:
            if path.stat().st_size and not result_json.looks_like_result(path):
                raise FormatError(f"{path}: is not hrlm's and would be lost: move it or give another --out")
            path.unlink()
        except FileNotFoundError:
            pass
        except OSError as e:
            raise WriteError(path, e) from e
