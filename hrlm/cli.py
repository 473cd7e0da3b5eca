"""The command line. Commands import what they need when they run: `hrlm --help` must not wait for torch."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from hrlm import __version__
from hrlm.commands import annotate, benchmark, detect, train
from hrlm.errors import HrlmError

app = typer.Typer(
    name="hrlm",
    help="Facial landmarks on very high resolution photographs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # plain text: it is wrapped to any terminal, and answers sooner
    rich_markup_mode=None,
)
app.command("detect")(detect.command)
app.command("annotate")(annotate.command)
app.command("benchmark")(benchmark.command)
app.command("train")(train.command)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hrlm {__version__}")
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Facial landmarks on very high resolution photographs."""


def main() -> None:
    """Run the command line; an error that the user can cure ends it with one line and exit code 2."""
    try:
        app()
    except HrlmError as e:
        typer.echo(f"hrlm: {e}", err=True)
        sys.exit(2)
