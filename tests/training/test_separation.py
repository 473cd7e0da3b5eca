"""A photo that several sources hold goes one way."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from drawn import SCHEME, draw

from hrlm.errors import DataError
from hrlm.schemes import parse_scheme
from hrlm.training import faults
from hrlm.training.check import check
from hrlm.training.config import Source, Stage, TrainConfig
from hrlm.training.data import Memory, load_sources

MARKS = parse_scheme(SCHEME)


@pytest.fixture
def sources(tmp_path: Path) -> tuple[Source, Source]:
    """Six photos, and the same again through a link."""
    draw(tmp_path / "a", 6)
    (tmp_path / "b").symlink_to(tmp_path / "a", target_is_directory=True)
    return Source(tmp_path / "a"), Source(tmp_path / "b")


def loaded(*sources: Source) -> tuple[list[tuple[list[str], list[str]]], list[str]]:
    lines: list[str] = []

    def names(entries: list) -> Iterator[str]:
        return (e.photo.stem for e in entries)

    read = load_sources(sources, MARKS, 400, Memory(1 << 30), lines.append)
    return [(list(names(s.training.entries)), list(names(s.validation.entries))) for s in read], lines


def test_what_validates_in_one_source_trains_in_none(sources: tuple[Source, Source]) -> None:
    (first, second), lines = loaded(replace(sources[0], validation_every=3), sources[1])
    assert first == (["d01", "d02", "d04", "d05"], ["d00", "d03"])
    assert second == (["d01", "d02", "d04", "d05"], [])
    assert lines == ["2 photos that one source excludes or validates on are left out of the others"]


def test_what_one_source_excludes_is_excluded_in_all(tmp_path: Path, sources: tuple[Source, Source]) -> None:
    (tmp_path / "test.txt").write_text("d00\n")
    (first, second), lines = loaded(
        replace(sources[0], exclude=tmp_path / "test.txt"), replace(sources[1], validation_every=5)
    )
    assert first == (["d01", "d02", "d03", "d04"], [])
    assert second == (["d01", "d02", "d03", "d04"], ["d05"])
    assert lines == ["2 photos that one source excludes or validates on are left out of the others"]


def test_sources_of_their_own_say_nothing(tmp_path: Path, sources: tuple[Source, Source]) -> None:
    draw(tmp_path / "c", 3)
    (_, second), lines = loaded(replace(sources[0], validation_every=3), Source(tmp_path / "c", validation_every=2))
    assert second == (["d01"], ["d00", "d02"])
    assert lines == []


def test_a_source_of_which_nothing_is_left_is_refused_and_told(tmp_path: Path, sources: tuple[Source, Source]) -> None:
    every = replace(sources[0], validate=True)
    with pytest.raises(DataError, match="b: none of its photos can be used"):
        loaded(every, sources[1])
    (tmp_path / "marks.yaml").write_text(SCHEME)
    stages = (Stage("s", ("global",), samples=16),)
    config = TrainConfig("m", tmp_path / "out", (every, sources[1]), stages, scheme=str(tmp_path / "marks.yaml"))
    report = check(config)
    told = {p.kind: p.message for p in report.problems}
    assert told[faults.LEAK].startswith("6 photos that one source excludes or validates on")
    assert [p.message.endswith("hold back all its photos: take it out") for p in report.problems].count(True) == 1
    assert "b: cannot be used" in "\n".join(report.lines())
