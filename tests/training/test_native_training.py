"""Level 2 trained on top of weights, by a configuration."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import SCHEME, draw

from hrlm.errors import ConfigError
from hrlm.models.build import ModelConfig, build_model, load_model, save_model
from hrlm.training.config import Source, Stage, TrainConfig
from hrlm.training.conventions import mean_move
from hrlm.training.data import Joined
from hrlm.training.trainer import Trainer
from hrlm.training.validation import predict

CPU = torch.device("cpu")
STAGE = Stage("level 2", ("native",), samples=24, batch=8, rate=2e-3, objective="gaussian-nll", sigma=0.8)
NATIVE = {"native": [0, 2], "native_width": 8, "native_unit": 50.0}


@pytest.fixture
def settings(tmp_path: Path) -> TrainConfig:
    scheme = tmp_path / "marks4.yaml"
    scheme.write_text(SCHEME)
    draw(tmp_path / "photos", 10)
    torch.manual_seed(0)
    model = ModelConfig("marks", SCHEME, 64, 64, 8, 8)
    about = {"version": "1", "trained_on": ["sketches"], "terms": ["any"], "validation": {"full nme": 3.0}}
    save_model(tmp_path / "start.safetensors", build_model(model), model, about)
    sources = (
        Source(tmp_path / "photos", validation_every=5, terms="drawn"),
        Source(tmp_path / "photos", own_convention=True, share=0.1),
    )
    start = str(tmp_path / "start.safetensors")
    return TrainConfig("marks", tmp_path / "out", sources, (STAGE,), str(scheme), "2", start, model=NATIVE)


def test_level_2_is_added_and_the_rest_stays(settings: TrainConfig, tmp_path: Path) -> None:
    lines: list[str] = []
    path = Trainer(settings, CPU, lines.append, lambda *_: None).run()
    loaded, start = load_model(path), load_model(tmp_path / "start.safetensors")
    level = loaded.net.native
    assert level is not None
    # the mirror twin comes along
    assert level.landmarks == [0, 1, 2]
    assert level.net.score.weight.abs().max() > 0
    kept = loaded.net.state_dict()
    assert all(torch.equal(kept[name], value) for name, value in start.net.state_dict().items())
    assert loaded.metadata["trained_on"] == ["sketches", "photos"]
    assert loaded.metadata["terms"] == ["any", "drawn"]
    assert loaded.metadata["validation"]["full nme"] == 3.0
    assert loaded.metadata["validation"]["native nme"] > 0
    assert any("level 2's landmarks moved by" in line for line in lines)
    # an untrained start is far off: what it is off by in the mean is the convention
    assert level.offset.abs().max() > 0


def test_level_2_learns_by_itself_on_top_of_weights(settings: TrainConfig) -> None:
    with pytest.raises(ConfigError, match="native learns alone"):
        replace(STAGE, train=("regional", "native"))
    with pytest.raises(ConfigError, match="training of its own"):
        replace(settings, stages=(STAGE, replace(STAGE, train=("regional",))))
    with pytest.raises(ConfigError, match="start from a"):
        replace(settings, start="imagenet", data=settings.data[:1])
    with pytest.raises(ConfigError, match="list them"):
        Trainer(replace(settings, model={}), CPU, print, lambda *_: None)
    with pytest.raises(ConfigError, match="face_size is 96"):
        Trainer(replace(settings, model={**NATIVE, "face_size": 96}), CPU, print, lambda *_: None)


def test_level_2_follows_the_levels_before_when_they_learn_again(settings: TrainConfig, tmp_path: Path) -> None:
    first = Trainer(settings, CPU, print, lambda *_: None).run()
    lines: list[str] = []
    stage = Stage("further", ("global", "regional"), samples=16, batch=8, rate=2e-3)
    again = replace(
        settings, out=tmp_path / "again", stages=(stage,), start=str(first), model={}, data=settings.data[:1]
    )
    trainer = Trainer(again, CPU, lines.append, lambda *_: None)
    path = trainer.run()
    start, now = load_model(first), load_model(path)
    assert start.net.native is not None
    assert now.net.native is not None
    faces = list(Joined(trainer.groups))
    before, after = (predict(m.net, m.config, faces, CPU) for m in (start, now))
    moved = (now.net.native.offset - start.net.native.offset).numpy()
    np.testing.assert_allclose(moved, mean_move(before, after, now.net.scheme), atol=2e-3)
    assert np.abs(moved).max() > 0.01
    assert any(line.startswith("level 2's landmarks moved by") for line in lines)


def test_the_log_of_level_2_has_its_figures(settings: TrainConfig) -> None:
    stage = replace(STAGE, validate_every=8)
    Trainer(replace(settings, stages=(stage,)), CPU, print, lambda *_: None).run()
    with (settings.out / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert all(float(row["native nme"]) > 0 and float(row["prior nme"]) > 0 for row in rows)
    assert len(rows) == 3
