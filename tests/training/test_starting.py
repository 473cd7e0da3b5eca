"""What a training starts from, and what it needs before it starts."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from drawn import SCHEME, draw

from hrlm.errors import ConfigError, DataError, ModelError
from hrlm.formats.atomic import WriteError
from hrlm.models.build import ModelConfig, build_model, save_model
from hrlm.schemes import parse_scheme
from hrlm.training.config import Source, Stage, TrainConfig
from hrlm.training.log import Log
from hrlm.training.starting import start
from hrlm.training.trainer import Trainer

CPU = torch.device("cpu")
SMALL = {"face_size": 64, "region_size": 64, "global_width": 8, "regional_width": 8}
STAGE = Stage("global", ("global",), samples=8, batch=4)


def weights(folder: Path, native: tuple[int, ...] = ()) -> str:
    path = folder / "start.safetensors"
    model = ModelConfig("marks", SCHEME, 64, 64, 8, 8, native=native, native_width=8)
    save_model(path, build_model(model), model, {"version": "1", "trained_on": [], "terms": []})
    return str(path)


def config(folder: Path, begin: str, text: str = SCHEME) -> TrainConfig:
    (folder / "marks4.yaml").write_text(text)
    return TrainConfig(
        "mine", folder / "out", (Source(folder / "photos"),), (STAGE,), str(folder / "marks4.yaml"), start=begin
    )


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("right, left", "right, other", "the landmarks"),
        ("[[0, 1]]", "[[0, 1], [2, 3]]", r"the mirror pairs \(below\)"),
        ("[[0, 1]]", "[]", r"the mirror pairs \(right\)"),
        ("landmarks: [2, 3]}", "landmarks: [1, 2, 3]}", "the regions"),
    ],
)
def test_a_scheme_that_the_weights_did_not_learn_is_refused(tmp_path: Path, old: str, new: str, changed: str) -> None:
    settings = config(tmp_path, weights(tmp_path), SCHEME.replace(old, new))
    cure = r"set scheme to the one that it was trained with, or start from imagenet"
    with pytest.raises(ConfigError, match=rf"^scheme: {changed} of marks4 differ .*start\.safetensors.*: {cure}$"):
        Trainer(settings, CPU, print, lambda *_: None)


def test_what_networks_do_not_follow_is_taken_from_the_scheme_as_it_is_today(tmp_path: Path) -> None:
    today = SCHEME.replace("inner: [2, 3]", "inner: [3]").replace("normaliser: [0, 1]", "normaliser: [2, 3]")
    today = today.replace("sides:", "flanks:") + "contours:\n  line: {landmarks: [0, 3, 1]}\n"
    trainer = Trainer(config(tmp_path, weights(tmp_path), today), CPU, print, lambda *_: None)
    assert trainer.net.scheme == trainer.scheme
    assert trainer.model.scheme == today
    assert trainer.net.scheme.normaliser == (2, 3)
    assert [c.name for c in trainer.net.scheme.contours] == ["line"]


def test_level_2_measures_by_the_normaliser(tmp_path: Path) -> None:
    begin = weights(tmp_path, native=(0, 2))
    today = SCHEME.replace("normaliser: [0, 1]", "normaliser: [2, 3]")
    with pytest.raises(ConfigError, match="the two landmarks of the normaliser of marks4 differ"):
        start(config(tmp_path, begin), parse_scheme(today))
    assert start(config(tmp_path, begin), parse_scheme(SCHEME)).net.native is not None


def test_level_2_looks_at_landmarks_that_there_are(tmp_path: Path) -> None:
    stage = replace(STAGE, train=("native",))
    settings = replace(config(tmp_path, weights(tmp_path)), stages=(stage,), model={"native": [2, 4]})
    with pytest.raises(ModelError, match="native lists 4: marks4 has the landmarks 0 to 3"):
        start(settings, parse_scheme(SCHEME))


def test_a_folder_that_takes_no_files_is_told_before_anything_is_read(tmp_path: Path) -> None:
    settings = replace(config(tmp_path, "random"), model=SMALL)
    settings.out.write_text("a file")
    # there are no photos: it does not come to that
    with pytest.raises(WriteError, match=r"out: cannot be written .*: check the folder and its rights, or write to"):
        Trainer(settings, CPU, print, lambda *_: None).run()


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "log.csv").mkdir()
    with pytest.raises(WriteError, match=r"log\.csv: cannot be written"):
        Log(tmp_path, tensorboard=False).write("global", 8, 0, {"loss": 1.0})


def test_without_validation_faces_it_is_said_what_is_missing(tmp_path: Path) -> None:
    draw(tmp_path / "photos", 4)
    settings = replace(config(tmp_path, "random"), model=SMALL)
    lines: list[str] = []
    often = replace(settings, stages=(replace(STAGE, validate_every=4),))
    for each, said in ((settings, "no face validates: nothing"), (often, "validates, validate_every does nothing:")):
        Trainer(each, CPU, lines.append, lambda *_: None).load_data()
        assert [line for line in lines if said in line and "stays uncalibrated" in line]
    impatient = replace(settings, stages=(replace(STAGE, validate_every=4, patience=1),))
    with pytest.raises(DataError, match="patience chooses by validation faces, and there are none: set validation_"):
        Trainer(impatient, CPU, lines.append, lambda *_: None).load_data()
