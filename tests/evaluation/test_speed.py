import time
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from hrlm.detector import first_crops
from hrlm.errors import PhotoError
from hrlm.evaluation.speed import (
    STAGES,
    Speed,
    enlarged_jpeg,
    files_to_time,
    measure_speed,
    measure_stages,
    peak_memory,
)
from hrlm.finding import FoundFace
from hrlm.geometry import CropTransform
from hrlm.photos import Photo
from hrlm.results import Face, ModelInfo


def test_rates_and_ratio() -> None:
    speed = Speed(photos=10, megapixels=24, detect_seconds=5, decode_seconds=2)
    assert (speed.detect_rate, speed.decode_rate, speed.ratio) == (2, 5, 2.5)


def test_both_are_timed_on_the_same_files(tmp_path: Path) -> None:
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    for file in files:
        Image.new("L", (1000, 500)).save(file)
    speed = measure_speed(files, lambda: time.sleep(0.05))
    assert (speed.photos, speed.megapixels) == (2, 0.5)
    assert speed.detect_seconds >= 0.05
    assert speed.decode_seconds > 0


def test_a_file_that_pillow_cannot_decode_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(b"nothing")
    with pytest.raises(PhotoError, match=r"a\.jpg: Pillow cannot decode it"):
        measure_speed([file], lambda: None)


def test_without_files_there_is_nothing_to_time() -> None:
    with pytest.raises(ValueError, match="no files"):
        measure_speed([], lambda: None)


def test_at_most_so_many_files_that_pillow_knows_are_timed(tmp_path: Path) -> None:
    files = [tmp_path / f"{i}.png" for i in range(10)]
    for file in files:
        Image.new("L", (8, 8)).save(file)
    files[3].write_bytes(b"nothing")
    assert files_to_time(files, 10) == [*files[:3], *files[4:]]
    assert files_to_time(files, 5) == files[::2]
    assert files_to_time([], 5) == []


class Counting:
    """A detector that takes as long as it is told to."""

    info = ModelInfo("m", "ibug68", "1")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def find(self, photo: Photo) -> list[FoundFace]:
        time.sleep(0.01)
        return [FoundFace((1, 1, 9, 9), 1.0, np.arange(10.0).reshape(5, 2))] if photo.pixels.max() else []

    def first_crops(self, found: list[FoundFace]) -> CropTransform:
        return first_crops(found, 256, 1.5)

    def locate(self, photos: list[Photo], crops: list[CropTransform]) -> None:
        assert [len(c) for c in crops] == [len(self.find(p)) for p in photos]
        time.sleep(self._seconds)

    def detect_batch(self, photos: list[Photo]) -> list[list[Face]]:
        return [[Face(np.ones((68, 2)), np.ones(68), (1, 1, 9, 9), 1.0)]]


def test_each_stage_is_timed_on_photos_with_a_face(tmp_path: Path) -> None:
    files = [tmp_path / "a.png", tmp_path / "dark.png"]
    for file, light in zip(files, (200, 0), strict=True):
        Image.new("RGB", (40, 40), (light, light, light)).save(file)
    steps: list[int] = []
    full, alone = Counting(0.2), Counting(0.05)
    stages = measure_stages(files, full, alone, lambda: steps.append(1))  # type: ignore[arg-type]
    assert list(stages) == list(STAGES)
    assert {len(v) for v in stages.values()} == {1}
    assert stages["global"][0] >= 0.05
    # what the full system takes longer, whatever else the machine does meanwhile
    assert 0.05 < stages["regional"][0] < 2
    assert min(stages[s][0] for s in ("decode, Pillow", "decode", "find", "write")) > 0
    assert len(steps) == 2


@pytest.mark.parametrize("megapixels", [0.04, 2])
def test_a_photo_is_enlarged_with_grain(megapixels: float) -> None:
    picture = np.full((300, 600, 3), 128, np.uint8)
    made = simplejpeg.decode_jpeg(enlarged_jpeg(picture, megapixels))
    assert made.shape[0] * made.shape[1] == pytest.approx(megapixels * 1e6, rel=0.01)
    assert made.shape[1] / made.shape[0] == pytest.approx(2, rel=0.02)
    assert 2 < made.std() < 10


def test_peak_memory_grows_with_what_is_taken() -> None:
    before = peak_memory()
    if before is None:
        pytest.skip("this system does not tell")
    taken = np.ones(80_000_000, np.uint8)
    after = peak_memory()
    assert after is not None
    assert after > 50
    assert after >= before
    assert taken.all()
