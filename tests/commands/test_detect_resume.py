import json
import multiprocessing
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from detecting import FakeDetector, files, photo, run
from filelock import FileLock

from hrlm.formats import csv
from hrlm.formats import json as result_json
from hrlm.photos import Photo

PHOTOS = {"a.png": 1, "b.png": 2, "c.png": 0, "d.png": 1, "e.png": 3, "f.png": 0, "g.png": 1}


@pytest.fixture
def folder(tmp_path: Path, fake: type[FakeDetector]) -> Path:
    for name, faces in PHOTOS.items():
        photo(tmp_path / "in" / name, faces)
    (tmp_path / "in" / "broken.png").write_bytes(b"no photo")
    return tmp_path / "in"


@pytest.fixture
def forking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the process that runs are forked from find this folder's modules before the first fork."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]))


class Forked:
    """A run in a process of its own, forked from one that has imported everything."""

    def __init__(self, arguments: Sequence[str], seconds: float = 0.05) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["stand_in"])
        self._process = context.Process(target=hrlm_stand_in, args=(arguments, seconds))
        self._process.start()
        assert self._process.pid
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int:
        self._process.join()
        return self._process.exitcode or 0

    def kill(self) -> None:
        self._process.kill()


def hrlm_stand_in(arguments: Sequence[str], seconds: float) -> None:
    import stand_in

    stand_in.SECONDS = seconds
    stand_in.main(arguments)


def journal(out: Path, name: str = "run.jsonl") -> dict[str, dict[str, object]]:
    lines = [json.loads(line) for line in (out / name).read_text().splitlines()]
    assert len({line["result"] for line in lines}) == len(lines)
    return {line["path"]: line for line in lines}


def contents(out: Path) -> dict[str, bytes]:
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*") if p.is_file()}


def stamps(out: Path) -> dict[str, int]:
    return {p.relative_to(out).as_posix(): p.stat().st_mtime_ns for p in out.rglob("*.json")}


def test_the_journal_tells_what_became_of_every_photo(folder: Path, tmp_path: Path) -> None:
    assert run(folder, "--out", tmp_path / "out").exit_code == 1
    noted = journal(tmp_path / "out")
    assert list(noted) == sorted([*PHOTOS, "broken.png"])
    told = {name: line["status"] for name, line in noted.items()}
    assert told == {n: "ok" if faces else "no-face" for n, faces in PHOTOS.items()} | {"broken.png": "error"}
    assert noted["b.png"]["faces"] == 2
    assert noted["b.png"]["size"] == (folder / "b.png").stat().st_size
    assert "broken.png" in str(noted["broken.png"]["reason"])


def test_what_is_done_is_not_done_again(folder: Path, tmp_path: Path, fake: type[FakeDetector]) -> None:
    out = tmp_path / "out"
    run(folder, "--out", out, "--format", "csv")
    before, written = contents(out), stamps(out)
    result = run(folder, "--out", out, "--format", "csv")
    # only what failed is tried again, photos without a face are remembered
    assert result.exit_code == 1
    assert fake.batches == []
    assert "1 photo, 0 faces, 0 without a face, 7 already done, 1 failed" in result.stderr
    assert (contents(out), stamps(out)) == (before, written)
    # a changed photo and a lost result
    photo(folder / "d.png", 2)
    (out / "g.json").unlink()
    photo(folder / "broken.png", 1)
    result = run(folder, "--out", out, "--format", "csv")
    assert result.exit_code == 0, result.stderr
    assert "3 photos, 4 faces" in result.stderr
    changed = {name for name, time in stamps(out).items() if written.get(name) != time}
    assert changed == {"d.json", "g.json", "broken.json"}
    assert sum(r.photo == "d.png" for r in csv.read(out / "landmarks.csv")) == 2
    assert "8 photos," in run(folder, "--out", out, "--overwrite").stderr


@pytest.mark.parametrize(
    "option", [["--faces", "largest"], ["--min-face", "3"], ["--quality", "fast"], ["--symmetric"]]
)
def test_other_options_find_anew(folder: Path, tmp_path: Path, option: list[str]) -> None:
    run(folder, "--out", tmp_path / "out")
    assert "8 photos," in run(folder, "--out", tmp_path / "out", *option).stderr
    assert "7 already done" in run(folder, "--out", tmp_path / "out", *option).stderr
    assert "7 already done" not in run(folder, "--out", tmp_path / "out").stderr


def test_a_damaged_result_is_done_again(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(folder, "--out", out)
    before = contents(out)
    (out / "a.json").write_bytes(before["a.json"][:50])
    (out / "b.json").write_bytes(b"")
    assert "5 already done" in run(folder, "--out", out).stderr
    assert contents(out) == before


def test_a_further_format_is_made_of_the_results(folder: Path, tmp_path: Path, fake: type[FakeDetector]) -> None:
    out = tmp_path / "out"
    (folder / "broken.png").unlink()
    run(folder, "--out", out)
    result = run(folder, "--out", out, "--format", "pts,coco")
    assert result.exit_code == 0, result.stderr
    assert fake.batches == []
    assert {"a.pts", "b.pts", "b_2.pts", "e_3.pts", "coco.json"} <= files(out)
    assert journal(out)["a.png"]["formats"] == ["pts"]
    assert "7 already done" in run(folder, "--out", out, "--format", "pts").stderr
    # one that was taken away
    (out / "e.pts").unlink()
    assert "6 already done" in run(folder, "--out", out, "--format", "pts").stderr
    assert "e.pts" in files(out)
    # the same bytes as in one go
    run(folder, "--out", tmp_path / "at once", "--format", "pts")
    assert {n: b for n, b in contents(out).items() if n != "coco.json"} == contents(tmp_path / "at once")
    # an overlay needs the pixels
    assert "7 photos," in run(folder, "--out", out, "--overlay").stderr
    assert "c.overlay.jpg" in files(out)
    assert "7 already done" in run(folder, "--out", out, "--overlay").stderr


def test_a_resumed_run_sees_the_same_batches(folder: Path, tmp_path: Path, fake: type[FakeDetector]) -> None:
    (folder / "broken.png").unlink()
    out = tmp_path / "out"
    run(folder, "--out", out, "--batch", "3")
    (out / "e.json").unlink()
    seen: list[list[str]] = []
    fake.before = staticmethod(lambda photos: seen.append([Path(p.path).name for p in photos]))
    run(folder, "--out", out, "--batch", "3")
    assert seen == [["d.png", "e.png", "f.png"]]


@pytest.mark.parametrize("torn", [b'{"path": "g.p', b"\x00\x00\x00", b"[]\n7\n{}\nnull\n" + b'{"path": 1}\n'])
def test_a_torn_journal_loses_no_more_than_its_last_line(folder: Path, tmp_path: Path, torn: bytes) -> None:
    out = tmp_path / "out"
    run(folder, "--out", out)
    before = contents(out)
    whole = before["run.jsonl"].splitlines(keepends=True)
    (out / "run.jsonl").write_bytes(b"".join(whole[:-1]) + torn)
    assert "6 already done" in run(folder, "--out", out).stderr
    assert contents(out) == before


def test_a_journal_that_grew_counts_by_its_last_lines(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(folder, "--out", out)
    before = contents(out)
    text = before["run.jsonl"].decode()
    stale = text.replace('"size": ', '"size": 9')
    (out / "run.jsonl").write_text(stale + text)
    assert "7 already done" in run(folder, "--out", out).stderr
    assert contents(out) == before
    (out / "run.jsonl").write_text(text + stale)
    assert "0 without a face, 1 already done" not in run(folder, "--out", out).stderr
    assert contents(out) == before


def test_other_photos_in_the_same_folder_stay_known(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    other = photo(tmp_path / "other" / "z.png")
    run(folder, "--out", out)
    run(other.parent, "--out", out)
    assert set(journal(out)) == {*PHOTOS, "broken.png", "z.png"}
    assert "7 already done" in run(folder, "--out", out).stderr
    # the error is of this command's photos
    assert "1 already done" in run(other.parent, "--out", out).stderr
    assert "errors.jsonl" not in files(out)


def test_only_one_run_at_a_time(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with FileLock(out / ".hrlm-run.lock"):
        result = run(folder, "--out", out)
    assert result.exit_code == 2
    assert "another hrlm detect" in result.stderr
    # the file of a killed run is no lock
    assert run(folder, "--out", out).exit_code == 1
    assert ".hrlm-run.lock" not in files(out)


def test_what_killed_runs_left_is_removed(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / ".hrlm-0123456789ab.tmp").write_bytes(b"half")
    (out / "mine.tmp").write_bytes(b"whole")
    run(folder, "--out", out)
    assert {f for f in files(out) if f.endswith(".tmp")} == {"mine.tmp"}


def test_a_file_that_is_not_ours_is_not_replaced(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.json").write_text('{"mine": 1}')
    result = run(folder, "--out", out)
    assert result.exit_code == 1
    assert "is not hrlm's" in result.stderr
    assert (out / "a.json").read_text() == '{"mine": 1}'


def test_an_interrupted_run_ends_with_the_same_bytes(folder: Path, tmp_path: Path, fake: type[FakeDetector]) -> None:
    import signal

    for k in range(30):
        photo(folder / "more" / f"{k:02}.png", k % 3)
    options = ["--format", "pts,csv,coco", "--review", "--batch", "2", "--overlay"]
    run(folder, "--out", tmp_path / "whole", *options)

    def before(photos: Sequence[Photo]) -> None:
        if len(fake.batches) == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    fake.before = staticmethod(before)
    result = run(folder, "--out", tmp_path / "out", *options)
    assert result.exit_code == 143
    # the tables are of what is done
    done = {name for name, line in journal(tmp_path / "out").items() if line["status"] == "ok"}
    assert {r.photo for r in csv.read(tmp_path / "out" / "landmarks.csv")} == done
    fake.before = staticmethod(lambda photos: None)
    run(folder, "--out", tmp_path / "out", *options)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_an_interrupt_forgets_no_earlier_failure(folder: Path, tmp_path: Path, fake: type[FakeDetector]) -> None:
    import signal

    out = tmp_path / "out"
    (folder / "broken.png").rename(folder / "z.png")
    for k in range(30):
        photo(folder / "more" / f"{k:02}.png")
    run(folder, "--out", out, "--batch", "1")
    fake.before = staticmethod(lambda photos: os.kill(os.getpid(), signal.SIGINT))
    assert run(folder, "--out", out, "--batch", "1", "--overwrite").exit_code == 130
    assert "z.png" in (out / "errors.jsonl").read_text()


def test_shards_share_a_folder(folder: Path, tmp_path: Path, fake: type[FakeDetector]) -> None:
    out = tmp_path / "out"
    for k in range(20):
        photo(folder / "more" / f"{k:02}.png")
    parts = []
    for k in (1, 2, 3):
        run(folder, "--out", out, "--shard", f"{k}/3", "--format", "csv", "--review", "--batch", "2")
        parts.append(set(journal(out, f"run.{k}of3.jsonl")))
        assert f"landmarks.{k}of3.csv" in files(out)
        assert f"review.{k}of3.csv" in files(out)
    everything = {*PHOTOS, "broken.png", *(f"more/{k:02}.png" for k in range(20))}
    assert set.union(*parts) == everything
    assert sum(map(len, parts)) == len(everything)
    assert all(len(part) > 3 for part in parts)
    assert not (out / "run.jsonl").exists()
    # the whole run finds what they did, and gathers it
    result = run(folder, "--out", out, "--format", "csv")
    assert "27 already done" in result.stderr
    assert list(journal(out)) == sorted(everything)
    assert {r.photo for r in csv.read(out / "landmarks.csv")} == {
        name for name, line in journal(out).items() if line["status"] == "ok"
    }
    assert len((out / "errors.jsonl").read_text().splitlines()) == 1


def test_shards_run_beside_each_other_and_not_beside_the_whole(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with FileLock(out / ".hrlm-run.2of3.lock"):
        assert run(folder, "--out", out, "--shard", "1/3").exit_code in (0, 1)
        assert run(folder, "--out", out, "--shard", "2/3").exit_code == 2
        assert run(folder, "--out", out).exit_code == 2
    with FileLock(out / ".hrlm-run.lock"):
        assert run(folder, "--out", out, "--shard", "1/3").exit_code == 2


def test_killed_at_random_moments_and_resumed(tmp_path: Path, forking: None) -> None:
    """A slice of `tests/benchmarks/kill_resume.py`, with a detector that needs no networks."""
    here = Path(__file__).parent
    sys.path.insert(0, str(here.parent / "benchmarks"))
    try:
        from kill_resume import make_photos, noted, trial
    finally:
        sys.path.pop(0)
    make_photos(tmp_path / "photos", 12, 3)
    (tmp_path / "work").mkdir()
    result = trial(tmp_path / "photos", tmp_path / "work", 3, 5, Forked, moment=0.3)
    assert result.differing == []
    assert (result.kills, len(noted(tmp_path / "work" / "killed"))) == (3, 12)
    assert result.files > 30


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ there")
def test_the_second_ctrl_c_ends_at_once(tmp_path: Path, forking: None) -> None:
    import signal
    import time

    for k in range(40):
        photo(tmp_path / "in" / f"{k:02}.png")
    out = tmp_path / "out"
    process = Forked(["detect", str(tmp_path / "in"), "--out", str(out)], seconds=30.0)
    while not (out / "00.json").exists() and process.poll() is None:
        time.sleep(0.02)
    start = time.monotonic()
    while process.poll() is None and time.monotonic() - start < 25:
        # two that come too close are one to a busy machine
        os.kill(process.pid, signal.SIGINT)
        time.sleep(2)
    # less than the batch in hand would have taken
    assert time.monotonic() - start < 28
    assert process.wait() == 130
    done = {json.loads(line)["result"] for line in (out / "run.jsonl").read_text().splitlines()}
    assert {f"{name}.json" for name in done} <= files(out)
    assert all(result_json.read(out / name).faces for name in files(out) if name.endswith(".json"))
