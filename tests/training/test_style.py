"""Stylised faces: another's look, one's own landmarks, and only where a trained model still reads them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from heads import heads, write

from hrlm.errors import ConfigError, ModelError
from hrlm.models.build import load_model
from hrlm.schemes import load_scheme
from hrlm.training.config import Source, Stage, TrainConfig
from hrlm.training.data import Memory, Sample, Samples, load_sources
from hrlm.training.style import judge, match_statistics, mix_amplitudes, stylised, transport_colours
from hrlm.training.trainer import Trainer

CPU = torch.device("cpu")
PHOTOS = [p for p, _ in heads()]


def spread(pixels: np.ndarray) -> np.ndarray:
    return np.quantile(pixels.reshape(-1, 3), [0.1, 0.3, 0.5, 0.7, 0.9], axis=0)


def test_colours_become_the_donors_and_edges_stay() -> None:
    own, donor = PHOTOS[0], PHOTOS[1]
    before = np.abs(spread(own) - spread(donor)).mean()
    for changed in (match_statistics(own, donor), transport_colours(own, donor, np.random.default_rng(0))):
        assert changed.shape == own.shape
        assert changed.dtype == np.uint8
        assert np.abs(spread(changed) - spread(donor)).mean() < 0.5 * before
    moved = transport_colours(own, donor, np.random.default_rng(0))
    assert np.abs(spread(moved) - spread(donor)).mean() < 0.15 * before
    # a photo in its own look is itself
    assert np.abs(match_statistics(own, own).astype(int) - own).mean() < 2
    assert np.abs(transport_colours(own, own, np.random.default_rng(0)).astype(int) - own).mean() < 2


def test_amplitudes_mix_at_low_frequencies_and_phase_stays() -> None:
    own, donor = PHOTOS[2], PHOTOS[3]
    assert np.abs(mix_amplitudes(own, donor, 0).astype(int) - own).max() <= 1
    assert np.abs(mix_amplitudes(own, own, 1).astype(int) - own).max() <= 1
    changed = mix_amplitudes(own, donor, 1, 0.02)
    # the mean is frequency 0: wholly the donor's, but for clipping
    gap = np.abs(own.mean((0, 1)) - donor.mean((0, 1))).mean()
    assert np.abs(changed.mean((0, 1)) - donor.mean((0, 1))).mean() < 0.25 * gap
    fine = [np.diff(p.astype(float), axis=1).ravel() for p in (own, changed)]
    assert np.corrcoef(*fine)[0, 1] > 0.9


@pytest.fixture
def faces(tmp_path: Path) -> Samples:
    write(tmp_path / "faces", "abcdef")
    return load_sources([Source(tmp_path / "faces")], load_scheme("ibug68"), 160, Memory(1 << 30), print)[0].training


def test_only_faces_that_are_still_read_are_added(faces: Samples) -> None:
    asked: list[str] = []

    def errors(samples: Sequence[Sample]) -> list[float]:
        """A model that is lost on all that wears the look of a.png."""
        asked.extend(s.name for s in samples)
        return [0.5 if "look of faces/a" in s.name else 0.03 for s in samples]

    lines: list[str] = []
    added = stylised(faces, faces.entries, 1.0, 3, errors, Memory(0), lines.append)
    tried = [n for n in asked if "look of" in n]
    assert len(tried) == 6
    lost = [n for n in tried if "look of faces/a" in n]
    assert len(added) == 6 - len(lost)
    assert not {s.name for s in added} & set(lost)
    assert f"{len(added)} of 6 stylised faces" in lines[0]
    plain = {e.name: i for i, e in enumerate(faces.entries)}
    for i, sample in enumerate(added):
        # read again from the disk to the same pixels, with the landmarks of its own face
        assert np.array_equal(sample.pixels, added[i].pixels)
        own = faces[plain[sample.name.split(" in the look")[0]]]
        assert np.array_equal(sample.points, own.points)
        assert sample.pixels.shape == own.pixels.shape


def test_the_shipped_model_tells_a_good_face_from_one_that_is_not(faces: Samples) -> None:
    errors = judge(load_model("ibug68"), load_scheme("ibug68").landmarks, CPU)
    good = errors(faces[:2])
    black = errors([replace(s, pixels=np.zeros_like(s.pixels)) for s in faces[:2]])
    assert max(good) < 0.08
    assert min(black) > 2 * max(good)
    with pytest.raises(ModelError, match="too few landmarks"):
        judge(load_model("ibug68"), ["a", "b", "c"], CPU)


def test_a_training_with_style_shows_more_faces(tmp_path: Path, faces: Samples) -> None:
    stages = (Stage("s", ("global",), samples=8, batch=4, max_side=160),)
    model = {"face_size": 64, "region_size": 64, "global_width": 8, "regional_width": 8}
    data = (Source(tmp_path / "faces", style=0.5),)
    with pytest.raises(ConfigError, match="name one as style_judge"):
        TrainConfig("m", tmp_path, data, stages, start="random", model=model)
    config = TrainConfig("m", tmp_path / "out", data, stages, start="random", model=model, style_judge="ibug68")
    lines: list[str] = []
    trainer = Trainer(config, CPU, lines.append, lambda *_: None)
    trainer.load_data()
    told = next(line for line in lines if "stylised" in line)
    kept = int(told.split()[1])
    assert "of 3 stylised" in told
    assert kept >= 1
    assert len(trainer.groups[0]) == 6 + kept
