"""Pictures and measures from results: finds each result's photo again, draws and writes, several at a time."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path, PurePath

import numpy as np

from hrlm import measures
from hrlm.errors import FormatError, HrlmError
from hrlm.formats import correcting, csv
from hrlm.formats import json as result_json
from hrlm.formats.atomic import WriteError, replacing, write_whole
from hrlm.photos import Photo
from hrlm.photos.written import jpeg_bytes
from hrlm.render import sheet
from hrlm.render.pdf import write_pdf
from hrlm.results import ModelInfo, PhotoInfo, PhotoResult
from hrlm.runs.ahead import Window, ahead, thread_count
from hrlm.runs.discovery import Problem, Source, absolute, common_root, mirrored
from hrlm.runs.journal import noted
from hrlm.runs.pictures import Plan, Wanted, plan, write_pictures
from hrlm.runs.report import Reporter, Summary, reason_of
from hrlm.runs.review import concern
from hrlm.runs.sinks import PhotoSink, with_suffix, write_result
from hrlm.schemes import Scheme, load_scheme

RESULT_SUFFIX = ".json"
MEASURES_FILE = "measures.csv"
MEASURES_HEAD = ("photo", "face", "score", "flags")
SHEET = "sheet"
_PAGE = re.compile(SHEET + r"_(\d+)\.jpg")


@dataclass(frozen=True)
class ResultFile:
    """A result file and its path below the results folder, without suffix; its photo's file where that is known."""

    file: Path
    result: PurePath
    photo: Path | None = None


@dataclass(frozen=True)
class Order:
    """Where everything goes and what it is.

    Args:
        out: the output folder.
        photos: the folder that the results mirror; None to find photos as the results name them.
        scheme: a scheme's file; None for the one that each result names.
    """

    out: Path
    wanted: Wanted
    photos: Path | None = None
    scheme: str | None = None


@dataclass
class Collected:
    """What only a whole run can write, by the photo's result path: rows of measures and entries of the sheet."""

    rows: dict[PurePath, list[list[str]]] = field(default_factory=dict)
    entries: dict[PurePath, sheet.Entry] = field(default_factory=dict)

    def take(self, name: PurePath, result: PhotoResult, scheme: Scheme, todo: Plan, wanted: Wanted) -> None:
        """Measure a photo's faces and note its place on the sheet."""
        if wanted.measures:
            self.rows[name] = [
                [
                    csv.name_cell(result.photo.path),
                    str(i),
                    f"{f.score:.4f}",
                    " ".join(f.flags),
                    *measures.row(f, scheme),
                ]
                for i, f in enumerate(result.faces)
            ]
        if todo.thumbnail is not None:
            worst = max(result.faces, key=lambda f: concern(f, scheme), default=None)
            much = np.inf if worst is None else concern(worst, scheme)
            remark = "no face" if worst is None else " ".join([f"{much:.3f}", *worst.flags])
            self.entries[name] = sheet.Entry(result.photo.path, todo.thumbnail, much, remark)


def find_results(
    paths: Sequence[str], exclude: Path | None = None, problems: list[Problem] | None = None
) -> list[ResultFile]:
    """Result files that are given or lie below given folders, sorted; other files of folders are left out.

    Their paths are those below the folder that holds all that was given, so that no two are alike.

    Args:
        exclude: the output folder; below a given folder it is not entered.
        problems: takes what was given and is neither a folder nor a result.
    """
    found: dict[Path, Path] = {}
    tops = []
    strange = [] if problems is None else problems
    for path in map(Path, paths):
        if path.is_dir():
            names = _walk(path, exclude)
            files = sorted(f for f in names if f.suffix == RESULT_SUFFIX and result_json.looks_like_result(f))
            tops.append(absolute(path))
        elif path.suffix == RESULT_SUFFIX and os.path.lexists(path):
            # a result that is given by name is read, and its fault told, whatever it holds
            files = [path]
            tops.append(absolute(path).parent)
        else:
            files = []
            told = "is no result: give photos in a command of their own" if path.exists() else "no such file or folder"
            strange.append(Problem(str(path), told))
        for file in files:
            found.setdefault(absolute(file), file)
    root = common_root(tops) if tops else None
    return [ResultFile(file, mirrored(there, root).with_suffix("")) for there, file in found.items()]


def _walk(top: Path, exclude: Path | None) -> Iterator[Path]:
    barred = None if exclude is None else os.path.realpath(exclude)
    for folder, folders, files in os.walk(top):
        folders[:] = [name for name in folders if os.path.realpath(Path(folder, name)) != barred]
        yield from (Path(folder, name) for name in files)


def find_photo(item: ResultFile, info: PhotoInfo, photos: Path | None) -> Path:
    """Where a result's photo lies.

    Below `photos`, by the path that the result states or by the result's own place; else where the run that made the
    result noted it, at the stated path as it is, or beside the result.

    Raises:
        HrlmError: at none of these places.
    """
    if item.photo is not None:
        return item.photo
    if photos is not None:
        places = [photos / info.path, photos / item.result.parent / PurePath(info.path).name]
        cure = "check --photos"
    else:
        places = [*noted(item.file), Path(info.path), item.file.parent / PurePath(info.path).name]
        cure = "give the folder that was detected with --photos"
    for place in places:
        if place.is_file():
            return place
    raise HrlmError(f"{item.file}: its photo {info.path} is not found: {cure}")


def reusable(sources: Sequence[Source], out: Path, model: ModelInfo, weights: Path) -> dict[PurePath, ResultFile]:
    """Results in `out` that an earlier run with the same model left, newer than their photos and the weight file."""
    found = {}
    learnt = weights.stat().st_mtime_ns
    for source in sources:
        file = with_suffix(out / source.result, RESULT_SUFFIX)
        try:
            newer = file.stat().st_mtime_ns >= max(learnt, source.file.stat().st_mtime_ns)
            if newer and result_json.read(file).model == model:
                found[source.result] = ResultFile(file, source.result, source.file)
        except (OSError, HrlmError):
            continue
    return found


def annotate_results(
    items: Sequence[ResultFile],
    open_photo: Callable[[str], Photo],
    order: Order,
    collected: Collected,
    reporter: Reporter,
    stop: threading.Event | None = None,
    own_scheme: Scheme | None = None,
) -> Summary:
    """Make what is wanted of every result; what goes wrong with one is recorded, and the run goes on.

    Pictures that are newer than their result are left as they are; a photo is decoded once, and only for a picture.
    A full or read-only disk ends the run.

    Args:
        stop: once set, no further result is begun.
        own_scheme: of all results, where it is known; else the one that each result names is loaded.
    """
    start = time.monotonic()
    stop = stop or threading.Event()
    summary = Summary()
    hopeless = False
    window = Window(2 * thread_count())
    wanted = order.wanted

    def draw(item: ResultFile) -> tuple[int, bool, str, bool]:
        """Faces, whether anything was to be done, and what went wrong, for good or not."""
        try:
            since = correcting.changed_at(item.file)
            predicted, result = correcting.current(item.file)
            scheme = own_scheme or load_scheme(order.scheme or result.model.scheme)
            todo = plan(order.out, item.result, item.file, result, scheme, wanted, since, predicted)
            if todo.pictures:
                photo = _photo_of(item, result, open_photo, order.photos)
                window.saw(photo.pixels.nbytes)
                write_pictures(todo, photo, wanted)
            collected.take(item.result, result, scheme, todo, wanted)
            if todo.lacking:
                raise HrlmError(todo.lacking)
        except WriteError as e:
            return 0, True, str(e), e.hopeless
        except HrlmError as e:
            return 0, True, str(e), False
        except Exception as e:
            return 0, True, f"cannot be drawn ({reason_of(e)})", False
        return len(result.faces), bool(todo.pictures) or wanted.measures, "", False

    try:
        with ThreadPoolExecutor(thread_count(), "hrlm") as pool:
            begun = takewhile(lambda _: not stop.is_set(), items)
            for item, future in ahead(pool, draw, begun, window):
                faces, worked, reason, fatal = future.result()
                summary.photos += worked
                summary.done += not worked
                if not reason:
                    summary.faces += faces * worked
                    summary.without_face += worked and not faces
                elif not hopeless:
                    summary.problems.append(Problem(str(item.file), reason))
                    reporter.problem(summary.problems[-1])
                reporter.step()
                if fatal:
                    hopeless = True
                    stop.set()
        summary.interrupted = stop.is_set() and not hopeless and summary.photos + summary.done < len(items)
        summary.hopeless = hopeless
    except KeyboardInterrupt:
        summary.interrupted = True
    summary.seconds = time.monotonic() - start
    return summary


def annotate_sink(order: Order, scheme: Scheme, collected: Collected) -> PhotoSink:
    """For a detection run: the result first, so that no picture is older, then what is wanted of it."""

    def sink(source: Source, photo: Photo, result: PhotoResult) -> None:
        file = with_suffix(order.out / source.result, RESULT_SUFFIX)
        write_result(file, source, result)
        # what a person corrected before stays corrected
        predicted, result = correcting.current(file)
        todo = plan(order.out, source.result, file, result, scheme, order.wanted, predicted=predicted)
        write_pictures(todo, photo, order.wanted)
        collected.take(source.result, result, scheme, todo, order.wanted)
        if todo.lacking:
            raise HrlmError(todo.lacking)

    return sink


def together(one: Summary, other: Summary) -> Summary:
    """The summary of two parts of one run."""
    return replace(
        one,
        photos=one.photos + other.photos,
        done=one.done + other.done,
        faces=one.faces + other.faces,
        without_face=one.without_face + other.without_face,
        problems=[*one.problems, *other.problems],
        seconds=one.seconds + other.seconds,
        interrupted=one.interrupted or other.interrupted,
        hopeless=one.hopeless or other.hopeless,
    )


def finish(order: Order, names: Sequence[PurePath], collected: Collected, summary: Summary, reporter: Reporter) -> None:
    """Write what only a whole run can write, unless it was interrupted; a failure is recorded in `summary`."""
    if summary.interrupted:
        return
    try:
        write_collected(order, names, collected)
    except HrlmError as e:
        summary.problems.append(Problem(str(order.out), str(e)))
        reporter.problem(summary.problems[-1])


def write_collected(order: Order, names: Sequence[PurePath], collected: Collected) -> None:
    """`measures.csv` in the order of `names`, and `sheet.pdf` or `sheet_001.jpg`, … in the wanted order.

    Raises:
        WriteError: a file cannot be written.
    """
    if order.wanted.measures:
        rows = [[*MEASURES_HEAD, *measures.header()], *(r for name in names for r in collected.rows.get(name, ()))]
        write_whole(order.out / MEASURES_FILE, b"".join(map(csv.line, rows)))
    if order.wanted.sheet:
        entries = [collected.entries[name] for name in names if name in collected.entries]
        if order.wanted.sort != "name":
            entries.sort(key=lambda e: e.concern, reverse=order.wanted.sort == "worst")
        if order.wanted.sheet == "pdf":
            with replacing(order.out / f"{SHEET}.pdf") as file:
                write_pdf(file, sheet.pages(entries), sheet.DPI)
        else:
            _write_pages(order.out, entries)


def _write_pages(out: Path, entries: Sequence[sheet.Entry]) -> None:
    count = 0
    for count, page in enumerate(sheet.pages(entries), start=1):
        write_whole(out / f"{SHEET}_{count:03}.jpg", jpeg_bytes(np.asarray(page)))
    for path in out.iterdir():
        # pages of an earlier, longer sheet
        if (match := _PAGE.fullmatch(path.name)) and int(match[1]) > count:
            path.unlink(missing_ok=True)


def _photo_of(item: ResultFile, result: PhotoResult, open_photo: Callable[[str], Photo], photos: Path | None) -> Photo:
    photo = open_photo(str(find_photo(item, result.photo, photos)))
    info = result.photo
    if (photo.width, photo.height) != (info.width, info.height):
        raise FormatError(
            f"{item.file}: is of a photo of {info.width} x {info.height}, {photo.path} has "
            f"{photo.width} x {photo.height}: give the photo as it was, or run hrlm detect again"
        )
    return photo
