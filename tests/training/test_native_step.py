import cv2
import numpy as np
import pytest
import torch

from hrlm.models.build import ModelConfig
from hrlm.models.native import NativeLevel
from hrlm.schemes import load_scheme
from hrlm.training.batches import Batch, collate, plain_item
from hrlm.training.config import Stage
from hrlm.training.data import Sample
from hrlm.training.native_step import native_loss, validate_native

SCHEME = load_scheme("ibug68")
STAGE = Stage("level 2", ("native",), 64, batch=4, objective="gaussian-nll", sigma=0.6, coordinate_weight=1)
CPU = torch.device("cpu")
UNIT = 450.0


def face(seed: int) -> Sample:
    """A dark dot at every landmark of a rolled face's eyes and mouth, on noise."""
    rng = np.random.default_rng(seed)
    turn = rng.normal(0, 0.2)
    axes = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    points = np.array(SCHEME.shape) * UNIT @ axes + (500, 300) + rng.normal(0, 5, (68, 2))
    noise = cv2.GaussianBlur(rng.normal(150, 60, (900, 1000)).astype(np.float32), (0, 0), 2)
    for px, py in points[36:]:
        # further away a dot is fainter than a grey level
        left, top = int(px) - 24, int(py) - 24
        y, x = np.mgrid[top : top + 50, left : left + 50]
        noise[top : top + 50, left : left + 50] -= 120 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 40)
    return Sample(f"face {seed}", np.repeat(noise.clip(0, 255).astype(np.uint8)[..., None], 3, 2), points)


def batch(samples: list[Sample]) -> Batch:
    model = ModelConfig("test", SCHEME.source)
    return collate([plain_item(sample, SCHEME, model) for sample in samples])


def made() -> NativeLevel:
    torch.manual_seed(0)
    return NativeLevel(SCHEME, range(36, 68), 16, UNIT)


def test_it_learns_what_marks_a_landmark() -> None:
    level, unseen = made(), [face(1000)]
    before = validate_native(level.eval(), unseen, CPU)
    assert before["native nme"] == pytest.approx(before["prior nme"], rel=0.1)
    optimizer = torch.optim.AdamW(level.net.parameters(), 6e-3)
    for layer in level.net.layers:
        # thirty steps are few for a slow average
        layer[1].momentum = 0.2
    level.train()
    for step in range(30):
        faces = [face(2 * step), face(2 * step + 1)]
        loss = native_loss(level, batch(faces), STAGE, CPU, torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = validate_native(level.eval(), unseen, CPU)
    assert after["prior nme"] == before["prior nme"]
    assert after["native nme"] < 0.6 * after["prior nme"]


@torch.no_grad()
def test_a_part_of_a_step_takes_its_own_draws() -> None:
    level = made().eval()
    torch.nn.init.normal_(level.net.score.weight)
    faces = [face(i) for i in range(4)]

    def loss(chosen: list[Sample], part: int, parts: int) -> float:
        return float(native_loss(level, batch(chosen), STAGE, CPU, torch.Generator().manual_seed(7), part, parts))

    assert loss(faces[2:], 1, 2) == loss(faces[2:], 1, 2)
    assert loss(faces[2:], 1, 2) != loss(faces[2:], 0, 2)
    # the mean of a whole is over landmarks, of which both halves have about as many
    whole, halves = loss(faces, 0, 1), (loss(faces[:2], 0, 2), loss(faces[2:], 1, 2))
    assert min(halves) <= whole <= max(halves)


def test_a_face_too_small_for_level_2_teaches_nothing() -> None:
    level, small = made(), face(0).reduced(180)
    loss = native_loss(level, batch([small, small]), STAGE, CPU, torch.Generator().manual_seed(0))
    loss.backward()
    assert loss.item() == 0
    assert np.isnan(validate_native(level, [small], CPU)["native nme"])


def test_landmarks_out_of_the_picture_do_not_teach() -> None:
    """A picture of the mouth alone: the eyes, whose place is known, are never asked for."""
    whole = face(0)
    top = int(whole.points[48:, 1].min()) - 60
    mouth = Sample("mouth", np.ascontiguousarray(whole.pixels[top:]), whole.points - (0, top))
    level = made().eval()
    eyes = [level.channel_of(i, False) for i in range(36, 42)]
    for seed in range(6):
        loss = native_loss(level, batch([mouth]), STAGE, CPU, torch.Generator().manual_seed(seed))
        level.zero_grad()
        loss.backward()
        gradient = level.net.score.bias.grad
        assert gradient is not None
        assert gradient[eyes].abs().max() == 0
