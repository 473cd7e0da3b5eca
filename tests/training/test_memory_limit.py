"""Faces beyond the memory limit are read when they are shown, to the same batches."""

import tracemalloc
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import SCHEME, draw

from hrlm.errors import ConfigError, DataError
from hrlm.models.build import ModelConfig, build_model, save_model
from hrlm.schemes import parse_scheme
from hrlm.training.batches import training_batches
from hrlm.training.config import Source, Stage, TrainConfig, cache_bytes
from hrlm.training.data import FaceEntry, Memory, Sample, Samples, load_sources
from hrlm.training.trainer import Trainer
from hrlm.training.validation import BATCH

MARKS = parse_scheme(SCHEME)
MODEL = ModelConfig("marks", SCHEME, face_size=64, region_size=64, global_width=8, regional_width=8)


def load(folder: Path, limit: int, lines: list[str] | None = None, **kind: int) -> Samples:
    say = (lines if lines is not None else []).append
    return load_sources([Source(folder, **kind)], MARKS, 1000, Memory(limit), say)[0].training  # type: ignore[arg-type]


def batches(samples: Samples) -> list[np.ndarray]:
    stage = Stage("s", ("global",), samples=16, batch=4)
    return [b.pixels.numpy() for b in training_batches([samples], [0.0], MARKS, MODEL, stage, (1, 0), 0, 2)]


def test_the_limit_changes_no_batch(tmp_path: Path) -> None:
    draw(tmp_path, 8)
    one = load(tmp_path, 1 << 30)[0].pixels.nbytes
    every = batches(load(tmp_path, 1 << 30))
    for limit in (0, 3 * one):
        for a, b in zip(every, batches(load(tmp_path, limit)), strict=True):
            assert np.array_equal(a, b)


def test_what_is_held_stays_within_the_limit(tmp_path: Path) -> None:
    draw(tmp_path, 90)
    one = load(tmp_path, 1 << 30)[0].pixels.nbytes

    def held(limit: int) -> int:
        tracemalloc.start()
        samples = load(tmp_path, limit)
        for sample in samples:
            assert sample.pixels.size
        current = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return current

    assert held(90 * 2 * one) > 60 * one
    assert held(10 * one) < 20 * one


def test_a_photo_that_goes_bad_later_is_told_once_and_replaced_the_same_way(tmp_path: Path) -> None:
    draw(tmp_path, 4)
    lines: list[str] = []
    samples = load(tmp_path, 0, lines)
    (tmp_path / "d01.png").write_bytes(b"gone")
    for _ in range(3):
        assert samples[1].name == samples[2].name
    assert len([line for line in lines if "d01.png" in line]) == 1
    for photo in tmp_path.glob("*.png"):
        photo.write_bytes(b"gone")
    with pytest.raises(DataError, match="none of the 4 photos can be read"):
        samples[0]


def test_a_source_may_ask_for_less_resolution(tmp_path: Path) -> None:
    draw(tmp_path, 2)
    assert max(load(tmp_path, 1 << 30, max_side=50)[0].pixels.shape) == 50
    assert max(load(tmp_path, 0, max_side=50)[0].pixels.shape) == 50


def test_sizes_are_read_as_people_write_them() -> None:
    assert [cache_bytes(t) for t in ("0", "2048", "3k", "1.5M", "4G")] == [0, 2048, 3072, 1572864, 4 << 30]
    for text in ("", "much", "4T", "-1G", "infG"):
        with pytest.raises(ConfigError, match="give a size such as"):
            cache_bytes(text)


def test_what_looks_at_many_faces_keeps_a_batch_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The convention of a source, and how far level 2 has to follow: both look at faces beyond the cache."""
    draw(tmp_path / "photos", 5 * BATCH)
    (tmp_path / "marks4.yaml").write_text(SCHEME)
    start, level_2 = tmp_path / "start.safetensors", replace(MODEL, native=(0, 2), native_width=8)
    save_model(start, build_model(level_2), level_2, {"version": "1", "trained_on": [], "terms": []})
    monkeypatch.setattr("hrlm.training.data.CHUNK", 1)
    alive: set[int] = set()
    most = 0
    cut = FaceEntry.cut

    def watched(self: FaceEntry, pixels: np.ndarray) -> Sample:
        nonlocal most
        sample = cut(self, pixels)
        alive.add(id(sample.pixels))
        weakref.finalize(sample.pixels, alive.discard, id(sample.pixels))
        most = max(most, len(alive))
        return sample

    monkeypatch.setattr(FaceEntry, "cut", watched)
    sources = (Source(tmp_path / "photos", validation_every=10, own_convention=True),)
    stages = (Stage("s", ("global",), samples=16, batch=4),)
    config = TrainConfig(
        "m", tmp_path / "out", sources, stages, str(tmp_path / "marks4.yaml"), start=str(start), cache="0"
    )
    trainer = Trainer(config, torch.device("cpu"), lambda _: None, lambda *_: None)
    trainer.load_data()
    assert len(trainer.groups[0]) == 36
    assert BATCH <= most <= 2 * BATCH + 1
    most = 0
    assert trainer.ema.native is not None
    trainer._move_level_2(trainer.ema.native)
    assert BATCH <= most <= 2 * BATCH + 1
