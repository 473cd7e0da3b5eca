"""Not only faces of people: nine landmarks of drawn cats, with boxes, through the real training."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from hrlm.geometry import box_crop
from hrlm.models.build import ModelConfig, load_model
from hrlm.training.batches import plain_item
from hrlm.training.check import check
from hrlm.training.config import Stage, read_config
from hrlm.training.data import Memory, load_sources
from hrlm.training.trainer import Trainer

FOLDER = Path(__file__).parents[2] / "examples" / "train" / "cats"


@pytest.fixture(scope="module")
def cats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = importlib.util.spec_from_file_location("draw_cats", FOLDER / "draw_cats.py")
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    table: Path = module.write(tmp_path_factory.mktemp("cats"), 24)
    return table


def test_the_example_trains_on_cats(cats: Path, tmp_path: Path) -> None:
    config = read_config(FOLDER / "cats.yaml")
    small = {"face_size": 64, "region_size": 64, "global_width": 8, "regional_width": 8}
    stages = (
        Stage("global", ("global",), samples=48, batch=8, max_side=160),
        Stage("all", ("global", "attention", "regional"), samples=16, batch=8, max_side=160),
    )
    data = tuple(replace(s, path=cats) for s in config.data)
    config = replace(config, data=data, stages=stages, model=small, out=tmp_path, start="random")
    assert check(config).problems == []
    losses: list[float] = []
    lines: list[str] = []
    trainer = Trainer(config, torch.device("cpu"), lines.append, lambda *progress: losses.append(progress[-1]))
    path = trainer.run()
    assert len(losses) == 8
    assert losses[5] < losses[0]
    loaded = load_model(path)
    assert loaded.net.scheme.name == "cat9"
    assert loaded.metadata["faces"] == 21
    assert len(trainer.validation) == 3


def test_the_face_crop_is_the_box_as_it_came(cats: Path) -> None:
    config = read_config(FOLDER / "cats.yaml")
    trainer_scheme = Path(config.scheme).read_text()
    model = ModelConfig("cats", trainer_scheme, face_size=64)
    from hrlm.schemes import parse_scheme

    scheme = parse_scheme(trainer_scheme)
    source = replace(config.data[0], path=cats, validation_every=0)
    sample = load_sources([source], scheme, 1000, Memory(0), print)[0].training[0]
    row = cats.read_text().splitlines()[1].split(",")
    x, y, width, height = map(float, row[1:5])
    item = plain_item(sample, scheme, model)
    assert sample.box is not None
    origin = np.array([x, y]) - sample.box[:2]
    asked = box_crop(torch.tensor([[x, y, width, height]], dtype=torch.float64), 64, 1.5)
    assert item.face.centre[0].numpy() + origin == pytest.approx(asked.centre[0].numpy())
    assert float(item.face.side) == pytest.approx(1.5 * max(width, height))
    assert float(item.face.angle) == 0
