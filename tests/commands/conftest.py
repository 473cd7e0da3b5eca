from __future__ import annotations

import pytest
from detecting import FakeDetector, InProcess


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeDetector]:
    """The quick detector in place of the real one, and photos decoded in this process."""
    monkeypatch.setattr("hrlm.detector.Detector", FakeDetector)
    monkeypatch.setattr("hrlm.runs.engine.IsolatedOpener", InProcess)
    monkeypatch.setattr(FakeDetector, "before", staticmethod(lambda photos: None))
    return FakeDetector
