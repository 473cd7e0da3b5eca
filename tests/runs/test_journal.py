from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrlm.errors import FormatError
from hrlm.runs.discovery import Source
from hrlm.runs.journal import Entry, Journal, digest, fingerprint, read, stamp
from hrlm.runs.shards import Shard


def source(folder: Path, name: str) -> Source:
    stem = PurePath(name).stem
    return Source(folder / name, name, PurePath(stem), PurePath(stem))


def finished(out: Path, one: Source) -> Entry:
    """An entry for a photo whose result lies in `out`."""
    one.file.write_bytes(b"photo")
    result = out / f"{one.result}.json"
    result.write_text("{}")
    return Entry(one.name, str(one.result), "ok", *stamp(one.file), "mark", digest(result), 1)


names = st.text(st.characters(codec=None), min_size=1)


@given(names, st.integers(-1, 2**62), st.lists(names, max_size=3).map(tuple), st.sampled_from(["ok", "no-face"]))
def test_lines_read_back(name: str, size: int, notes: tuple[str, ...], status: str) -> None:
    entry = Entry(name, name, status, size, size, "f", "d", 3, ("pts",), "", notes)
    line = entry.line()
    assert line.count(b"\n") == 1
    assert Entry.parse(line) == entry


@given(st.binary(max_size=60))
def test_no_line_ends_a_run(line: bytes) -> None:
    assert Entry.parse(line) is None


def test_a_line_of_the_wrong_kind_is_none() -> None:
    good = Entry("a", "a", "ok", 1, 1, "f").line()
    assert Entry.parse(good) is not None
    assert Entry.parse(good.replace(b'"size": 1', b'"size": "1"')) is None
    assert Entry.parse(good[:-3]) is None


def test_an_entry_holds_while_nothing_changes(tmp_path: Path) -> None:
    one = source(tmp_path, "a.jpg")
    entry, result = finished(tmp_path, one), tmp_path / "a.json"
    assert entry.still_holds(one, "mark", result)
    assert not entry.still_holds(one, "other", result)
    result.write_text("{ }")
    assert not entry.still_holds(one, "mark", result)
    result.unlink()
    assert not entry.still_holds(one, "mark", result)
    result.write_text("{}")
    one.file.write_bytes(b"another")
    assert not entry.still_holds(one, "mark", result)
    one.file.unlink()
    assert not entry.still_holds(one, "mark", result)


def test_the_fingerprint_knows_weights_and_options(tmp_path: Path) -> None:
    weights = tmp_path / "w"
    weights.write_bytes(b"1")
    first = fingerprint(weights, faces="all", min_face=0)
    assert fingerprint(weights, min_face=0, faces="all") == first
    assert fingerprint(weights, faces="all", min_face=1) != first
    weights.write_bytes(b"2")
    assert fingerprint(weights, faces="all", min_face=0) != first


def test_compacting_keeps_each_photo_once_in_order(tmp_path: Path) -> None:
    first, second, foreign = (source(tmp_path, name) for name in ("a.jpg", "b.jpg", "z.jpg"))
    entries = {one.name: finished(tmp_path, one) for one in (first, second, foreign)}
    journal = Journal(tmp_path)
    with journal.appending():
        for name in ("z.jpg", "b.jpg", "a.jpg", "b.jpg"):
            journal.add(entries[name])
    assert len((tmp_path / "run.jsonl").read_bytes().splitlines()) == 4
    journal.compact([first, second])
    assert [e.path for e in read(tmp_path / "run.jsonl").values()] == ["a.jpg", "b.jpg", "z.jpg"]
    # a name that a photo no longer has
    again = Source(first.file, first.name, PurePath("a.jpg"), PurePath("a.jpg"))
    journal.compact([again, second])
    assert [e.path for e in read(tmp_path / "run.jsonl").values()] == ["b.jpg", "z.jpg"]


def test_a_torn_line_is_cut_off_before_the_next_is_added(tmp_path: Path) -> None:
    one = source(tmp_path, "a.jpg")
    entry = finished(tmp_path, one)
    (tmp_path / "run.jsonl").write_bytes(entry.line() + b'{"path": "b')
    journal = Journal(tmp_path)
    with journal.appending():
        journal.add(entry)
    assert (tmp_path / "run.jsonl").read_bytes() == entry.line() * 2


def test_every_journal_of_a_folder_counts(tmp_path: Path) -> None:
    one = source(tmp_path, "a.jpg")
    entry = finished(tmp_path, one)
    with (share := Journal(tmp_path, Shard(2, 3))).appending():
        share.add(entry)
    assert (tmp_path / "run.2of3.jsonl").exists()
    whole = Journal(tmp_path)
    assert whole.done(one) is None
    assert whole.find(one, "mark", tmp_path / "a.json") == entry == whole.done(one)


def test_errors_are_remembered_until_the_photo_is_done(tmp_path: Path) -> None:
    one = source(tmp_path, "a.jpg")
    entry = finished(tmp_path, one)
    journal = Journal(tmp_path)
    with journal.appending():
        journal.add(Entry("a.jpg", "a", "error", 1, 1, "mark", reason="why"))
        again = Journal(tmp_path)
        failed = again.error(one)
        assert failed is not None
        assert failed.reason == "why"
        assert again.find(one, "mark", tmp_path / "a.json") is None
        journal.add(entry)
    assert journal.error(one) is None


def test_a_journal_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.jsonl").mkdir()
    with pytest.raises(FormatError, match=r"run\.jsonl"):
        Journal(tmp_path)
