"""What detect and annotate have in common. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from hrlm.runs.discovery import Found
    from hrlm.runs.report import Reporter, Summary

FAILED = 1
USAGE = 2


class Device(StrEnum):
    """Where the networks run."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


class Quality(StrEnum):
    """How carefully the networks look."""

    BEST = "best"
    FAST = "fast"


DeviceOption = Annotated[Device, typer.Option(help="Where the networks run.")]
ModelOption = Annotated[str, typer.Option(metavar="NAME_OR_FILE", help="A shipped model or a .safetensors file.")]
QualityOption = Annotated[
    Quality,
    typer.Option(
        help="best: each face as it is and mirrored, large ones in two crops; fast: once, in a sixth of the time."
    ),
]
SymmetricOption = Annotated[
    bool,
    typer.Option(
        "--symmetric",
        help="Leave out the habits of the training photos' annotators, who put most landmarks a little further right.",
    ),
]
LevelsOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=2,
        metavar="N",
        help="0: the global network alone; 1: the regions too; 2: the photo's own pixels too, on large faces. "
        "Unless told: 2 for best, 1 for fast.",
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary; errors still show.")]
MaxPixelsOption = Annotated[
    str, typer.Option("--max-pixels", metavar="N", help="Refuse photos with more pixels, such as 200M or 1G.")
]
TimeoutOption = Annotated[
    float,
    typer.Option("--timeout", min=0.1, metavar="SECONDS", help="Give a photo up that takes longer to decode."),
]
NullOption = Annotated[
    bool, typer.Option("--null", "-0", help="The list on standard input is separated by NUL, not by lines.")
]


def refuse(message: str) -> NoReturn:
    """End with one line on standard error and the exit code of wrong usage."""
    from hrlm.runs.report import one_line

    typer.echo(f"hrlm: {one_line(message)}", err=True)
    raise typer.Exit(USAGE)


def given_paths(paths: list[str] | None, null_separated: bool) -> tuple[list[str], bool]:
    """The paths that were given, `-` replaced by the list on standard input, and whether a list was read."""
    from hrlm.runs.discovery import read_list

    paths = list(paths or (["-"] if null_separated else []))
    if not paths:
        refuse("give photos, folders or - for a list on standard input")
    if "-" not in paths:
        if null_separated:
            refuse("-0 needs - among the paths: it says how the list on standard input is separated")
        return paths, False
    place = paths.index("-")
    data = sys.stdin.buffer.read()
    if b"\0" in data and not null_separated:
        refuse("the list on standard input is separated by NUL: give -0")
    listed = read_list(data, null_separated)
    return [*paths[:place], *listed, *(p for p in paths[place + 1 :] if p != "-")], True


def photos_to_do(paths: list[str], listed: bool, out: Path) -> Found:
    """The photos that `paths` mean; ends the command where there is none."""
    from hrlm.photos import PHOTO_SUFFIXES
    from hrlm.runs.discovery import find_photos

    found = find_photos(paths, PHOTO_SUFFIXES, exclude=out, globs=not listed)
    if not found.sources:
        for problem in found.problems:
            typer.echo(_line(problem.name, problem.reason), err=True)
        refuse("nothing to do: no photos found")
    return found


def tell_pairs(found: Found, reporter: Reporter) -> None:
    """Say which files were left out on purpose."""
    from hrlm.runs.report import counted

    if found.paired:
        reporter.say(f"{counted(found.paired, 'camera raw file')} left out: each has a photo of its name beside it")


def amount(text: str, thousand: int, option: str) -> int:
    """The number that `500M` or `4G` means, where a K is `thousand`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", text.strip(), re.IGNORECASE)
    number = round(float(match[1]) * thousand ** " KMGT".index(match[2].upper() or " ")) if match else 0
    if number < 1:
        raise typer.BadParameter(f"{text!r} is no amount such as 500M or 4G", param_hint=option)
    return number


def conclude(summary: Summary, reporter: Reporter, changed: str = "") -> NoReturn:
    """Say the summary and how a run that was interrupted goes on, and end with the run's exit code.

    Args:
        changed: how the command that goes on differs.
    """
    reporter.say(str(summary))
    if summary.interrupted:
        reporter.say(f"run the same command again{changed} to go on")
    raise typer.Exit(summary.exit_code)


def _line(name: str, reason: str) -> str:
    from hrlm.runs.report import one_line

    return one_line(f"{name}: {reason}")
