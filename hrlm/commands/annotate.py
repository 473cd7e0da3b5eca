"""hrlm annotate: landmarks drawn on photos at full resolution, from results or detected first."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hrlm.commands.shared import (
    Device,
    DeviceOption,
    ModelOption,
    NullOption,
    QuietOption,
    conclude,
    given_paths,
    photos_to_do,
    refuse,
)

if TYPE_CHECKING:
    from hrlm.runs.annotate_run import Drawing, ResultFile


class Parts(StrEnum):
    """What is drawn of a face."""

    POINTS = "points"
    CONTOURS = "contours"
    BOTH = "both"


def command(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the overlays.")],
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH…", help="A folder of results or result files; or photos and folders, to detect first."
        ),
    ] = None,
    photos: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder of photos that the results were made from.")
    ] = None,
    style: Annotated[Parts, typer.Option(help="What is drawn.")] = Parts.BOTH,
    numbers: Annotated[bool, typer.Option("--numbers", help="Write each landmark's number, from 0.")] = False,
    png: Annotated[bool, typer.Option("--png", help="Write PNG instead of JPEG.")] = False,
    quality: Annotated[int, typer.Option(min=1, max=100, help="JPEG quality.")] = 92,
    scheme: Annotated[
        str | None, typer.Option(metavar="NAME_OR_FILE", help="The results' scheme, where hrlm does not carry it.")
    ] = None,
    model: ModelOption = "ibug68",
    device: DeviceOption = Device.AUTO,
    null: NullOption = False,
    quiet: QuietOption = False,
) -> None:
    """Draw landmarks on photos at full resolution: NAME.overlay.jpg.

    From a folder of results the photos are found again by the paths that the results state; from photos the landmarks
    are detected first. Exit code as of detect.
    """
    given, listed = given_paths(paths, null)

    from hrlm.errors import HrlmError
    from hrlm.render.overlay import Look
    from hrlm.runs.annotate_run import Drawing, find_results
    from hrlm.runs.sinks import prepare_folder

    drawing = Drawing(out, Look(style.value, numbers), quality, png, photos, scheme)
    results = find_results(given)
    if not results and photos is not None:
        refuse(f"nothing to do: no results in {', '.join(given)}: give the folder that hrlm detect wrote")
    try:
        if results:
            prepare_folder(out)
            _from_results(results, drawing, quiet)
        else:
            _from_photos(given, listed, drawing, model, device, quiet)
    except HrlmError as e:
        refuse(str(e))


def _from_results(results: list[ResultFile], drawing: Drawing, quiet: bool) -> None:
    from hrlm.photos import open_photo
    from hrlm.runs.ahead import stop_on_interrupt
    from hrlm.runs.annotate_run import annotate_results
    from hrlm.runs.report import Reporter

    with (
        Reporter(len(results), quiet) as reporter,
        stop_on_interrupt(lambda: reporter.say("finishing the photos in hand …")) as stop,
    ):
        summary = annotate_results(results, open_photo, drawing, reporter, stop)
    conclude(summary, reporter)


def _from_photos(given: list[str], listed: bool, drawing: Drawing, model: str, device: Device, quiet: bool) -> None:
    found = photos_to_do(given, listed, drawing.out)

    from hrlm.detector import Detector
    from hrlm.photos import open_photo
    from hrlm.runs import sinks
    from hrlm.runs.ahead import stop_on_interrupt
    from hrlm.runs.detect_run import detect_photos
    from hrlm.runs.report import Reporter

    sinks.prepare_folder(drawing.out)
    detector = Detector(model, device=device.value)
    overlays = sinks.overlay_sink(drawing.out, detector.scheme, drawing.look, drawing.quality, drawing.png)
    with (
        Reporter(len(found.sources), quiet) as reporter,
        stop_on_interrupt(lambda: reporter.say("finishing the photos in hand …")) as stop,
    ):
        for problem in found.problems:
            reporter.problem(problem)
        summary = detect_photos(found.sources, detector, open_photo, [overlays], reporter, stop=stop)
        summary.problems[:0] = found.problems
    conclude(summary, reporter)
