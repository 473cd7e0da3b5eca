"""`hrlm train`: train on annotated photos as a YAML file says."""

from __future__ import annotations

import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from hrlm.commands.shared import FAILED, refuse

# where standard error is no terminal
SECONDS_PER_LINE = 60


class Export(StrEnum):
    """Formats that other programs read."""

    ONNX = "onnx"


def command(
    config: Annotated[
        str,
        typer.Argument(
            help="YAML file; examples/train/ has some. With --export also a model's name or weight file.",
            metavar="CONFIG.yaml",
        ),
    ],
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    check: Annotated[
        bool, typer.Option("--check", help="Train nothing: read all data, tell what is odd, draw samples.")
    ] = False,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Rehearse ten steps of everything in a temporary folder.")
    ] = False,
    export: Annotated[
        Export | None, typer.Option(help="Train nothing: write the finished networks for other programs.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for --check and --export; else the configuration's.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Train a model on your own annotated photos; run it again to go on where it stopped.

    Exit code: 0 all well, 1 --check has found faults, 2 wrong usage or data that cannot be trained on, 130 interrupted.
    Several GPUs or machines: torchrun --no-python --nproc-per-node 4 hrlm train CONFIG.yaml
    """
    from hrlm.errors import HrlmError

    if check + smoke + (export is not None) > 1:
        refuse("--check, --smoke and --export are different things: give one")
    if out is not None and not (check or export):
        refuse("--out goes with --check or --export; a training writes where its configuration says")
    talk = Talk(quiet)
    try:
        if check:
            _check(Path(config), out, talk)
        elif export:
            _export(config, out, talk)
        else:
            _train(Path(config), device, smoke, talk)
    except HrlmError as e:
        talk.close()
        refuse(str(e))
    except KeyboardInterrupt:
        talk.close()
        typer.echo("hrlm train: interrupted; run the same command to go on from the last checkpoint", err=True)
        raise typer.Exit(130) from None
    finally:
        talk.close()


def _train(path: Path, device: str, smoke: bool, talk: Talk) -> None:
    from hrlm.detector import choose_device
    from hrlm.training.config import read_config
    from hrlm.training.distributed import join
    from hrlm.training.smoke import rehearse
    from hrlm.training.trainer import Trainer

    settings = read_config(path)
    if smoke:
        rehearse(settings, choose_device(device), talk.say)
        return
    processes, own = join(choose_device(device))
    if not processes.first:
        talk.quiet = True
    written = Trainer(settings, own, talk.say, talk.progress, processes).run()
    processes.leave()
    talk.say(f"wrote {written}")


def _check(path: Path, out: Path | None, talk: Talk) -> None:
    from hrlm.training.check import run_check
    from hrlm.training.config import read_config

    lines, sound = run_check(read_config(path), out)
    for line in lines:
        talk.say(line)
    if not sound:
        raise typer.Exit(FAILED)


def _export(what: str, out: Path | None, talk: Talk) -> None:
    from hrlm.models.build import load_model
    from hrlm.training.config import read_config
    from hrlm.training.export import export_onnx

    folder = out or Path()
    if what.endswith((".yaml", ".yml")):
        settings = read_config(Path(what))
        what, folder = str(settings.weights), out or settings.out
    export_onnx(load_model(what), folder, talk.say)


class Talk:
    """Lines and a bar on standard error; no bar where that is no terminal.

    Args:
        quiet: say nothing.
    """

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self._bar: Any = None
        self._told = time.monotonic()

    def say(self, line: str) -> None:
        """A line for people."""
        if not self.quiet:
            from tqdm import tqdm

            tqdm.write(line, file=sys.stderr)

    def progress(self, stage: str, done: int, total: int, loss: float) -> None:
        """How far a stage is."""
        if self.quiet:
            return
        if not sys.stderr.isatty():
            if time.monotonic() - self._told > SECONDS_PER_LINE:
                self._told = time.monotonic()
                self.say(f"{stage} {done}/{total}: loss {loss:.3f}")
            return
        from tqdm import tqdm

        if self._bar is not None and self._bar.desc != f"{stage}: ":
            self.close()
        if self._bar is None:
            self._bar = tqdm(total=total, initial=done, desc=stage, unit="face")
        self._bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
