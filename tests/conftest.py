"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

# files that take long come first: at the end all but one process would wait for them
LONG = (
    "review/test_loop.py",
    "training/test_resume.py",
    "training/test_trainer.py",
    "training/test_distributed.py",
    "training/test_export.py",
    "review/test_page.py",
    "test_detector.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order tests by how long their files take, as far as that is known."""
    rank = {Path(__file__).parent / name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photos beside the repository; the test is skipped where it is not there."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real photos (../shared/data) are not here")
    return folder


@pytest.fixture(scope="session")
def astronaut() -> Path:
    """The example portrait: one upright face, 512 x 512."""
    return Path(__file__).parents[1] / "examples" / "photos" / "astronaut.png"
