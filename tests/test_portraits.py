"""The main job on the project's own photos: portraits of 2048 and 4096 pixels whose landmarks are known exactly."""

from pathlib import Path

import pytest

from hrlm import Detector
from hrlm.evaluation.metrics import nme
from hrlm.formats import pts
from hrlm.photos import open_photo

PORTRAITS = sorted((Path(__file__).parents[1] / "examples" / "heads").glob("head-*.jpg"))


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(device="cpu")


def test_there_are_portraits() -> None:
    assert len(PORTRAITS) >= 3


@pytest.mark.parametrize("path", PORTRAITS, ids=lambda p: p.stem)
def test_landmarks_are_where_they_are(detector: Detector, path: Path) -> None:
    """Labellers of photos mean slightly other points than the mesh's, hence the bounds."""
    (face,) = detector.detect(open_photo(path))
    truth = pts.read(path.with_suffix(".pts"))
    assert float(nme(face.landmarks, truth, detector.scheme, "inner")) < 0.05
    assert float(nme(face.landmarks, truth, detector.scheme, "eyes")) < 0.04
    assert float(nme(face.landmarks, truth, detector.scheme)) < 0.06
