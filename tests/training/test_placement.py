import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from heads import write

from hrlm.detector import CENTRE_BELOW, EXTENT
from hrlm.errors import SchemeError
from hrlm.finding import FaceFinder
from hrlm.schemes import load_scheme
from hrlm.training.check import check
from hrlm.training.config import Source, Stage, TrainConfig
from hrlm.training.data import Memory, load_sources
from hrlm.training.placement import NOT_LEVEL, check_normaliser, placement
from hrlm.training.trainer import Trainer


def test_found_faces_tell_where_landmarks_lie(tmp_path: Path) -> None:
    """Rendered heads tell of the 68 points about what the detector knows of them from photos."""
    write(tmp_path / "p", "abcdef")
    samples = load_sources([Source(tmp_path / "p")], load_scheme("ibug68"), 400, Memory(1 << 30), print)[0].training
    told = placement(samples, FaceFinder().find)
    assert told is not None
    assert told["below"] == pytest.approx(CENTRE_BELOW, abs=0.08)
    assert told["extent"] == pytest.approx(EXTENT, rel=0.12)
    assert placement(samples, lambda photo: []) is None


@pytest.mark.parametrize(("normaliser", "turn"), [("[45, 36]", 180), ("[27, 8]", 90)])
def test_a_normaliser_that_is_not_level_is_refused_before_it_trains(tmp_path: Path, normaliser: str, turn: int) -> None:
    write(tmp_path / "p", "abcdef")
    own = tmp_path / "own.yaml"
    own.write_text(load_scheme("ibug68").source.replace("normaliser: [36, 45]", f"normaliser: {normaliser}"))
    stages = (Stage("s", ("global",), samples=16, max_side=256),)
    small = {"face_size": 64, "region_size": 64, "global_width": 8, "regional_width": 8}
    settings = TrainConfig(
        "m", tmp_path / "out", (Source(tmp_path / "p"),), stages, str(own), start="random", model=small
    )
    trainer = Trainer(settings, torch.device("cpu"), lambda line: None, lambda *_: None)
    with pytest.raises(
        SchemeError, match=rf"{re.escape(str(own))}: .*on the left of an upright picture first"
    ) as caught:
        trainer.load_data()
    told = re.search(r"turned by (\d+) degrees", str(caught.value))
    assert told is not None
    assert abs(int(told[1]) - turn) < 15
    assert [p.message for p in check(settings).problems if p.kind == NOT_LEVEL] == [str(caught.value)]


def test_faces_that_hang_or_that_nobody_finds_are_no_fault_of_the_normaliser(tmp_path: Path) -> None:
    write(tmp_path / "p", "abcdef")
    scheme = load_scheme("ibug68")
    samples = load_sources([Source(tmp_path / "p")], scheme, 400, Memory(1 << 30), print)[0].training
    points = [s.points for s in samples]
    check_normaliser("s", scheme, points, lambda: pytest.fail("looked at the pixels"), FaceFinder().find)
    hanging = [
        replace(
            s,
            pixels=np.ascontiguousarray(s.pixels[::-1, ::-1]),
            points=np.subtract(s.pixels.shape[1::-1], 1) - s.points,
        )
        for s in samples
    ]
    turned = [s.points for s in hanging]
    check_normaliser("s", scheme, turned, lambda: hanging, FaceFinder().find)
    check_normaliser("s", scheme, turned, lambda: hanging, lambda photo: [])
    check_normaliser("s", scheme, [np.full((68, 2), np.nan)], lambda: hanging, FaceFinder().find)
