"""`hrlm train`: train on annotated photos as a YAML file says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# where standard error is no terminal
SECONDS_PER_LINE = 60


def command(
    config: Annotated[Path, typer.Argument(help="YAML file; examples/train/ has some.", metavar="CONFIG.yaml")],
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Train a model on your own annotated photos; run it again to go on where it stopped."""
    import sys
    import time

    from rich.console import Console
    from tqdm import tqdm

    from hrlm.detector import choose_device
    from hrlm.errors import HrlmError
    from hrlm.training.config import read_config
    from hrlm.training.trainer import Trainer

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    bar: tqdm | None = None
    told = time.monotonic()

    def progress(stage: str, done: int, total: int, loss: float) -> None:
        nonlocal bar, told
        if quiet:
            return
        if not sys.stderr.isatty():
            if time.monotonic() - told > SECONDS_PER_LINE:
                told = time.monotonic()
                say(f"{stage} {done}/{total}: loss {loss:.3f}")
            return
        if bar is not None and bar.desc != f"{stage}: ":
            bar.close()
            bar = None
        if bar is None:
            bar = tqdm(total=total, initial=done, desc=stage, unit="face")
        bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
        bar.update(done - bar.n)

    def say(line: str) -> None:
        if not quiet:
            tqdm.write(line, file=sys.stderr)

    try:
        settings = read_config(config)
        path = Trainer(settings, choose_device(device), say, progress).run()
    except HrlmError as e:
        console.print(f"hrlm train: {e}", markup=False)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        console.print("hrlm train: interrupted; run the same command to go on from the last checkpoint")
        raise typer.Exit(130) from None
    finally:
        if bar is not None:
            bar.close()
    say(f"wrote {path}")
