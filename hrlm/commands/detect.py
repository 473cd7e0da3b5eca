"""hrlm detect: landmarks of every face of photos and folders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hrlm.commands.shared import (
    Device,
    DeviceOption,
    ModelOption,
    NullOption,
    Quality,
    QualityOption,
    QuietOption,
    conclude,
    given_paths,
    photos_to_do,
    refuse,
)

if TYPE_CHECKING:
    from hrlm.runs.discovery import Source

FORMATS = ("json", "pts", "csv")


class Wanted(StrEnum):
    """Which of a photo's faces are wanted."""

    ALL = "all"
    LARGEST = "largest"


def command(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the results.")],
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATHS…", help="Photos, folders (with all below them), patterns, or - for a list on standard input."
        ),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format", metavar="pts,csv", help="Files besides NAME.json: pts a file per face, csv one table."
        ),
    ] = None,
    overlay: Annotated[bool, typer.Option("--overlay", help="Draw the landmarks: NAME.overlay.jpg.")] = False,
    faces: Annotated[Wanted, typer.Option(help="Which of a photo's faces.")] = Wanted.ALL,
    min_face: Annotated[float, typer.Option(min=0, metavar="PIXELS", help="Leave out faces narrower than this.")] = 0,
    model: ModelOption = "ibug68",
    device: DeviceOption = Device.AUTO,
    quality: QualityOption = Quality.BEST,
    batch: Annotated[int, typer.Option(min=1, metavar="N", help="Photos that the networks see at once.")] = 4,
    null: NullOption = False,
    quiet: QuietOption = False,
) -> None:
    """Find the facial landmarks of photos.

    Results mirror the folder of the photos: NAME.json for each. A photo that cannot be read is named and passed over,
    and listed in errors.jsonl. Exit code: 0 all well, 1 some photos failed, 2 wrong usage or nothing to do,
    130 interrupted.
    """
    wanted = _formats(formats or [])
    found = photos_to_do(*given_paths(paths, null), out)

    from hrlm.detector import Detector
    from hrlm.errors import HrlmError
    from hrlm.formats import csv
    from hrlm.photos import open_photo
    from hrlm.render.overlay import Look
    from hrlm.runs import sinks
    from hrlm.runs.ahead import stop_on_interrupt
    from hrlm.runs.detect_run import Choice, detect_photos
    from hrlm.runs.discovery import Problem
    from hrlm.runs.report import Reporter, Summary

    if "pts" in wanted and _in_place(found.sources, out):
        refuse(f"--out {out} is the photos' own folder, whose .pts files may be hand-made: choose another for pts")
    try:
        sinks.prepare_folder(out)
        detector = Detector(model, device=device.value, quality=quality.value)
    except HrlmError as e:
        refuse(str(e))
    chosen = [sinks.pts_sink(out)] if "pts" in wanted else []
    if overlay:
        chosen.append(sinks.overlay_sink(out, detector.scheme, Look()))
    # last, so that a photo with a result has all its files
    chosen.append(sinks.json_sink(out))
    with Reporter(len(found.sources), quiet) as reporter, ExitStack() as stack:
        for problem in found.problems:
            reporter.problem(problem)
        stop = stack.enter_context(stop_on_interrupt(lambda: reporter.say("finishing the photos in hand …")))
        failures: list[Problem] = []
        summary = Summary()
        try:
            with ExitStack() as table:
                add_rows = None
                if "csv" in wanted:
                    add_rows = table.enter_context(csv.writer(out / sinks.TABLE_FILE, len(detector.scheme)))
                summary = detect_photos(
                    found.sources,
                    detector,
                    open_photo,
                    chosen,
                    reporter,
                    Choice(faces.value, min_face, batch),
                    add_rows,
                    stop,
                )
                summary.problems[:0] = found.problems
        except HrlmError as e:
            failures.append(Problem(str(out / sinks.TABLE_FILE), str(e)))
        summary.problems.extend(failures)
        try:
            sinks.write_errors(out, summary.problems)
        except HrlmError as e:
            failures.append(Problem(str(out / sinks.ERRORS_FILE), str(e)))
            summary.problems.append(failures[-1])
        for problem in failures:
            reporter.problem(problem)
    conclude(summary, reporter)


def _formats(given: Sequence[str]) -> set[str]:
    names = {name.strip().lower() for item in given for name in item.split(",")}
    for name in names:
        if name not in FORMATS:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(FORMATS)}", param_hint="--format")
    return names


def _in_place(sources: Sequence[Source], out: Path) -> bool:
    places = {(s.file.parent, out / s.result.parent) for s in sources}
    return any(os.path.realpath(photos) == os.path.realpath(results) for photos, results in places)
