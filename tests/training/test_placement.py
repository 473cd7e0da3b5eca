from pathlib import Path

import pytest
from heads import write

from hrlm.detector import CENTRE_BELOW, EXTENT
from hrlm.finding import FaceFinder
from hrlm.schemes import load_scheme
from hrlm.training.config import Source
from hrlm.training.data import Memory, load_sources
from hrlm.training.placement import placement


def test_found_faces_tell_where_landmarks_lie(tmp_path: Path) -> None:
    """Rendered heads tell of the 68 points about what the detector knows of them from photos."""
    write(tmp_path / "p", "abcdef")
    samples = load_sources([Source(tmp_path / "p")], load_scheme("ibug68"), 400, Memory(1 << 30), print)[0].training
    told = placement(samples, FaceFinder().find)
    assert told is not None
    assert told["below"] == pytest.approx(CENTRE_BELOW, abs=0.08)
    assert told["extent"] == pytest.approx(EXTENT, rel=0.12)
    assert placement(samples, lambda photo: []) is None
