import errno
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hrlm.errors import FormatError
from hrlm.formats import correcting, corrections, pts
from hrlm.formats import json as result_json
from hrlm.formats.atomic import WriteError
from hrlm.formats.corrections import CorrectedFace, Correction
from hrlm.results import ModelInfo, PhotoInfo, PhotoResult
from hrlm.review import storage
from hrlm.review.storage import JOURNAL, StaleError, Store

POINTS = np.random.default_rng(0).uniform(0, 100, (4, 2)).round(3)


def correction(x: float = 0.0) -> Correction:
    face = CorrectedFace(POINTS + x, 0, (1,), ())
    return Correction(PhotoInfo("a.jpg", 100, 100), "../a.jpg", ModelInfo("m", "s", "1"), 1, "", False, (face,))


def test_revisions_count_up_and_stale_ones_are_refused(tmp_path: Path) -> None:
    store, result = Store(tmp_path), tmp_path / "a.json"
    assert store.load(result) is None
    assert store.save(result, correction(), 0).revision == 1
    assert store.save(result, correction(1), 1).revision == 2
    with pytest.raises(StaleError) as told:
        store.save(result, correction(2), 1)
    assert told.value.current is not None
    assert told.value.current.revision == 2
    kept = store.load(result)
    assert kept is not None
    assert kept.faces[0].landmarks == pytest.approx(POINTS + 1)
    assert kept.saved.endswith("Z")


def test_another_program_on_the_folder_is_noticed(tmp_path: Path) -> None:
    result = tmp_path / "a.json"
    one, other = Store(tmp_path), Store(tmp_path)
    one.save(result, correction(), 0)
    with pytest.raises(StaleError):
        other.save(result, correction(), 0)


def test_a_save_cut_off_before_its_files_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, result = Store(tmp_path), tmp_path / "a.json"
    store.save(result, correction(), 0)

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(storage.corrections, "write", cut_off)
        with pytest.raises(KeyboardInterrupt):
            store.save(result, correction(5), 1)
    assert corrections.read(tmp_path / "a.corrected.json").revision == 1
    # and the power went while a further line was written
    with (tmp_path / JOURNAL).open("ab") as file:
        file.write(b'{"file": "a.corr')
    again = Store(tmp_path)
    assert again.recover() == "a.corrected.json"
    assert again.recover() is None
    recovered = again.load(result)
    assert recovered is not None
    assert recovered.revision == 2
    assert pts.read(tmp_path / "a.corrected.pts") == pytest.approx(POINTS + 5)
    assert again.save(result, correction(6), 2).revision == 3
    lines = (tmp_path / JOURNAL).read_bytes().splitlines()
    assert sum(line == b'{"file": "a.corr' for line in lines) == 1


@pytest.mark.parametrize("left", [b"", b"\0\0\0", None])
def test_a_damaged_file_and_stale_points_are_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: bytes | None
) -> None:
    store, result = Store(tmp_path), tmp_path / "a.json"
    store.save(result, correction(), 0)

    def cut_off(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pts, "write", cut_off)
        with pytest.raises(KeyboardInterrupt):
            store.save(result, correction(5), 1)
    path = tmp_path / "a.corrected.json"
    # the file itself was written, unless what was left of it is this
    assert corrections.read(path).revision == 2
    if left is not None:
        path.write_bytes(left)
    assert Store(tmp_path).recover() == path.name
    assert corrections.read(path).faces[0].landmarks == pytest.approx(POINTS + 5)
    assert pts.read(tmp_path / "a.corrected.pts") == pytest.approx(POINTS + 5)
    assert Store(tmp_path).recover() is None


def test_a_save_is_on_the_disk_before_the_journal_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def noted(file: int) -> None:
        synced.append((tmp_path / JOURNAL).read_bytes().splitlines()[-1].decode())
        real(file)

    monkeypatch.setattr(os, "fsync", noted)
    Store(tmp_path).save(tmp_path / "a.json", correction(), 0)
    before = [line for line in synced if '"written"' not in line]
    # the journal's first line, the correction and its points: each at least once
    assert len(before) >= 3
    assert '"written"' in synced[-1]


def test_a_journal_cannot_lead_out_of_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    made = json.loads(corrections.dumps(replace(correction(), revision=3)))
    for name in ("../a.corrected.json", str(tmp_path / "a.corrected.json"), "a.json", 3):
        (folder / JOURNAL).write_text(json.dumps({"file": name, "correction": made}) + "\n")
        assert Store(folder).recover() is None
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == [JOURNAL]


def test_a_newer_file_is_not_overwritten_by_the_journal(tmp_path: Path) -> None:
    Store(tmp_path).save(tmp_path / "a.json", correction(), 0)
    newer = replace(correction(9), revision=7)
    corrections.write(tmp_path / "a.corrected.json", newer)
    old = json.loads(corrections.dumps(replace(correction(), revision=2)))
    (tmp_path / JOURNAL).write_text(json.dumps({"file": "a.corrected.json", "correction": old}) + "\n")
    assert Store(tmp_path).recover() is None
    assert corrections.read(tmp_path / "a.corrected.json").revision == 7


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="absent"):
        Store(tmp_path / "absent").save(tmp_path / "absent" / "a.json", correction(), 0)
    assert not (tmp_path / "absent").exists()


def test_of_two_programs_that_save_at_once_one_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result, write = tmp_path / "a.json", corrections.write
    writing, go_on = threading.Event(), threading.Event()

    def slow(path: Path, made: Correction) -> None:
        writing.set()
        assert go_on.wait(30)
        write(path, made)

    monkeypatch.setattr(storage.corrections, "write", slow)
    with ThreadPoolExecutor(2) as pool:
        # stores of their own, as programs have
        one = pool.submit(Store(tmp_path).save, result, correction(1), 0)
        assert writing.wait(30)
        other = pool.submit(Store(tmp_path).save, result, correction(2), 0)
        time.sleep(0.1)
        go_on.set()
        assert one.result().revision == 1
        with pytest.raises(StaleError):
            other.result()
    assert corrections.read(corrections.path_of(result)).faces[0].landmarks == pytest.approx(POINTS + 1)
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []


def test_a_drive_without_locks_takes_corrections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("filelock.BaseFileLock.acquire", without)
    store, result = Store(tmp_path), tmp_path / "a.json"
    assert store.save(result, correction(), 0).revision == 1
    with pytest.raises(StaleError):
        store.save(result, correction(), 0)


def test_a_name_that_leaves_no_room_for_a_correction_is_no_error_until_it_is_saved(tmp_path: Path) -> None:
    result = tmp_path / f"{'ä' * 121}.json"
    result_json.write(result, PhotoResult(PhotoInfo("ä.jpg", 100, 100), ModelInfo("m", "s", "1"), ()))
    assert Store(tmp_path).load(result) is None
    assert correcting.current(result)[1].photo.path == "ä.jpg"
    assert correcting.changed_at(result) > 0
    with pytest.raises(WriteError, match=r"ä\.corrected"):
        Store(tmp_path).save(result, correction(), 0)
    assert not (tmp_path / JOURNAL).exists()


def test_a_name_that_a_result_has_is_neither_journalled_nor_in_the_way_of_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "a.corrected.json"
    taken = PhotoResult(PhotoInfo("a.corrected.jpg", 9, 9), ModelInfo("m", "s", "1"), ())
    result_json.write(path, taken)
    with pytest.raises(FormatError, match="result of another photo"):
        Store(tmp_path).save(tmp_path / "a.json", correction(), 0)
    assert not (tmp_path / JOURNAL).exists()
    # cut off when the name was still free
    path.unlink()
    Store(tmp_path).save(tmp_path / "a.json", correction(), 0)
    lines = (tmp_path / JOURNAL).read_bytes().splitlines(keepends=True)
    (tmp_path / JOURNAL).write_bytes(lines[0])
    result_json.write(path, taken)
    assert Store(tmp_path).recover() is None
    assert result_json.read(path).photo.path == "a.corrected.jpg"
