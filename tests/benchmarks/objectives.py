"""How many steps does `structured` need to reach the validation NME that `soft-argmax` ends with?

The same network, data, order of faces, augmentation and learning rates; only the objective differs. Run it again and
again with a time budget: it goes on where it stopped, and prints the table of what is finished.

    python tests/benchmarks/objectives.py DATA --test TEST --out runs/objectives --minutes 10
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from pathlib import Path

import numpy as np
import torch

from hrlm.detector import choose_device
from hrlm.models.build import load_model
from hrlm.training.config import Source, Stage, TrainConfig
from hrlm.training.data import Memory, load_sources
from hrlm.training.trainer import Trainer
from hrlm.training.validation import validate

BASE = "soft-argmax"


class OutOfTime(Exception):
    """The budget is spent."""


def configuration(options: argparse.Namespace, objective: str, seed: int) -> TrainConfig:
    """One run: the global network alone, with one objective and seed."""
    stage = Stage(
        "global",
        ("global",),
        options.samples,
        batch=options.batch,
        rate=options.rate,
        max_side=512,
        validate_every=options.every,
        objective=objective,
        margin=options.margin,
        coordinate_weight=options.coordinate_weight,
    )
    return TrainConfig(
        f"{objective}-{seed}",
        options.out / f"{objective}-{seed}",
        (Source(options.data, validation_every=10),),
        (stage,),
        scheme=options.scheme,
        start=options.start,
        model={"face_size": options.face_size},
        seed=seed,
        checkpoint_seconds=20,
    )


def train(config: TrainConfig, device: torch.device, end: float) -> bool:
    """Train until done or out of time; whether it is done."""
    weights = config.out / f"hrlm-{config.name}.safetensors"
    if weights.exists():
        return True

    def progress(stage: str, done: int, total: int, loss: float) -> None:
        if time.monotonic() > end:
            raise OutOfTime

    try:
        trainer = Trainer(config, device, lambda line: print(f"{config.name}: {line}", file=sys.stderr), progress)
        # too few for a shape model: networks are compared
        trainer.faces_to_fit = 1
        trainer.run()
    except OutOfTime:
        return False
    return True


def curve(config: TrainConfig) -> dict[int, float]:
    """Validation NME of the global network in %, by samples shown; what a stop made twice counts once."""
    with (config.out / "log.csv").open(newline="", encoding="utf-8") as f:
        return {int(r["samples"]): float(r["global nme"]) for r in csv.DictReader(f) if r["global nme"]}


def reached(points: dict[int, float], target: float) -> float:
    """Samples at which a curve first meets the target, interpolated; NaN if never."""
    before: tuple[int, float] | None = None
    for samples, value in sorted(points.items()):
        if value <= target:
            if before is None:
                return samples
            share = (before[1] - target) / max(1e-9, before[1] - value)
            return before[0] + share * (samples - before[0])
        before = (samples, value)
    return float("nan")


def main() -> None:
    """Train what is left within the budget, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of photos with .pts; every tenth validates")
    parser.add_argument("--test", type=Path, help="folder of photos that are only tested on")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--objectives", nargs="*", default=["structured"], help=f"against {BASE}")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=12000)
    parser.add_argument("--every", type=int, default=400, help="samples between validations")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--face-size", type=int, default=256, help="pixels a side of the face crop")
    parser.add_argument("--rate", type=float, default=0.001)
    parser.add_argument("--margin", type=float, default=0.1, help="of structured's distance cost")
    parser.add_argument(
        "--coordinate-weight", type=float, default=0.5, help="of soft-argmax's coordinate loss; 100 for little else"
    )
    parser.add_argument("--scheme", default="ibug68")
    parser.add_argument("--start", default="imagenet")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    device, end = choose_device(options.device), time.monotonic() + 60 * options.minutes

    names = [BASE, *options.objectives]
    runs = {(n, s): configuration(options, n, s) for s in range(options.seeds) for n in names}
    done = {}
    for key, config in runs.items():
        if not train(config, device, end):
            break
        done[key] = config
    print(f"{len(done)} of {len(runs)} trainings done")
    test = None
    print(f"{'objective':14} {'seed':>4} {'validation NME':>15} {'test NME':>9} {'steps to ' + BASE:>21} {'ratio':>6}")
    figures: dict[str, list[tuple[float, float, float]]] = {}
    for (name, seed), config in done.items():
        points = curve(config)
        final = points[max(points)]
        tested = float("nan")
        if options.test:
            loaded = load_model(config.out / f"hrlm-{config.name}.safetensors", device)
            if not test:
                memory = Memory(sys.maxsize)
                test = load_sources([Source(options.test)], loaded.net.scheme, 512, memory, print)[0].training
            tested = validate(loaded.net, loaded.config, test, device)["global nme"]
        base = curve(runs[BASE, seed])
        steps = reached(points, base[max(base)]) / options.batch
        ratio = options.samples / options.batch / steps
        figures.setdefault(name, []).append((final, tested, ratio))
        print(f"{name:14} {seed:4} {final:15.3f} {tested:9.3f} {steps:21.0f} {ratio:6.2f}")
    for name, rows in figures.items():
        final, tested, ratio = np.mean(rows, 0)
        print(f"{name:14} mean {final:15.3f} {tested:9.3f} {'':21} {ratio:6.2f}")


if __name__ == "__main__":
    main()
