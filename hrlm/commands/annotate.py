"""hrlm annotate: pictures and measures of landmarks, from results or detected first."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from hrlm.commands.shared import (
    FAILED,
    Device,
    DeviceOption,
    MaxPixelsOption,
    ModelOption,
    NullOption,
    QuietOption,
    TimeoutOption,
    amount,
    conclude,
    given_paths,
    photos_to_do,
    refuse,
    tell_pairs,
)
from hrlm.formats.catalogue import FORMATS

if TYPE_CHECKING:
    from hrlm.photos import IsolatedOpener
    from hrlm.render.overlay import Style
    from hrlm.runs.annotate_run import Order, ResultFile
    from hrlm.runs.discovery import Problem

# as hrlm.render.overlay has them, which would take --help a second to import
STYLES: tuple[Style, ...] = ("points", "contours", "mesh", "ellipses")


class Sheet(StrEnum):
    """Files that contact sheets come in."""

    PDF = "pdf"
    JPEG = "jpeg"


class Sort(StrEnum):
    """Order on contact sheets."""

    WORST = "worst"
    BEST = "best"
    NAME = "name"


def command(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH…", help="A folder of results or result files; or photos and folders, to detect first."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder for what is made.")] = None,
    photos: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder of photos that the results were made from.")
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="A page in the browser, on this machine alone, to look and correct.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of that page; 0 for any that is free.")] = 0,
    export: Annotated[
        str | None, typer.Option(metavar="FORMAT", help=f"Write the landmarks for other tools: {', '.join(FORMATS)}.")
    ] = None,
    import_: Annotated[
        tuple[str, Path] | None,
        typer.Option("--import", metavar="FORMAT FILE", help="Take corrections made there from its file or folder."),
    ] = None,
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Landmarks on the photo (made when nothing else is asked for).")
    ] = False,
    closeups: Annotated[
        bool, typer.Option("--closeups", help="Each region of a face at the photo's own pixels, on one sheet.")
    ] = False,
    compare: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Vectors from other landmarks, results or .pts, and the NME."),
    ] = None,
    masks: Annotated[bool, typer.Option("--masks", help="Masks of skin, eyes, brows, nose and lips, as PNG.")] = False,
    crops: Annotated[
        bool, typer.Option("--crops", help="Aligned faces at the photo's own density: FFHQ's way, and upright.")
    ] = False,
    measures: Annotated[
        bool, typer.Option("--measures", help="Openings, heights, asymmetries and pose of each face: measures.csv.")
    ] = False,
    sheet: Annotated[Sheet | None, typer.Option(help="Contact sheets of all photos.")] = None,
    sort: Annotated[Sort, typer.Option(help="Contact sheets: least or most certain first, or by name.")] = Sort.WORST,
    style: Annotated[
        str, typer.Option(metavar="points,…", help=f"What is drawn: {', '.join(STYLES)}.")
    ] = "points,contours",
    numbers: Annotated[bool, typer.Option("--numbers", help="Write each landmark's number, from 0.")] = False,
    png: Annotated[bool, typer.Option("--png", help="Write PNG instead of JPEG.")] = False,
    quality: Annotated[int, typer.Option(min=1, max=100, help="JPEG quality.")] = 92,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Make again what is already there, exported files that were changed too."),
    ] = False,
    scheme: Annotated[
        str | None, typer.Option(metavar="NAME_OR_FILE", help="The results' scheme, where hrlm does not carry it.")
    ] = None,
    model: ModelOption = "ibug68",
    device: DeviceOption = Device.AUTO,
    max_pixels: MaxPixelsOption = "400M",
    timeout: TimeoutOption = 60,
    null: NullOption = False,
    quiet: QuietOption = False,
) -> None:
    """Draw, cut out, mask and measure faces by their landmarks.

    From a folder of results the photos are found again by the paths that the results state; from photos the landmarks
    are detected first, and the results kept in DIR. Landmarks that were corrected are drawn as corrected. Pictures that
    are there and newer than their result stay as they are. Exit code as of detect.
    """
    given, listed = given_paths(paths, null)
    pixels = amount(max_pixels, 1000, "--max-pixels")
    if serve + bool(export) + bool(import_) > 1:
        refuse("--serve, --export and --import do one thing each: give one of them")
    if serve:
        _serve(given, photos, scheme, port)
    if import_:
        _import(given, import_, photos, scheme)
    if out is None:
        refuse("give a folder for what is made with --out")
    if export:
        _export(given, export, out, photos, scheme, overwrite)
    styles = _styles(style)
    if compare is not None and not compare.is_dir():
        refuse(f"--compare {compare}: is no folder: give one with results or .pts files")

    from hrlm.errors import HrlmError
    from hrlm.photos import IsolatedOpener
    from hrlm.render.overlay import Look
    from hrlm.runs.ahead import thread_count
    from hrlm.runs.annotate_run import Order, find_results
    from hrlm.runs.pictures import Wanted
    from hrlm.runs.sinks import prepare_folder

    alone = not (closeups or compare or masks or crops or measures or sheet)
    wanted = Wanted(
        Look(styles, numbers),
        overlay or alone,
        closeups,
        masks,
        crops,
        compare,
        sheet.value if sheet else "",
        sort.value,
        measures,
        png,
        quality,
        overwrite,
    )
    order = Order(out, wanted, photos, scheme)
    opener = partial(IsolatedOpener, thread_count(), timeout, pixels)
    strange: list[Problem] = []
    results = find_results(given, out, strange)
    if not results and photos is not None:
        refuse(f"nothing to do: no results in {', '.join(given)}: give the folder that hrlm detect wrote")
    try:
        if results:
            prepare_folder(out)
            _from_results(results, strange, order, opener, quiet)
        else:
            _from_photos(given, listed, order, opener, model, device, quiet)
    except HrlmError as e:
        refuse(str(e))


def _serve(given: list[str], photos: Path | None, scheme: str | None, port: int) -> NoReturn:
    from hrlm.errors import HrlmError

    folder = _folder(given, "--serve")
    try:
        from hrlm.review.app import serve

        serve(folder, photos, scheme, port)
    except HrlmError as e:
        refuse(str(e))
    raise typer.Exit(0)


def _export(
    given: list[str], name: str, out: Path, photos: Path | None, scheme: str | None, overwrite: bool
) -> NoReturn:
    from hrlm.errors import HrlmError
    from hrlm.review.exchange import export_results, scheme_of
    from hrlm.runs.annotate_run import find_results
    from hrlm.runs.report import counted
    from hrlm.runs.sinks import prepare_folder

    _known_format(name, "--export")
    problems: list[str] = []
    try:
        results = find_results(given, out)
        if not results:
            refuse(f"nothing to do: no results in {', '.join(given)}: give the folder that hrlm detect wrote")
        prepare_folder(out)
        own = scheme_of(results, scheme)
        count = export_results(results, FORMATS[name], out, photos, own, problems, overwrite)
    except HrlmError as e:
        refuse(str(e))
    _told(f"{counted(count, 'photo')} written to {out}", problems)


def _import(given: list[str], what: tuple[str, Path], photos: Path | None, scheme: str | None) -> NoReturn:
    from hrlm.errors import HrlmError
    from hrlm.review.exchange import import_corrections, scheme_of
    from hrlm.runs.annotate_run import find_results
    from hrlm.runs.report import counted

    name, path = what
    _known_format(name, "--import")
    folder = _folder(given, "--import")
    problems: list[str] = []
    try:
        results = find_results([str(folder)])
        if not results:
            refuse(f"nothing to do: no results in {folder}: give the folder that hrlm detect wrote")
        own = scheme_of(results, scheme)
        done = import_corrections(results, FORMATS[name], path, folder, photos, own, problems)
    except HrlmError as e:
        refuse(str(e))
    _told(f"{counted(done.corrected, 'photo')} corrected, {done.unchanged} came back unchanged", problems)


def _known_format(name: str, option: str) -> None:
    if name not in FORMATS:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(FORMATS)}", param_hint=option)


def _folder(given: list[str], option: str) -> Path:
    if len(given) != 1 or not Path(given[0]).is_dir():
        refuse(f"{option} works on one folder of results: give the folder that hrlm detect wrote")
    return Path(given[0])


def _told(summary: str, problems: list[str]) -> NoReturn:
    from hrlm.runs.report import one_line

    for problem in problems:
        typer.echo(one_line(problem), err=True)
    typer.echo(f"{summary}, {len(problems)} failed", err=True)
    raise typer.Exit(FAILED if problems else 0)


def _styles(text: str) -> tuple[Style, ...]:
    given = {name.strip().lower() for name in text.split(",")}
    for name in sorted(given - set(STYLES)):
        raise typer.BadParameter(f"{name!r} is none of {', '.join(STYLES)}", param_hint="--style")
    return tuple(style for style in STYLES if style in given)


def _from_results(
    results: list[ResultFile], strange: list[Problem], order: Order, opener: Callable[[], IsolatedOpener], quiet: bool
) -> None:
    from hrlm.runs.ahead import stop_on_interrupt
    from hrlm.runs.annotate_run import Collected, annotate_results, finish
    from hrlm.runs.report import Reporter

    collected = Collected()
    with (
        Reporter(len(results), quiet) as reporter,
        stop_on_interrupt(lambda: reporter.say("finishing the photos in hand …")) as stop,
        opener() as isolated,
    ):
        for problem in strange:
            reporter.problem(problem)
        summary = annotate_results(results, isolated.open, order, collected, reporter, stop)
        summary.problems[:0] = strange
        summary.stopped_by = stop.signal
        finish(order, [r.result for r in results], collected, summary, reporter)
    conclude(summary, reporter)


def _from_photos(
    given: list[str],
    listed: bool,
    order: Order,
    opener: Callable[[], IsolatedOpener],
    model: str,
    device: Device,
    quiet: bool,
) -> None:
    # an earlier run may have left pictures and results there
    found = photos_to_do(given, listed, order.out)

    from hrlm.detector import Detector
    from hrlm.runs import annotate_run
    from hrlm.runs.ahead import stop_on_interrupt
    from hrlm.runs.detect_run import detect_photos
    from hrlm.runs.report import Reporter
    from hrlm.runs.sinks import prepare_folder

    prepare_folder(order.out)
    detector = Detector(model, device=device.value)
    collected = annotate_run.Collected()
    known = {}
    if not order.wanted.overwrite:
        known = annotate_run.reusable(found.sources, order.out, detector.info, detector.weights)
    fresh = [source for source in found.sources if source.result not in known]
    sink = annotate_run.annotate_sink(order, detector.scheme, collected)
    with ExitStack() as stack:
        reporter = stack.enter_context(Reporter(len(found.sources), quiet))
        stop = stack.enter_context(stop_on_interrupt(lambda: reporter.say("finishing the photos in hand …")))
        open_photo = stack.enter_context(opener()).open
        tell_pairs(found, reporter)
        for problem in found.problems:
            reporter.problem(problem)
        summary = annotate_run.annotate_results(
            list(known.values()), open_photo, order, collected, reporter, stop, detector.scheme
        )
        if not summary.hopeless:
            detected = detect_photos(fresh, detector, open_photo, [sink], reporter, stop=stop)
            summary = annotate_run.together(summary, detected)
        summary.problems[:0] = found.problems
        summary.stopped_by = stop.signal
        annotate_run.finish(order, [source.result for source in found.sources], collected, summary, reporter)
    conclude(summary, reporter)
