import io
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath

import numpy as np
from rich.console import Console

from hrlm.formats.atomic import WriteError
from hrlm.photos import Photo
from hrlm.results import Face, ModelInfo, PhotoResult
from hrlm.runs.ahead import Window, ahead
from hrlm.runs.detect_run import detect_photos
from hrlm.runs.discovery import Source
from hrlm.runs.pipeline import Choice
from hrlm.runs.report import Reporter, Summary, one_line


class Nobody:
    """Finds no faces and remembers the batches."""

    info = ModelInfo("m", "s", "0")

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def detect_batch(self, photos: Sequence[Photo], faces: str = "all", min_face: float = 0) -> list[list[Face]]:
        self.batches.append([p.path for p in photos])
        return [[] for _ in photos]


def sources(count: int) -> list[Source]:
    return [Source(Path(f"{i}.png"), f"{i}.png", PurePath(str(i)), PurePath(str(i))) for i in range(count)]


def open_one(path: str) -> Photo:
    # the later, the sooner ready: order must not come from luck
    time.sleep(0.02 if int(Path(path).stem) % 3 == 0 else 0)
    if path == "4.png":
        raise MemoryError
    return Photo(path, np.zeros((2, 3, 3), np.uint8))


def quiet() -> Reporter:
    return Reporter(0, quiet=True, console=Console(file=io.StringIO()))


def test_order_and_batches() -> None:
    detector = Nobody()
    written: list[str] = []
    summary = detect_photos(
        sources(9), detector, open_one, [lambda s, p, r: written.append(s.name)], quiet(), Choice(batch=3)
    )
    # by their place in the list, so that a resumed run batches alike
    assert detector.batches == [["0.png", "1.png", "2.png"], ["3.png", "5.png"], ["6.png", "7.png", "8.png"]]
    assert sorted(written) == [f"{i}.png" for i in range(9) if i != 4]
    assert (summary.photos, summary.without_face, summary.exit_code) == (9, 8, 1)
    assert "MemoryError" in summary.problems[0].reason


def test_a_full_disk_ends_the_run_with_one_message() -> None:
    def full(source: Source, photo: Photo, result: PhotoResult) -> None:
        raise WriteError(Path("a.json"), OSError(28, "No space left on device"))

    summary = detect_photos(sources(60)[10:], Nobody(), open_one, [full], quiet(), Choice(batch=1))
    assert summary.photos < 50
    assert [p.name for p in summary.problems] == ["10.png"]
    assert summary.exit_code == 1


def test_work_ahead_is_bounded_and_in_order() -> None:
    begun: list[int] = []
    lock = threading.Lock()

    def work(item: int) -> int:
        with lock:
            begun.append(item)
        return item * 10

    with ThreadPoolExecutor(3) as pool:
        for taken, (item, future) in enumerate(ahead(pool, work, iter(range(50)), lambda: 4)):
            assert future.result() == taken * 10 == item * 10
            assert len(begun) <= taken + 5
    assert sorted(begun) == list(range(50))


def test_large_photos_narrow_the_window() -> None:
    window = Window(8, memory=1000)
    assert 1 <= window() <= 8
    window.saw(100)
    assert window() == 8
    window.saw(300)
    assert window() == 3
    window.saw(5000)
    assert window() == 1


def test_reports_are_plain_lines() -> None:
    text = io.StringIO()
    reporter = Reporter(3, console=Console(file=text, width=20))
    with reporter:
        reporter.say("[red] a long line :smile: that is wider than the terminal\nand has a break")
    assert text.getvalue() == "[red] a long line :smile: that is wider than the terminal\\nand has a break\n"
    assert one_line("ä\udcff\x1b[0m") == "ä\\udcff\\x1b[0m"
    summary = Summary(photos=2, faces=1, without_face=1, seconds=4)
    assert str(summary) == "2 photos, 1 face, 1 without a face, 0 failed, 4.0 s, 0.50 photos/s"
    assert (summary.exit_code, Summary(interrupted=True).exit_code) == (0, 130)
