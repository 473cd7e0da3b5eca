"""Sources of different schemes train together; what a source lacks teaches nothing and spoils no crop."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from heads import SIDE, heads, save, write

from hrlm.errors import DataError
from hrlm.formats import pts
from hrlm.geometry import face_crop
from hrlm.models.build import ModelConfig, build_model
from hrlm.schemes import load_scheme
from hrlm.training.batches import collate, plain_item
from hrlm.training.config import Source, Stage, TrainConfig
from hrlm.training.data import Memory, Sample, load_sources
from hrlm.training.shapes import complete, mean_shape
from hrlm.training.step import batch_losses
from hrlm.training.trainer import Trainer
from hrlm.training.validation import calibrate, validate

SCHEME = load_scheme("ibug68")
CPU = torch.device("cpu")
SMALL = ModelConfig("m", SCHEME.source, face_size=64, region_size=64, global_width=8, regional_width=8)
# the brows, the nose and the mouth: nothing of the eyes, between which errors are normalised
PART = """
name: part
landmarks: [{names}]
normaliser: [0, 9]
regions: {{all: {{landmarks: [0-{last}]}}}}
"""
KEPT = [*range(17, 36), *range(48, 68)]


def part_scheme(folder: Path) -> Path:
    path = folder / "part.yaml"
    names = ", ".join(SCHEME.landmarks[i] for i in KEPT)
    path.write_text(PART.format(names=names, last=len(KEPT) - 1))
    return path


@pytest.fixture
def sources(tmp_path: Path) -> tuple[Source, Source]:
    """Three faces with all landmarks, three with those of `KEPT`."""
    write(tmp_path / "whole", "abc")
    for name, (pixels, points) in zip("def", heads()[3:], strict=True):
        save(tmp_path / "some" / f"{name}.png", pixels)
        pts.write(tmp_path / "some" / f"{name}.pts", points[KEPT])
    return Source(tmp_path / "whole"), Source(tmp_path / "some", scheme=str(part_scheme(tmp_path)))


def load(*sources: Source) -> list[Sample]:
    return [s for own in load_sources(sources, SCHEME, 256, Memory(1 << 30), print) for s in own.training[:]]


def test_missing_landmarks_do_not_teach_and_stand_where_a_face_would_have_them(sources: tuple[Source, Source]) -> None:
    samples = load(*sources)
    for sample, (_, truth) in zip(samples, heads(), strict=True):
        assert np.isfinite(sample.points).all()
        truth_size = np.ptp(truth, axis=0).max()
        ratio = truth_size / np.ptp(truth[KEPT], axis=0).max()
        assert np.ptp(sample.points, axis=0).max() / np.ptp(sample.points[KEPT], axis=0).max() == pytest.approx(
            ratio, rel=0.15
        )
    for sample in samples[:3]:
        assert sample.visible is None
    for sample in samples[3:]:
        assert sample.visible is not None
        assert np.flatnonzero(sample.visible).tolist() == KEPT


def test_the_face_crop_hardly_depends_on_what_was_annotated(tmp_path: Path, sources: tuple[Source, Source]) -> None:
    """The same photos with all landmarks and with some are cropped alike, though the normaliser is missing."""
    some = load(*sources)[3:]
    write(tmp_path / "all", "abcdef")
    for a, b in zip(some, load(Source(tmp_path / "all"))[3:], strict=True):
        # the cut-outs differ: sizes and turns are compared in units of the cut's own landmarks
        unit = [np.linalg.norm(s.points[30] - s.points[51]) for s in (a, b)]
        crops = [face_crop(torch.from_numpy(s.points)[None], SCHEME.normaliser, 64, 1.5) for s in (a, b)]
        assert float(crops[0].side) / unit[0] == pytest.approx(float(crops[1].side) / unit[1], rel=0.12)
        assert float(crops[0].angle) == pytest.approx(float(crops[1].angle), abs=0.12)


def test_where_a_missing_landmark_was_put_changes_no_loss_and_no_figure(sources: tuple[Source, Source]) -> None:
    torch.manual_seed(0)
    net = build_model(SMALL).eval()
    samples = load(*sources)[3:]
    stage = Stage("all", ("global", "attention", "regional"), samples=3, batch=3)
    batch = collate([plain_item(s, SCHEME, SMALL) for s in samples])
    moved = batch.points.clone()
    missing = [i for i in range(68) if i not in KEPT and i not in SCHEME.normaliser]
    moved[:, missing] += 3

    def loss(points: torch.Tensor) -> float:
        generator = torch.Generator().manual_seed(1)
        return float(batch_losses(net, replace(batch, points=points), stage, CPU, generator).total.detach())

    assert loss(moved) == pytest.approx(loss(batch.points), rel=1e-6)
    elsewhere = [replace(s, points=s.points.copy()) for s in samples]
    for sample in elsewhere:
        # inside of the face's box, so that its crop stays
        sample.points[40] = sample.points[30]
    assert validate(net, SMALL, elsewhere, CPU) == pytest.approx(validate(net, SMALL, samples, CPU), rel=1e-6)
    scales = []
    for each in (samples, elsewhere):
        calibrate(net, SMALL, each, CPU)
        scales.append(net.variance_scale.clone())
    assert torch.isfinite(scales[0]).all()
    assert torch.allclose(scales[0], scales[1])


def test_both_train_together(tmp_path: Path, sources: tuple[Source, Source]) -> None:
    model = {"face_size": 64, "region_size": 64, "global_width": 8, "regional_width": 8}
    data = (replace(sources[0], share=0.25), replace(sources[1], validation_every=3))
    stages = (Stage("all", ("global", "attention", "regional"), samples=16, batch=4, max_side=160),)
    config = TrainConfig("m", tmp_path / "out", data, stages, start="random", model=model)
    lines: list[str] = []
    trainer = Trainer(config, CPU, lines.append, lambda *_: None)
    assert trainer.run().exists()
    assert any("some: 2 faces to train on, 1 to validate on" in line for line in lines)


def test_a_landmark_that_no_source_has_is_refused(sources: tuple[Source, Source]) -> None:
    with pytest.raises(DataError, match="no source has the landmark jaw_right_0 of ibug68"):
        load_sources(sources[1:], replace(SCHEME, shape=None), 256, Memory(0), print)
    # the scheme's own shape tells where the landmark would be
    for sample, (_, truth) in zip(load(sources[1]), heads()[3:], strict=True):
        off = (sample.points - sample.points[30]) - (truth - truth[30])
        assert np.abs(off).max() < 0.25 * np.ptp(truth, axis=0).max()
        assert sample.visible is not None
        assert np.flatnonzero(sample.visible).tolist() == KEPT


def test_shapes_grow_together_over_shared_landmarks() -> None:
    rng = np.random.default_rng(0)
    shape = rng.normal(0, 30, (68, 2))
    shape[36], shape[45] = (-20, 0), (20, 0)
    faces = []
    for i in range(30):
        angle, size = rng.normal(0, 0.5), np.exp(rng.normal(0, 0.3))
        turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        face = shape @ turn.T + rng.uniform(0, 200, 2)
        face[slice(40, None) if i % 2 else slice(0, 30)] = np.nan
        faces.append(face)
    # 30 to 39 are all that both kinds share
    mean = mean_shape(faces, SCHEME)
    assert mean == pytest.approx(shape / 40, abs=1e-6)
    filled = complete(faces[0], mean)
    assert filled is not None
    again = complete(np.where(np.arange(68)[:, None] < 40, np.nan, filled), mean)
    assert again == pytest.approx(filled, abs=1e-6)


def test_a_lone_landmark_needs_a_box() -> None:
    _, truth = heads()[0]
    mean = mean_shape([t for _, t in heads()], SCHEME)
    lone = np.full((68, 2), np.nan)
    lone[30] = truth[30]
    assert complete(lone, mean) is None
    low, high = truth.min(0), truth.max(0)
    placed = complete(lone, mean, (*low, *(high - low)))
    assert placed is not None
    assert np.abs(placed - truth).max() < 0.2 * SIDE
    assert (placed[30] == truth[30]).all()
