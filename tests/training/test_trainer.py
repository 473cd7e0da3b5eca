import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import SCHEME, draw

from hrlm.errors import ConfigError, ModelError
from hrlm.geometry import CropTransform
from hrlm.models.build import load_model
from hrlm.models.cropping import crop_photos
from hrlm.training import shape_fitting
from hrlm.training import step as step_module
from hrlm.training.config import Source, Stage, TrainConfig
from hrlm.training.data import Sample
from hrlm.training.optimisation import learning_rate
from hrlm.training.trainer import Trainer
from hrlm.training.validation import Look

CPU = torch.device("cpu")
SMALL = {"face_size": 64, "region_size": 64, "global_width": 8, "regional_width": 8}
STAGES = (
    Stage("global", ("global",), samples=32, batch=8, rate=2e-3),
    Stage("all", ("global", "attention", "regional"), samples=16, batch=8, rate=1e-3),
)


def config(tmp_path: Path, out: str, stages: tuple[Stage, ...] = STAGES) -> TrainConfig:
    scheme = tmp_path / "marks4.yaml"
    scheme.write_text(SCHEME)
    if not (tmp_path / "photos").exists():
        draw(tmp_path / "photos", 10)
    source = Source(tmp_path / "photos", validation_every=5, terms="drawn")
    return TrainConfig(
        "marks", tmp_path / out, (source,), stages, str(scheme), start="random", checkpoint_seconds=0, model=SMALL
    )


def train(settings: TrainConfig, stop_after: int | None = None) -> tuple[Path | None, list[str], list[float]]:
    lines: list[str] = []
    losses: list[float] = []

    def progress(stage: str, done: int, total: int, loss: float) -> None:
        losses.append(loss)
        if stop_after is not None and len(losses) == stop_after:
            raise KeyboardInterrupt

    trainer = Trainer(settings, CPU, lines.append, progress)
    try:
        return trainer.run(), lines, losses
    except KeyboardInterrupt:
        return None, lines, losses


def test_training_ends_with_weights_that_say_where_they_come_from(tmp_path: Path) -> None:
    path, lines, losses = train(config(tmp_path, "a"))
    assert path is not None
    assert len(losses) == 6
    loaded = load_model(path)
    assert loaded.info.scheme == "marks4"
    assert loaded.metadata["trained_on"] == ["photos"]
    assert loaded.metadata["terms"] == ["drawn"]
    assert loaded.metadata["faces"] == 8
    assert set(loaded.metadata["validation"]) == {"global nme", "global inner", "full nme", "full inner"}
    assert (loaded.net.variance_scale > 0).all()
    assert any("8 faces to train on, 2 to validate on" in line for line in lines)


@pytest.mark.parametrize("stop_after", [3, 6])
def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path: Path, stop_after: int) -> None:
    whole, _, _ = train(config(tmp_path, "whole"))
    assert train(config(tmp_path, "parts"), stop_after)[0] is None
    resumed, lines, losses = train(config(tmp_path, "parts"))
    assert whole is not None
    assert resumed is not None
    assert any("resuming" in line for line in lines)
    assert len(losses) < 6
    a, b = load_model(whole).net.state_dict(), load_model(resumed).net.state_dict()
    for name in a:
        assert torch.allclose(a[name].float(), b[name].float(), atol=1e-3), name


def test_a_network_learns_the_marks(tmp_path: Path) -> None:
    """From scratch; by the loss, since after so few steps the decoded points still jump between hypotheses."""
    stages = (Stage("global", ("global",), 960, batch=16, rate=4e-3, max_side=160, backbone_rate=1.0),)
    settings = config(tmp_path, "learnt", stages)
    train(settings)
    with (settings.out / "log.csv").open(newline="") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert losses[-1] < 0.85 * losses[0]


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    train(config(tmp_path, "a"), stop_after=2)
    (tmp_path / "marks4.yaml").unlink()
    (tmp_path / "a" / "checkpoint.pt").write_bytes(b"damaged")
    with pytest.raises(ModelError, match=r"checkpoint\.pt.*remove it or change out"):
        train(config(tmp_path, "a"))


def test_fine_tuning_starts_from_a_weight_file(tmp_path: Path) -> None:
    first, _, _ = train(config(tmp_path, "a"))
    assert first is not None
    settings = replace(config(tmp_path, "b"), start=str(first), model={})
    trainer = Trainer(settings, CPU, print, lambda *_: None)
    ours, theirs = trainer.net.state_dict(), load_model(first).net.state_dict()
    for name, tensor in theirs.items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(ours[name], tensor), name


def test_fine_tuned_weights_carry_their_own_name(tmp_path: Path) -> None:
    first, _, _ = train(config(tmp_path, "a", STAGES[:1]))
    settings = replace(config(tmp_path, "b"), start=str(first), stages=(), model={}, name="mine", version="7")
    path, _, _ = train(settings)
    assert path is not None
    assert path.name == "hrlm-mine.safetensors"
    info = load_model(path).info
    assert (info.name, info.version) == ("mine", "7")


def test_a_stages_averaged_weights_are_what_is_written(tmp_path: Path) -> None:
    later = replace(STAGES[1], train=("regional",))
    alone, _, _ = train(config(tmp_path, "a", STAGES[:1]))
    both, _, _ = train(config(tmp_path, "b", (STAGES[0], later)))
    assert alone is not None
    assert both is not None
    ours, theirs = (load_model(p).net.global_net.state_dict() for p in (alone, both))
    assert all(torch.equal(theirs[name], tensor) for name, tensor in ours.items())


def test_of_a_weight_files_own_entries_only_the_tiles_size_may_change(tmp_path: Path) -> None:
    first, _, _ = train(config(tmp_path, "a", stages=STAGES[1:]))
    assert first is not None
    settings = replace(config(tmp_path, "b", stages=STAGES[1:]), start=str(first), model={"region_size": 32})
    smaller, _, _ = train(settings)
    assert smaller is not None
    assert (load_model(smaller).config.region_size, load_model(first).config.region_size) == (32, 64)
    with pytest.raises(ConfigError, match="face_size is 32"):
        Trainer(replace(settings, model={"face_size": 32}), CPU, print, lambda *_: None)


def test_a_regional_network_may_lose_its_coarsest_features_and_never_gets_them_back(tmp_path: Path) -> None:
    first, _, _ = train(config(tmp_path, "a", stages=STAGES[1:]))
    assert first is not None
    stages = (replace(STAGES[1], train=("regional",), draw_sizes=(32, 64)),)
    sizes = {"regional_coarsest": 16, "region_sizes": [32, 64]}
    shorter, _, _ = train(replace(config(tmp_path, "b", stages=stages), start=str(first), model=sizes))
    assert shorter is not None
    loaded, before = load_model(shorter), load_model(first)
    assert (loaded.config.regional_coarsest, loaded.config.region_sizes) == (16, (32, 64))
    assert len(loaded.net.regional_net.backbone.strides) == 3
    kept, whole = loaded.net.global_net.state_dict(), before.net.global_net.state_dict()
    assert all(torch.equal(kept[name], whole[name]) for name in whole)
    assert shorter.stat().st_size < 0.8 * first.stat().st_size
    again = replace(config(tmp_path, "c", stages=stages), start=str(shorter), model={"regional_coarsest": 32})
    with pytest.raises(ConfigError, match="regional_coarsest is 32"):
        Trainer(again, CPU, print, lambda *_: None)


def test_steps_draw_a_size_for_the_regions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def spy(photos: list[np.ndarray], crops: list[CropTransform], device: torch.device) -> torch.Tensor:
        seen.append(crops[0].size)
        return crop_photos(photos, crops, device)

    monkeypatch.setattr(step_module, "crop_photos", spy)
    stages = (replace(STAGES[1], train=("regional",), draw_sizes=(32, 64), samples=8 * STAGES[1].batch),)
    train(config(tmp_path, "a", stages=stages))
    assert set(seen) == {32, 64}


def test_the_rate_warms_up_and_falls_to_a_hundredth() -> None:
    rates = [learning_rate(i, 100) for i in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == pytest.approx(1.0)
    assert rates[-1] < 0.012


def test_labels_of_another_convention_are_moved_to_the_starting_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The starting model's predictions stand 0.08 of the normaliser below the second source's labels."""
    first, _, _ = train(config(tmp_path, "a"))
    assert first is not None
    plain = Source(tmp_path / "photos")
    settings = replace(
        config(tmp_path, "b"), start=str(first), model={}, data=(plain, replace(plain, own_convention=True))
    )

    def below(net: object, model: object, samples: Sequence[Sample], device: object) -> Iterator[Look]:
        for sample in samples:
            down = np.linalg.inv(trainer.net.scheme.face_frame(sample.points))[1]
            found = torch.from_numpy(sample.points + 0.08 * down)[None], torch.eye(2).expand(1, 4, 2, 2)
            yield Look(torch.from_numpy(sample.points)[None], torch.ones(1, 4), (found, found))

    monkeypatch.setattr("hrlm.training.gathering.looks", below)
    lines: list[str] = []
    trainer = Trainer(settings, CPU, lines.append, lambda *_: None)
    trainer.load_data()
    ours, theirs = trainer.groups
    for own, moved in zip(ours, theirs, strict=True):
        offsets = (moved.points - own.points) @ trainer.net.scheme.face_frame(own.points)
        assert offsets == pytest.approx(np.tile([0, 0.08], (4, 1)), abs=1e-3)
    assert any("labels moved by 8.00 %" in line for line in lines)


def test_without_stages_a_shape_model_is_fitted_to_weights_that_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _, _ = train(config(tmp_path, "a"))
    assert first is not None
    start = load_model(first)
    assert start.net.shape_model is None
    monkeypatch.setattr(shape_fitting, "FEWEST", 4)
    monkeypatch.setattr(shape_fitting, "FEWEST_FOR_HABITS", 4)
    # four landmarks of ten faces: whether it helps is chance
    monkeypatch.setattr(shape_fitting, "_error", lambda scheme, model, seen: float(model is None))
    settings = replace(config(tmp_path, "b"), start=str(first), model={}, stages=())
    path, lines, losses = train(settings)
    assert path is not None
    assert losses == []
    assert any(line.startswith("shape model: 2 components") for line in lines)
    loaded = load_model(path)
    assert loaded.config.shape_modes == 2
    assert loaded.metadata["trained_on"] == start.metadata["trained_on"]
    assert loaded.metadata["samples"] == start.metadata["samples"]
    shape_model = loaded.net.shape_model
    assert shape_model is not None
    assert shape_model.habit.any()
    own = loaded.net.state_dict()
    for name, tensor in start.net.state_dict().items():
        if name not in ("variance_scale", "global_weight") and not name.endswith("num_batches_tracked"):
            assert torch.equal(own[name], tensor), name

    # a training that changes what the levels find starts without
    trainer = Trainer(
        replace(settings, out=tmp_path / "c", start=str(path), stages=STAGES), CPU, print, lambda *_: None
    )
    assert trainer.net.shape_model is None
    assert trainer.shape_before is not None
