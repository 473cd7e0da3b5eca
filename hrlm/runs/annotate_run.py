"""Overlays from results: finds each result's photo again, draws and writes, several at a time."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePath

from hrlm.errors import FormatError, HrlmError
from hrlm.formats import json as result_json
from hrlm.formats.atomic import WriteError
from hrlm.photos import Photo
from hrlm.render.overlay import Look
from hrlm.results import PhotoInfo, PhotoResult
from hrlm.runs.ahead import Window, ahead, thread_count
from hrlm.runs.discovery import Problem
from hrlm.runs.report import Reporter, Summary, reason_of
from hrlm.runs.sinks import write_overlay
from hrlm.schemes import load_scheme

RESULT_SUFFIX = ".json"


@dataclass(frozen=True)
class ResultFile:
    """A result file and its path below the results folder, without suffix."""

    file: Path
    result: PurePath


@dataclass(frozen=True)
class Drawing:
    """How and where overlays are written.

    Args:
        out: the output folder.
        photos: the folder that the results mirror; None to find photos as the results name them.
        scheme: a scheme's file; None for the one that each result names.
    """

    out: Path
    look: Look
    quality: int = 92
    png: bool = False
    photos: Path | None = None
    scheme: str | None = None


def find_results(paths: Sequence[str]) -> list[ResultFile]:
    """Result files that are given or lie below given folders, sorted; other files are left out."""
    found: dict[Path, ResultFile] = {}
    for path in map(Path, paths):
        if path.is_dir():
            names = (Path(folder, name) for folder, _, files in os.walk(path) for name in files)
            files = sorted(f for f in names if f.suffix == RESULT_SUFFIX and result_json.looks_like_result(f))
            top = path
        else:
            # a result that is given by name is read, and its fault told, whatever it holds
            files = [path] if path.suffix == RESULT_SUFFIX else []
            top = path.parent
        for file in files:
            found.setdefault(file.absolute(), ResultFile(file, file.relative_to(top).with_suffix("")))
    return list(found.values())


def find_photo(item: ResultFile, info: PhotoInfo, photos: Path | None) -> Path:
    """Where a result's photo lies.

    Below `photos`, by the path that the result states or by the result's own place; else at the stated path as it is,
    or beside the result.

    Raises:
        HrlmError: at none of these places.
    """
    if photos is not None:
        places = [photos / info.path, photos / item.result.parent / PurePath(info.path).name]
        cure = "check --photos"
    else:
        places = [Path(info.path), item.file.parent / PurePath(info.path).name]
        cure = "give the folder that was detected with --photos"
    for place in places:
        if place.is_file():
            return place
    raise HrlmError(f"{item.file}: its photo {info.path} is not found: {cure}")


def annotate_results(
    items: Sequence[ResultFile],
    open_photo: Callable[[str], Photo],
    drawing: Drawing,
    reporter: Reporter,
    stop: threading.Event | None = None,
) -> Summary:
    """Draw an overlay for every result; what goes wrong with one is recorded, and the run goes on.

    A full or read-only disk ends the run. Once `stop` is set no further result is begun.
    """
    start = time.monotonic()
    stop = stop or threading.Event()
    summary = Summary()
    hopeless = False
    window = Window(2 * thread_count())

    def draw(item: ResultFile) -> tuple[int, str, bool]:
        try:
            result = result_json.read(item.file)
            photo = _photo_of(item, result, open_photo, drawing.photos)
            window.saw(photo.pixels.nbytes)
            scheme = load_scheme(drawing.scheme or result.model.scheme)
            path = drawing.out / item.result
            write_overlay(path, photo, result, scheme, drawing.look, drawing.quality, drawing.png)
        except WriteError as e:
            return 0, str(e), e.hopeless
        except HrlmError as e:
            return 0, str(e), False
        except Exception as e:
            return 0, f"cannot be drawn ({reason_of(e)})", False
        return len(result.faces), "", False

    try:
        with ThreadPoolExecutor(thread_count(), "hrlm") as pool:
            wanted = takewhile(lambda _: not stop.is_set(), items)
            for item, future in ahead(pool, draw, wanted, window):
                faces, reason, fatal = future.result()
                summary.photos += 1
                if not reason:
                    summary.faces += faces
                    summary.without_face += not faces
                elif not hopeless:
                    summary.problems.append(Problem(str(item.file), reason))
                    reporter.problem(summary.problems[-1])
                reporter.step()
                if fatal:
                    hopeless = True
                    stop.set()
        summary.interrupted = stop.is_set() and not hopeless and summary.photos < len(items)
    except KeyboardInterrupt:
        summary.interrupted = True
    summary.seconds = time.monotonic() - start
    return summary


def _photo_of(item: ResultFile, result: PhotoResult, open_photo: Callable[[str], Photo], photos: Path | None) -> Photo:
    photo = open_photo(str(find_photo(item, result.photo, photos)))
    info = result.photo
    if (photo.width, photo.height) != (info.width, info.height):
        raise FormatError(
            f"{item.file}: is of a photo of {info.width} x {info.height}, {photo.path} has "
            f"{photo.width} x {photo.height}: give the photo as it was, or run hrlm detect again"
        )
    return photo
