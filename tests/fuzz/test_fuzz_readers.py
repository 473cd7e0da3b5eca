"""A short run of the fuzzer, and that it notices what it is for."""

from __future__ import annotations

import random
from pathlib import Path

import fuzz_readers
import pytest

from hrlm.errors import FormatError


def test_damaged_files_break_no_reader(astronaut: Path, tmp_path: Path) -> None:
    outcome = fuzz_readers.fuzz(astronaut, 400, 2026, tmp_path / "failures")
    assert outcome.failures == {}
    assert sum(outcome.counts.values()) == 400
    # damage that never gets past a reader's first look would test little
    assert sum(n for what, n in outcome.counts.items() if what.endswith("value")) > 20
    assert not (tmp_path / "failures").exists()


def test_a_reader_that_fails_is_reported_and_its_case_saved(
    astronaut: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path) -> None:
        raise IndexError("list index out of range") if path.stat().st_size % 2 else FormatError(f"{path}: a\nb")

    monkeypatch.setattr(fuzz_readers.pts_format, "read", broken)
    outcome = fuzz_readers.fuzz(astronaut, 60, 0, tmp_path)
    assert outcome.failures
    assert {name.rpartition(".")[2] for name in outcome.failures} == {"pts"}
    assert {p.name for p in tmp_path.iterdir()} == set(outcome.failures)


def test_the_same_seed_makes_the_same_damage() -> None:
    data = bytes(range(256)) * 3
    once, again = (fuzz_readers.mutate(data, b"other", random.Random(5)) for _ in range(2))
    assert once == again != data
