import time
from pathlib import Path

import pytest
from PIL import Image

from hrlm.errors import PhotoError
from hrlm.evaluation.speed import Speed, measure_speed


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
