"""hrlm benchmark: how accurate and how fast, on photos with ground truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hrlm.commands.shared import FAILED, Device, DeviceOption, ModelOption, Quality, QualityOption, QuietOption, refuse

if TYPE_CHECKING:
    from hrlm.detector import Detector
    from hrlm.evaluation.report import Report

NATIVE = "native"
INTERRUPTED = 130


def command(
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA…", help="Folders of photos with NAME.pts, or NAME_1.pts, NAME_2.pts … beside them."
        ),
    ],
    resolutions: Annotated[
        str | None,
        typer.Option(
            metavar="64,128,native", help="Also measure on photos reduced until the face is so many pixels wide."
        ),
    ] = None,
    speed: Annotated[bool, typer.Option("--speed", help="Also time detection and mere decoding.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write every figure there.")] = None,
    model: ModelOption = "ibug68",
    device: DeviceOption = Device.AUTO,
    quality: QualityOption = Quality.BEST,
    quiet: QuietOption = False,
) -> None:
    """Measure landmark errors on annotated photos, for the full system and for its global network alone.

    Faces that no annotation speaks of are left aside. A photo or landmark file that cannot be read is named and passed
    over. Exit code: 0 all well, 1 some files were passed over, 2 wrong usage or nothing to do, 130 interrupted.
    """
    widths = _widths(resolutions)

    from hrlm.detector import Detector
    from hrlm.errors import HrlmError
    from hrlm.evaluation.measure import measure
    from hrlm.evaluation.report import Report
    from hrlm.evaluation.speed import measure_speed
    from hrlm.formats.truth import find_truth
    from hrlm.photos import open_photo
    from hrlm.runs.report import Reporter, counted
    from hrlm.runs.sinks import prepare_folder

    try:
        found = find_truth(data)
        if json_file:
            prepare_folder(json_file.parent)
        full = Detector(model, device=device.value, quality=quality.value)
        systems = {"full": full, "global alone": Detector(model, device=device.value, quality=quality.value, levels=0)}
        with Reporter(len(found.annotated), quiet) as reporter:
            if found.without:
                reporter.say(f"{counted(found.without, 'photo')} without ground truth left aside")

            def problem(message: str) -> None:
                reporter.say(message, always=True)

            for message in found.problems:
                problem(message)
            reduced = [w for w in widths if w is not None]
            measured = measure(found.annotated, systems, open_photo, reduced, reporter.step, problem)
            if not measured.native:
                refuse("nothing to measure: no annotated photo could be read")
            timed = None
            if speed:
                reporter.say("timing …")
                files = list(dict.fromkeys(Path(f.photo) for f in measured.native))
                timed = measure_speed(files, lambda: _detect(files, full))
        measured.problems[:0] = found.problems
        about = {"data": ", ".join(map(str, data)), "model": full.info.name, "version": full.info.version}
        report = Report(measured, full.scheme, widths, timed, {**about, "device": str(full.device)})
        _print(report)
        if json_file:
            report.write(json_file)
    except HrlmError as e:
        refuse(str(e))
    except KeyboardInterrupt:
        typer.echo("hrlm: interrupted", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if measured.problems:
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


def _detect(files: list[Path], detector: Detector) -> None:
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

    out = Console(highlight=False)
    if not out.is_terminal:
        # a file or pipe has no width of its own: tables must not lose columns to a guessed one
        out.width = 120
    for table in report.tables():
        out.print(table)
