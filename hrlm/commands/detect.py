"""hrlm detect: landmarks of every face of photos and folders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hrlm.commands.shared import (
    Device,
    DeviceOption,
    LevelsOption,
    MaxPixelsOption,
    ModelOption,
    NullOption,
    Quality,
    QualityOption,
    QuietOption,
    SymmetricOption,
    TimeoutOption,
    amount,
    conclude,
    given_paths,
    photos_to_do,
    refuse,
    tell_pairs,
)
from hrlm.formats.catalogue import FORMATS, Format

if TYPE_CHECKING:
    from hrlm.runs.discovery import Source
    from hrlm.runs.shards import Shard

ABOUT_FORMATS = "; ".join(f"{f.name}: {f.about}" for f in FORMATS.values())


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
    null: NullOption = False,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", metavar="pts,csv,…", help=f"Files besides NAME.json. {ABOUT_FORMATS}."),
    ] = None,
    overlay: Annotated[bool, typer.Option("--overlay", help="Draw the landmarks: NAME.overlay.jpg.")] = False,
    review: Annotated[
        bool, typer.Option("--review", help="List what deserves a look, worst first: review.csv.")
    ] = False,
    jsonl: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A line of JSON for each photo as it is finished; - for standard output."),
    ] = None,
    faces: Annotated[Wanted, typer.Option(help="Which of a photo's faces.")] = Wanted.ALL,
    min_face: Annotated[
        float,
        typer.Option(
            min=0, metavar="PIXELS", help="Leave out faces smaller than this: the square root of their box's area."
        ),
    ] = 0,
    model: ModelOption = "ibug68",
    device: DeviceOption = Device.AUTO,
    quality: QualityOption = Quality.BEST,
    levels: LevelsOption = None,
    symmetric: SymmetricOption = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Do again what an earlier run into DIR has finished.")
    ] = False,
    batch: Annotated[int, typer.Option(min=1, metavar="N", help="Photos that are worked on at once.")] = 4,
    max_memory: Annotated[
        str, typer.Option(metavar="BYTES", help="For the pictures held at once, such as 500M or 4G.")
    ] = "1G",
    max_pixels: MaxPixelsOption = "400M",
    timeout: TimeoutOption = 60,
    shard: Annotated[
        str, typer.Option(metavar="K/N", help="Do share K of N: one command a machine, one DIR for all.")
    ] = "1/1",
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Work on a Ray cluster: its address, auto, or local for this machine."),
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Find the facial landmarks of photos.

    Results mirror the folder of the photos: NAME.json for each. The same command again goes on where it was stopped
    and leaves out what is done. A photo that cannot be read is named, passed over and listed in errors.jsonl. Exit
    code: 0 all well, 1 some photos failed, 2 wrong usage or nothing to do, 130 interrupted.
    """
    chosen = _formats(formats or [])
    memory, pixels = amount(max_memory, 1024, "--max-memory"), amount(max_pixels, 1000, "--max-pixels")
    found = photos_to_do(*given_paths(paths, null), out)

    from hrlm.detector import Detector
    from hrlm.errors import HrlmError
    from hrlm.runs.ahead import stop_on_interrupt
    from hrlm.runs.engine import Engine
    from hrlm.runs.journal import Journal, fingerprint
    from hrlm.runs.jsonl import forget_standard_output
    from hrlm.runs.lock import only_run
    from hrlm.runs.pipeline import Choice, Work
    from hrlm.runs.ray_run import cluster
    from hrlm.runs.report import Reporter
    from hrlm.runs.resumable import Order, plan, run_photos
    from hrlm.runs.shards import Shard
    from hrlm.runs.sinks import prepare_folder, remove_temporary
    from hrlm.runs.tables import check_tables
    from hrlm.runs.writing import Writer

    tables = tuple(format for format in chosen if not format.per_photo)
    if FORMATS["pts"] in chosen and _in_place(found.sources, out):
        refuse(f"--out {out} is the photos' own folder, whose .pts files may be hand-made: choose another for pts")
    _check_jsonl(jsonl, found.sources, out)
    with ExitStack() as stack:
        try:
            share = Shard.parse(shard)
            _keep_hand_made(found.sources, out, chosen, review, share)
            prepare_folder(out)
            stack.enter_context(only_run(out, share))
            if share.count == 1:
                # beside other shares these may be files that are being written
                remove_temporary({out, *((out / s.result).parent for s in found.sources)})
            make = partial(
                Detector, model, device=device.value, levels=levels, quality=quality.value, habits=not symmetric
            )
            detector = make()
            check_tables(tables, detector.scheme)
            what = {
                "faces": faces.value,
                "min_face": min_face,
                "quality": quality.value,
                "levels": detector.levels,
                "symmetric": symmetric,
            }
            mark = fingerprint(detector.weights, version=detector.info.version, **what)
            journal = Journal(out, share)
            if ray is not None:
                # before the signals are handled here, as Ray handles them too
                stack.enter_context(cluster(ray))
        except HrlmError as e:
            refuse(str(e))
        named = journal.named(found.sources, out)
        found.sources = [new for source, new in zip(found.sources, named, strict=True) if share.takes(source)]
        writer = Writer(out, [f.name for f in chosen if f.per_photo], overlay, detector.scheme)
        order = Order(out, detector.scheme, mark, tables, review, jsonl, overwrite, share)
        items = plan(found, journal, writer, order)
        if overwrite:
            try:
                # one that is stopped goes on without the option
                journal.forget(found.sources)
            except HrlmError as e:
                refuse(str(e))
        reporter = stack.enter_context(Reporter(sum(item.work is not Work.NOTHING for item in items), quiet))
        tell_pairs(found, reporter)
        for problem in found.problems:
            reporter.problem(problem)
        stop = stack.enter_context(stop_on_interrupt(lambda: reporter.say("finishing the photos in hand …")))
        choice = Choice(faces.value, min_face, batch, memory)
        engine = Engine(make, writer, choice, detector.device.type != "cpu", timeout, pixels)
        work = engine.here(items, detector, stop) if ray is None else engine.on_cluster(items, stop)
        summary = run_photos(found, items, work, journal, writer, order, reporter, stop)
    if summary.pipe_closed:
        forget_standard_output()
    conclude(summary, reporter, " without --overwrite" if overwrite else "")


def _formats(given: Sequence[str]) -> list[Format]:
    names = {name.strip().lower() for item in given for name in item.split(",")} - {"json"}
    for name in names - FORMATS.keys():
        raise typer.BadParameter(f"{name!r} is none of {', '.join(FORMATS)}", param_hint="--format")
    return [format for name, format in FORMATS.items() if name in names]


def _check_jsonl(jsonl: str | None, sources: Sequence[Source], out: Path) -> None:
    """Refuse lines that would go into a file that the run itself writes, or into a photo."""
    from hrlm.runs.journal import JOURNAL_FILE
    from hrlm.runs.jsonl import STANDARD_OUTPUT
    from hrlm.runs.lock import LOCK_FILE
    from hrlm.runs.shards import is_of
    from hrlm.runs.sinks import ERRORS_FILE, with_suffix
    from hrlm.runs.tables import REVIEW_FILE

    if jsonl is None or jsonl == STANDARD_OUTPUT:
        return
    tables = [format.suffix for format in FORMATS.values() if not format.per_photo]
    target = Path(os.path.realpath(jsonl))
    own = target.parent == Path(os.path.realpath(out)) and any(
        is_of(target.name, name) for name in (JOURNAL_FILE, ERRORS_FILE, REVIEW_FILE, LOCK_FILE, *tables)
    )
    per_photo = (file for s in sources for file in (s.file, with_suffix(out / s.result, ".json")))
    if own or any(str(target) == os.path.realpath(file) for file in per_photo):
        refuse(f"--jsonl {jsonl} is a photo or a file that the run itself writes: give the lines a file of their own")


def _keep_hand_made(
    sources: Sequence[Source], out: Path, formats: Sequence[Format], review: bool, share: Shard
) -> None:
    """Refuse to replace files that no run can have written, as there is no journal of one."""
    from hrlm.formats.atomic import exists
    from hrlm.runs.journal import JOURNAL_FILE, read
    from hrlm.runs.shards import files_of_all
    from hrlm.runs.sinks import ERRORS_FILE, with_suffix
    from hrlm.runs.tables import REVIEW_FILE

    if not out.is_dir():
        return
    journals = files_of_all(out, JOURNAL_FILE)
    for file in journals:
        # a run that was killed at its first line leaves a part of one
        if not read(file) and b"\n" in file.read_bytes():
            refuse(f"{file}: is not hrlm's: move it or give another --out")
    if journals:
        return
    tables = [format.suffix for format in formats if not format.per_photo] + [REVIEW_FILE] * review
    files = [out / share.file(name) for name in [ERRORS_FILE, *tables]]
    # an .xmp file is not replaced: what others have put there stays
    suffixes = [format.suffix for format in formats if format.per_photo and format.name != "xmp"]
    files += [with_suffix(out / source.result, suffix) for source in sources for suffix in suffixes]
    for file in files:
        if exists(file):
            refuse(f"{file}: is there and was written by no run into {out}: move it or give another --out")


def _in_place(sources: Sequence[Source], out: Path) -> bool:
    places = {(s.file.parent, out / s.result.parent) for s in sources}
    return any(os.path.realpath(photos) == os.path.realpath(results) for photos, results in places)
