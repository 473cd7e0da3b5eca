"""hrlm benchmark: how accurate, how steady and how fast, on photos with and without ground truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hrlm.commands.shared import (
    FAILED,
    Device,
    DeviceOption,
    LevelsOption,
    MaxPixelsOption,
    ModelOption,
    Quality,
    QualityOption,
    QuietOption,
    SymmetricOption,
    TimeoutOption,
    amount,
    refuse,
)

if TYPE_CHECKING:
    from hrlm.detector import Detector
    from hrlm.evaluation.data import Sample
    from hrlm.evaluation.report import Report
    from hrlm.evaluation.speed import Timing

NATIVE = "native"
INTERRUPTED = 130
FULL, ALONE = "full", "global alone"


class Boxes(StrEnum):
    """Who says where the faces are."""

    FINDER = "finder"
    TRUTH = "truth"


def command(
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA…",
            help="Folders of photos with NAME.pts, NAME_1.pts … or NAME.tem beside them, or tables: CSV, COCO …",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Write report.html, report.json and pictures.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write every figure there.")] = None,
    resolutions: Annotated[
        str | None,
        typer.Option(
            metavar="64,128,native", help="Also measure on photos reduced until the face is so many pixels wide."
        ),
    ] = None,
    save_reduced: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the reduced photos and their truth, for other detectors.")
    ] = None,
    predictions: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=DIR",
            help="Score another detector's landmark files too; NAME@64=DIR: those of photos reduced to 64. Repeatable.",
        ),
    ] = None,
    boxes: Annotated[Boxes, typer.Option(help="Where faces are: as our finder or as the truth says.")] = Boxes.FINDER,
    points_map: Annotated[
        Path | None,
        typer.Option("--map", metavar="FILE", help="YAML: which points of another template are which landmarks."),
    ] = None,
    calibration: Annotated[
        bool, typer.Option("--calibration", help="Also compare stated deviations with real errors.")
    ] = False,
    stability: Annotated[
        bool, typer.Option("--stability", help="Also measure how points move as the picture changes; needs no truth.")
    ] = False,
    frames: Annotated[
        bool, typer.Option("--frames", help="The photos of a folder are neighbouring video frames: for --stability.")
    ] = False,
    speed: Annotated[bool, typer.Option("--speed", help="Also time every stage, and measure memory.")] = False,
    model: ModelOption = "ibug68",
    device: DeviceOption = Device.AUTO,
    quality: QualityOption = Quality.BEST,
    levels: LevelsOption = None,
    symmetric: SymmetricOption = False,
    max_pixels: MaxPixelsOption = "400M",
    timeout: TimeoutOption = 60,
    quiet: QuietOption = False,
) -> None:
    """Measure landmark errors on annotated photos, for the full system and for its global network alone.

    Faces that no annotation speaks of are left aside. A photo or landmark file that cannot be read is named and passed
    over. Exit code: 0 all well, 1 some files were passed over or not written, 2 wrong usage or nothing to do, 130
    interrupted.
    """
    widths = _widths(resolutions)
    reduced = [w for w in widths if w is not None]
    peers = _peers(predictions or [], reduced)
    pixels = amount(max_pixels, 1000, "--max-pixels")
    if frames and not stability:
        raise typer.BadParameter("needs --stability", param_hint="--frames")
    if save_reduced and not reduced:
        raise typer.BadParameter("needs --resolutions with a width", param_hint="--save-reduced")
    if json_file and json_file.is_dir():
        refuse(f"--json {json_file}: is a folder: give a file in it")

    from hrlm.detector import Detector
    from hrlm.errors import DataError, HrlmError
    from hrlm.evaluation.correspondence import correspondences
    from hrlm.evaluation.data import Data, find_data
    from hrlm.evaluation.keeping import Keeper
    from hrlm.evaluation.measure import measure
    from hrlm.evaluation.report import Report
    from hrlm.evaluation.stability import measure_stability, stability_rows
    from hrlm.evaluation.systems import FileSystem, FindingSystem, GivenBoxSystem, System
    from hrlm.photos import IsolatedOpener
    from hrlm.runs.report import Reporter, counted, reason_of
    from hrlm.runs.sinks import prepare_folder

    problems: list[str] = []
    try:
        if out:
            from hrlm.evaluation.page import write_report
        for folder in (out, save_reduced, json_file.parent if json_file else None):
            if folder:
                prepare_folder(folder)
        full = Detector(model, device=device.value, levels=levels, quality=quality.value, habits=not symmetric)
        alone = Detector(model, device=device.value, quality=quality.value, levels=0, habits=not symmetric)
        maps = correspondences(full.scheme, points_map)
        try:
            found = find_data(data, full.scheme, maps)
        except DataError:
            if not stability or not all(p.exists() for p in data):
                raise
            found = Data()
        kind = FindingSystem if boxes is Boxes.FINDER else GivenBoxSystem
        systems: dict[str, System] = {FULL: kind(full), ALONE: kind(alone)}
        for name, places in peers.items():
            systems[name] = FileSystem(places, found.samples, full.scheme, maps, found.problems.append)
        photos = _photos(data, found.samples) if stability else []
        with IsolatedOpener(1, timeout, pixels) as opener, ExitStack() as stack:

            def reporter(total: int) -> Reporter:
                stack.close()
                return stack.enter_context(Reporter(total, quiet))

            talk = reporter(len(found.samples))

            def problem(message: str) -> None:
                problems.append(message)
                talk.say(message, always=True)

            if found.without:
                talk.say(f"{counted(found.without, 'photo')} without ground truth left aside")
            for message in found.problems:
                problem(message)
            keep = Keeper(save_reduced, found.samples) if save_reduced else None
            measured = measure(found.samples, systems, opener.open, reduced, talk.step, problem, keep)
            if keep and keep.lacking:
                talk.say(f"{counted(keep.lacking, 'reduced photo')} kept without truth: some landmark of it is unknown")
            if not measured.native and not stability:
                refuse("nothing to measure: no annotated photo could be read")
            moved = []
            if stability:
                talk = reporter(len(photos))
                talk.say(f"stability of {counted(len(photos), 'photo')} …")
                moved = measure_stability(photos, {FULL: full, ALONE: alone}, opener.open, frames, talk.step, problem)
                if not (measured.native or moved):
                    refuse("nothing to measure: no face found in any photo")
            timing = None
            if speed:
                files = list(dict.fromkeys(Path(f.photo) for f in measured.native)) or photos
                talk = reporter(0)
                talk.say("timing …")
                timing = _time(files, full, alone, model, levels, problem)
            about = {
                "data": ", ".join(map(str, data)),
                "model": full.info.name,
                "version": full.info.version,
                "device": str(full.device),
                "quality": quality.value,
                "levels": str(full.levels),
                "habits": "left out" if symmetric else "the annotators'",
                "boxes": boxes.value,
            }
            report = Report(full.scheme, about, measured, widths, calibration, stability_rows(moved), timing, problems)
            writing: list[tuple[Path, Callable[[], None]]] = []
            if json_file:
                writing.append((json_file, lambda: report.write(json_file)))
            if out:
                writing.append((out, lambda: write_report(report, out, opener.open)))
            # before the tables: what reads them through a pipe may go away
            for place, write in writing:
                try:
                    write()
                # the figures may be hours of work: the tables must still tell them
                except Exception as e:
                    problem(str(e) if isinstance(e, HrlmError) else f"{place}: cannot be written ({reason_of(e)})")
        _print(report)
    except HrlmError as e:
        refuse(str(e))
    except KeyboardInterrupt:
        typer.echo("hrlm: interrupted", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if problems:
        raise typer.Exit(FAILED)


def _widths(text: str | None) -> list[int | None]:
    """Face widths in pixels, None for the photos as they are."""
    widths: list[int | None] = []
    for word in [] if text is None else text.split(","):
        word = word.strip().lower()
        if word != NATIVE and not (word.isdecimal() and int(word) >= 8):
            raise typer.BadParameter(
                f"{word!r} is neither a width of at least 8 pixels nor {NATIVE}", param_hint="--resolutions"
            )
        width = None if word == NATIVE else int(word)
        if width not in widths:
            widths.append(width)
    return widths


def _peers(given: Sequence[str], widths: Sequence[int]) -> dict[str, dict[int | None, Path]]:
    """By detector's name, where its files are for each face width (None: the photos as they are)."""
    peers: dict[str, dict[int | None, Path]] = {}
    for text in given:
        name, equals, place = text.partition("=")
        # an "@" with a number is the width's, another one the name's own
        head, at, width = name.rpartition("@")
        name, at = (head, at) if at and width.isdecimal() else (name, "")
        width_of = int(width) if at else None
        named = name and name.isprintable() and name not in (FULL, ALONE)
        if not (named and equals and place) or width_of in peers.get(name, {}):
            raise typer.BadParameter(f"{text!r} is not NAME=DIR with a name of its own", param_hint="--predictions")
        if at and width_of not in widths:
            raise typer.BadParameter(f"{text!r}: --resolutions lacks {width}", param_hint="--predictions")
        peers.setdefault(name, {})[width_of] = Path(place)
    for name, places in peers.items():
        if None not in places:
            raise typer.BadParameter(f"{name}=DIR for the photos as they are is missing", param_hint="--predictions")
    return peers


def _photos(data: Sequence[Path], samples: Sequence[Sample]) -> list[Path]:
    """All photos of the data, with and without truth, and those that tables and corrections speak of."""
    from hrlm.evaluation.data import TABLE_SUFFIXES
    from hrlm.photos import PHOTO_SUFFIXES
    from hrlm.runs.discovery import find_photos

    given = [str(p) for p in data if p.suffix.lower() not in TABLE_SUFFIXES]
    lying = [source.file for source in find_photos(given, PHOTO_SUFFIXES, globs=False).sources] if given else []
    known = {file.resolve() for file in lying}
    return lying + list(dict.fromkeys(s.photo for s in samples if s.photo.resolve() not in known))


def _time(
    files: Sequence[Path],
    full: Detector,
    alone: Detector,
    model: str,
    levels: int | None,
    problem: Callable[[str], None],
) -> Timing | None:
    """Time and memory on some of the files; None, and `problem` told, where that cannot be."""
    from hrlm.errors import HrlmError
    from hrlm.evaluation.speed import Timing, files_to_time, measure_memory, measure_speed, measure_stages

    files = files_to_time(files)
    if not files:
        problem("no speed: Pillow, which it is compared with, can decode none of the photos")
        return None
    try:
        stages = measure_stages(files, full, alone)
        whole = measure_speed(files, lambda: _detect(files, full))
    except HrlmError as e:
        problem(f"no speed: {e}")
        return None
    try:
        memory = measure_memory(files[0], model, str(full.device), full.quality, levels)
    except HrlmError as e:
        problem(f"no memory: {e}")
        memory = []
    return Timing(whole, stages, memory)


def _detect(files: Sequence[Path], detector: Detector) -> None:
    """What `hrlm detect` does to the files, into a folder that does not stay."""
    from tempfile import TemporaryDirectory

    from hrlm.photos import PHOTO_SUFFIXES, open_photo
    from hrlm.runs.detect_run import detect_photos
    from hrlm.runs.discovery import find_photos
    from hrlm.runs.report import Reporter
    from hrlm.runs.sinks import json_sink

    sources = find_photos([str(f) for f in files], PHOTO_SUFFIXES, globs=False).sources
    with TemporaryDirectory() as folder, Reporter(len(sources), quiet=True) as reporter:
        summary = detect_photos(sources, detector, open_photo, [json_sink(Path(folder))], reporter)
    if summary.interrupted:
        raise KeyboardInterrupt


def _print(report: Report) -> None:
    from rich.console import Console

    from hrlm.evaluation.tables import for_terminal, sheets

    out = Console(highlight=False)
    wide = out.options.update(max_width=10_000)
    for sheet in sheets(report):
        if not sheet.long:
            table = for_terminal(sheet)
            # a narrow terminal breaks the lines: better than figures that are cut off
            out.width = table.__rich_measure__(out, wide).maximum
            out.print(table)
