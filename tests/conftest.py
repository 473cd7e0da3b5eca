"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest


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
