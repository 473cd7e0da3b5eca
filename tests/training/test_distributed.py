"""Two real processes on one machine, as `torchrun` starts them, against one."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from drawn import SCHEME, draw
from loading import load_samples

from hrlm.errors import ConfigError
from hrlm.models.build import ModelConfig, load_model
from hrlm.schemes import parse_scheme
from hrlm.training.batches import collate, training_batches
from hrlm.training.config import Stage, read_config
from hrlm.training.distributed import Processes
from hrlm.training.trainer import Trainer

STAGES = [
    {"name": "global", "train": ["global"], "samples": 48, "batch": 8, "rate": 0.001, "validate_every": 24},
    {"name": "all", "train": ["global", "attention", "regional"], "samples": 32, "batch": 8, "rate": 0.0005},
]
SMALL = {"face_size": 64, "region_size": 64, "global_width": 8, "regional_width": 8}


def configuration(tmp_path: Path, out: str) -> Path:
    if not (tmp_path / "photos").exists():
        draw(tmp_path / "photos", 10)
        (tmp_path / "marks4.yaml").write_text(SCHEME)
    path = tmp_path / f"{out}.yaml"
    data = {"name": "marks", "out": out, "data": [{"path": "photos", "validation_every": 5}], "stages": STAGES}
    path.write_text(yaml.safe_dump({**data, "scheme": "marks4.yaml", "start": "random", "model": SMALL}))
    return path


def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    job, notes = Path(__file__).parent / "torchrun_job.py", {}
    for count in (1, 2):
        path = configuration(tmp_path, f"by{count}")
        run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
        done = subprocess.run([*run, job, path, tmp_path / f"note{count}"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        notes[count] = [json.loads((tmp_path / f"note{count}.{r}.json").read_text()) for r in range(count)]
    alone, (first, second) = notes[1][0], notes[2]
    # both have the same weights to the last bit: they took the same steps
    assert first["weights"] == second["weights"]
    assert first["losses"] == second["losses"]
    assert len(first["losses"]) == 10
    # only batch normalisation sees other batches
    assert first["losses"] == pytest.approx(alone["losses"], rel=0.03)
    written = load_model(tmp_path / "by2" / "hrlm-marks.safetensors")
    assert set(written.metadata["validation"]) == {"global nme", "global inner", "full nme", "full inner"}
    assert not list((tmp_path / "by2").glob(".hrlm*"))
    rows = (tmp_path / "by2" / "log.csv").read_text().splitlines()
    assert len(rows) == len((tmp_path / "by1" / "log.csv").read_text().splitlines())


def test_the_processes_share_each_step_among_them(tmp_path: Path) -> None:
    draw(tmp_path, 5)
    marks = parse_scheme(SCHEME)
    model = ModelConfig("marks", SCHEME, **SMALL)
    samples, _ = load_samples(tmp_path, marks, 1000)

    def steps(rank: int, processes: int, accumulate: int) -> list[np.ndarray]:
        stage = Stage("s", ("global",), samples=24, batch=8, accumulate=accumulate)
        made = list(training_batches([samples], [0.0], marks, model, stage, (1, 0), 1, 1, rank, processes))
        return [collate(made[i : i + accumulate]).pixels.numpy() for i in range(0, len(made), accumulate)]

    whole = steps(0, 1, 1)
    assert len(whole) == 2
    for accumulate in (1, 2):
        shared = [np.concatenate(parts) for parts in zip(steps(0, 2, accumulate), steps(1, 2, accumulate), strict=True)]
        assert all(np.array_equal(a, b) for a, b in zip(whole, shared, strict=True))


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path: Path) -> None:
    config = read_config(configuration(tmp_path, "a"))
    with pytest.raises(ConfigError, match="a batch of 8 cannot be split evenly over 3 processes"):
        Trainer(config, torch.device("cpu"), print, lambda *_: None, Processes(0, 3))
