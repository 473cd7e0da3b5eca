"""The commands of `python -m hrlm.synthetic`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Rendered portraits whose landmarks are known exactly."
)


@app.command()
def render(
    head_model: Annotated[Path, typer.Option(help="Packed head model (.npz); see `pack`.")],
    out: Annotated[Path, typer.Option(help="Folder for the portraits and their truth.")],
    count: Annotated[int, typer.Option(min=1, help="How many portraits.")] = 1,
    first: Annotated[int, typer.Option(min=0, help="Number of the first one.")] = 0,
    numbers: Annotated[
        str | None, typer.Option(metavar="3,7,12", help="Just these numbers, instead of --first and --count.")
    ] = None,
    size: Annotated[int, typer.Option(min=64, max=16384, help="Long side in pixels.")] = 1024,
    seed: Annotated[int, typer.Option(min=0, help="The same seed and number give the same portrait.")] = 0,
    samples: Annotated[int, typer.Option(min=1, help="Samples a pixel: more is cleaner and slower.")] = 48,
    most_yaw: Annotated[float, typer.Option(min=0, max=60, help="Largest turn of the head in degrees.")] = 60,
    view: Annotated[
        list[str] | None,
        typer.Option(metavar="portrait|face|eyes|mouth", help="What to render of the portrait of --size; repeatable."),
    ] = None,
    maps: Annotated[bool, typer.Option("--maps", help="Also NAME.depth.png, .normal.png and .region.png.")] = False,
    processes: Annotated[int, typer.Option(min=1, help="Portraits rendered at once.")] = 1,
) -> None:
    """Render portraits NAME.jpg with NAME.pts and NAME.dense.json. Run it again to go on where it stopped."""
    from hrlm.errors import HrlmError
    from hrlm.synthetic.batch import Job, run
    from hrlm.synthetic.views import NAMES, WHOLE

    views = tuple(dict.fromkeys(view or [WHOLE]))
    if unknown := [v for v in views if v not in NAMES]:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(NAMES)}", param_hint="--view")
    try:
        # a number that is given twice is one portrait, which no two processes may write
        chosen = list(dict.fromkeys(map(int, numbers.split(",")))) if numbers else range(first, first + count)
    except ValueError:
        raise typer.BadParameter(f"{numbers!r} is no list of whole numbers", param_hint="--numbers") from None
    if min(chosen) < 0:
        raise typer.BadParameter(f"{min(chosen)} is below 0: portraits are numbered from 0", param_hint="--numbers")
    jobs = [
        Job(head_model, out / f"head-{seed}-{number:04d}.jpg", (seed, number), size, samples, most_yaw, maps, views)
        for number in chosen
    ]
    try:
        failed = run(jobs, processes)
    except HrlmError as e:
        typer.echo(f"hrlm.synthetic: {e}", err=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        typer.echo("interrupted; run the same command to go on", err=True)
        raise typer.Exit(130) from None
    raise typer.Exit(1 if failed else 0)


@app.command()
def pack(
    checkout: Annotated[Path, typer.Argument(help="A checkout of ICT-FaceKit (it holds FaceXModel/).")],
    out: Annotated[Path, typer.Argument(help="The .npz to write.")],
    modes: Annotated[int, typer.Option(min=1, max=100, help="Identity modes to keep.")] = 60,
) -> None:
    """Pack ICT-FaceKit light into one file."""
    from hrlm.errors import HrlmError
    from hrlm.synthetic.ict import pack_head

    try:
        pack_head(checkout, out, modes)
    except HrlmError as e:
        typer.echo(f"hrlm.synthetic: {e}", err=True)
        raise typer.Exit(2) from None


def main() -> None:
    """Run the command line."""
    app()
