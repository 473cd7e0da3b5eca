from dataclasses import replace

import numpy as np
import pytest
import torch

import hrlm.training.shape_fitting as module
from hrlm.models.build import ModelConfig
from hrlm.models.nets import LandmarkModel
from hrlm.models.shape import ShapeModel
from hrlm.schemes import load_scheme
from hrlm.training.data import Sample
from hrlm.training.shape_fitting import fit_gaussian, fit_habits, fit_shape_model
from hrlm.training.validation import Look

SCHEME = load_scheme("ibug68")
CPU = torch.device("cpu")
BLACK = np.zeros((8, 8, 3), np.uint8)


def look(count: int, seed: int, habit: float, lacking: int = 0) -> Look:
    """Faces found exactly, `count` of them, whose labels lie `habit` of the normaliser further right."""
    generator = torch.Generator().manual_seed(seed)
    shape = torch.tensor(SCHEME.shape, dtype=torch.float64)
    found = 200 * (shape + 0.01 * torch.randn(count, 68, 2, generator=generator, dtype=torch.float64))
    visible = torch.ones(count, 68)
    visible[:lacking, 3] = 0
    covariance = torch.eye(2, dtype=torch.float64).expand(count, 68, 2, 2)
    return Look(found + torch.tensor([200 * habit, 0]), visible, ((found, covariance), (found, covariance)))


@pytest.fixture
def net() -> LandmarkModel:
    return LandmarkModel(SCHEME, 64, 64, 8, 8)


def shape_model(faces: Look) -> ShapeModel:
    gaussian = fit_gaussian(SCHEME, [faces])
    assert gaussian is not None
    return fit_habits(gaussian, [faces])


def chosen(
    net: LandmarkModel, monkeypatch: pytest.MonkeyPatch, training: Look, validation: Look, before: ShapeModel | None
) -> ShapeModel | None:
    """What is chosen where training and validation faces are found so."""
    seen = {"train": training, "validate": validation}
    monkeypatch.setattr(module, "looks", lambda net, model, samples, device: [seen[samples[0].name]])
    faces = [Sample(name, BLACK, np.zeros((68, 2))) for name in seen]
    config = ModelConfig("m", SCHEME.source, face_size=64, region_size=64)
    return fit_shape_model(net, config, faces[:1], faces[1:], CPU, before)


def test_habits_that_validation_shares_are_learnt(net: LandmarkModel, monkeypatch: pytest.MonkeyPatch) -> None:
    validation = look(30, 1, 0.02)
    model = chosen(net, monkeypatch, look(200, 0, 0.02), validation, None)
    assert model is not None
    points = model(*validation.levels[1], True)[0]
    assert (points - validation.labels).norm(dim=-1).mean() < 0.5
    # stated deviations are those of the distances that are left
    assert (model.variance_scale > 0).all()


def test_habits_that_validation_does_not_share_are_not_kept(
    net: LandmarkModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chosen(net, monkeypatch, look(200, 0, 0.05), look(30, 1, 0.0), None) is None


def test_of_an_earlier_model_the_gaussian_may_stay_alone(net: LandmarkModel, monkeypatch: pytest.MonkeyPatch) -> None:
    before = shape_model(look(200, 0, 0.05))
    noisy = look(30, 1, 0.0)
    off = 4 * torch.randn(30, 68, 2, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    found = noisy.levels[1][0] + off, 32 * noisy.levels[1][1]
    model = chosen(net, monkeypatch, look(3, 2, 0.0), replace(noisy, levels=(found, found)), before)
    assert model is not None
    assert before is not None
    assert torch.equal(model.modes, before.modes)
    assert not model.habit.any()
    assert before.habit.any()


def test_without_validation_faces_only_the_gaussian_stays(net: LandmarkModel) -> None:
    config = ModelConfig("m", SCHEME.source, face_size=64, region_size=64)
    assert fit_shape_model(net, config, [], [], CPU, None) is None
    before = shape_model(look(200, 0, 0.05))
    model = fit_shape_model(net, config, [], [], CPU, before)
    assert model is not None
    assert model.modes.any()
    assert not model.habit_by_shape.any()


def test_faces_that_lack_a_landmark_do_not_tell_what_faces_are_like() -> None:
    assert fit_gaussian(SCHEME, [look(module.FEWEST, 0, 0, lacking=1)]) is None
    assert fit_gaussian(SCHEME, [look(module.FEWEST, 0, 0), look(5, 1, 0, lacking=5)]) is not None


def test_two_landmarks_have_no_shape() -> None:
    pair = load_scheme("ibug68")
    seen = look(50, 0, 0)
    two = Look(seen.labels[:, :2], seen.visible[:, :2], seen.levels)
    monkey = type("Two", (), {"__len__": lambda self: 2, "normaliser": (0, 1), "mirror": (1, 0)})()
    assert len(pair) == 68
    assert fit_gaussian(monkey, [two]) is None


def test_habits_come_from_the_landmarks_that_are_labelled(net: LandmarkModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty faces without one landmark give an earlier model's Gaussian the habits of the others."""
    before = shape_model(look(200, 0, 0.01))
    validation = look(30, 2, 0.04, lacking=30)
    model = chosen(net, monkeypatch, look(50, 1, 0.04, lacking=50), validation, before)
    assert model is not None
    assert torch.equal(model.modes, before.modes)
    # what the labels lack keeps the habit that it had
    expected = [0.01 if i == 3 else 0.04 for i in range(68)]
    assert model.habit[1, :, 0].tolist() == pytest.approx(expected, abs=3e-3)
