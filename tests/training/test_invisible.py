"""Landmarks that nobody could see teach nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import SCHEME, draw
from loading import load_samples

from hrlm.formats import corrections, pts
from hrlm.formats.corrections import CorrectedFace, Correction
from hrlm.models.build import ModelConfig, build_model
from hrlm.results import ModelInfo, PhotoInfo
from hrlm.schemes import parse_scheme
from hrlm.training.batches import augmented_item, collate, plain_item
from hrlm.training.config import Stage
from hrlm.training.data import Sample
from hrlm.training.step import batch_losses

MARKS = parse_scheme(SCHEME)
MODEL = ModelConfig("marks", SCHEME, face_size=64, region_size=64, global_width=8, regional_width=8)


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Corrected photos whose landmark 0, right, was invisible."""
    draw(tmp_path / "photos", 2)
    for photo in (tmp_path / "photos").glob("*.png"):
        face = CorrectedFace(pts.read(photo.with_suffix(".pts")), 0, (), (0,))
        path = tmp_path / "results" / f"{photo.stem}.corrected.json"
        file = corrections.relative_photo(path, photo)
        info = PhotoInfo(photo.name, 160, 160)
        made = Correction(info, file, ModelInfo("marks", "marks4", "1"), 1, "", True, (face,))
        corrections.write(path, made)
    samples, problems = load_samples(tmp_path / "results", MARKS, 1000)
    assert problems == []
    return samples


def test_corrected_faces_carry_what_was_visible(samples: list[Sample]) -> None:
    assert [s.name for s in samples] == ["results/d00.corrected#1", "results/d01.corrected#1"]
    for sample in samples:
        assert sample.visible is not None
        assert sample.visible.tolist() == [False, True, True, True]
        small = sample.reduced(50)
        assert small.visible is sample.visible


def test_what_was_visible_changes_places_with_its_twin(samples: list[Sample]) -> None:
    seen = set()
    for seed in range(12):
        item = augmented_item(samples[0], MARKS, MODEL, samples, np.random.default_rng(seed))
        mirrored = bool(item.face.mirrored[0])
        assert item.visible[0].tolist() == ([1, 0, 1, 1] if mirrored else [0, 1, 1, 1])
        seen.add(mirrored)
    assert seen == {True, False}


def test_where_an_invisible_landmark_stands_changes_no_loss(samples: list[Sample]) -> None:
    torch.manual_seed(0)
    net = build_model(MODEL).eval()
    stage = Stage("all", ("global", "attention", "regional"), samples=2, batch=2)
    batch = collate([plain_item(s, MARKS, MODEL) for s in samples])

    def loss(points: torch.Tensor, visible: torch.Tensor) -> float:
        generator = torch.Generator().manual_seed(1)
        changed = replace(batch, points=points, visible=visible)
        return float(batch_losses(net, changed, stage, torch.device("cpu"), generator).total.detach())

    moved = batch.points.clone()
    moved[:, 0] += 4
    every = torch.ones_like(batch.visible)
    assert loss(moved, batch.visible) == pytest.approx(loss(batch.points, batch.visible), rel=1e-6)
    assert abs(loss(moved, every) - loss(batch.points, every)) > 1e-3
