import errno
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from detecting import FakeDetector, files, photo, run

from hrlm.formats import csv, pts
from hrlm.formats import json as result_json
from hrlm.photos import Photo

ROOT = Path(__file__).parents[2]


def test_a_folder(tmp_path: Path, fake: type[FakeDetector]) -> None:
    photo(tmp_path / "in" / "a.png", 2)
    photo(tmp_path / "in" / "sub" / "b c.png", 0)
    out = tmp_path / "out"
    result = run(tmp_path / "in", "--out", out, "--format", "pts,csv", "--overlay")
    assert result.exit_code == 0, result.stderr
    assert files(out) == {
        "a.json",
        "a.pts",
        "a_2.pts",
        "a.overlay.jpg",
        "sub/b c.json",
        "sub/b c.overlay.jpg",
        "landmarks.csv",
    }
    read = result_json.read(out / "sub" / "b c.json")
    assert (read.photo.path, read.photo.width, read.photo.height, read.faces) == ("sub/b c.png", 40, 30, ())
    np.testing.assert_allclose(pts.read(out / "a_2.pts"), FakeDetector.face(1).landmarks, atol=1e-3)
    assert [(r.photo, r.index) for r in csv.read(out / "landmarks.csv")] == [("a.png", 0), ("a.png", 1)]
    assert "2 photos, 2 faces, 1 without a face, 0 failed" in result.stderr
    assert result.stdout == ""


def test_bad_files_are_named_and_passed_over(tmp_path: Path, fake: type[FakeDetector]) -> None:
    good = photo(tmp_path / "in" / "good.png")
    (tmp_path / "in" / "empty.jpg").write_bytes(b"")
    (tmp_path / "in" / "text.png").write_text("not a photo")
    (tmp_path / "in" / "cut.png").write_bytes(good.read_bytes()[:60])
    out = tmp_path / "out"
    result = run(tmp_path / "in", "--out", out, "--quiet")
    assert result.exit_code == 1
    assert files(out) == {"good.json", "errors.jsonl"}
    recorded = [json.loads(line) for line in (out / "errors.jsonl").read_text().splitlines()]
    assert [r["path"] for r in recorded] == ["cut.png", "empty.jpg", "text.png"]
    # one line each, nothing else
    assert len(result.stderr.splitlines()) == 3
    assert all(name in result.stderr for name in ("cut.png", "empty.jpg", "text.png"))
    # mended, the record goes
    for name in ("cut.png", "empty.jpg", "text.png"):
        photo(tmp_path / "in" / name)
    assert run(tmp_path / "in", "--out", out).exit_code == 0
    assert files(out) == {"good.json", "cut.json", "empty.json", "text.json"}


def test_only_the_culprit_of_a_batch_fails(tmp_path: Path, fake: type[FakeDetector]) -> None:
    for name in "abcde":
        photo(tmp_path / "in" / f"{name}.png")

    def before(photos: Sequence[Photo]) -> None:
        if any(Path(p.path).name == "c.png" for p in photos):
            raise RuntimeError("no\nway")

    fake.before = staticmethod(before)
    result = run(tmp_path / "in", "--out", tmp_path / "out", "--batch", "3", "--format", "csv")
    assert result.exit_code == 1
    assert fake.batches == [3, 1, 1, 1, 2]
    assert files(tmp_path / "out") == {"a.json", "b.json", "d.json", "e.json", "errors.jsonl", "landmarks.csv"}
    assert [r.photo for r in csv.read(tmp_path / "out" / "landmarks.csv")] == ["a.png", "b.png", "d.png", "e.png"]
    assert "c.png: detection failed (RuntimeError: no way)" in result.stderr


def test_symmetric_leaves_the_annotators_habits_out(tmp_path: Path, fake: type[FakeDetector]) -> None:
    photo(tmp_path / "in" / "a.png")
    for options, habits in ((["--symmetric"], False), ([], True)):
        assert run(tmp_path / "in", "--out", tmp_path / "out", *options).exit_code == 0
        assert fake.habits is habits


def test_a_second_interrupt_keeps_what_is_noted(tmp_path: Path, fake: type[FakeDetector]) -> None:
    for name in "abcdefghij":
        photo(tmp_path / "in" / f"{name}.png")

    def before(photos: Sequence[Photo]) -> None:
        if len(fake.batches) == 9:
            raise KeyboardInterrupt

    fake.before = staticmethod(before)
    result = run(tmp_path / "in", "--out", tmp_path / "out", "--batch", "1", "--format", "csv")
    assert result.exit_code == 130
    assert "interrupted after" in result.stderr
    done = {json.loads(line)["result"] for line in (tmp_path / "out" / "run.jsonl").read_text().splitlines()}
    assert {"a", "b"} <= done
    # no table, no temporary file: nothing but whole results
    assert {f"{name}.json" for name in done} <= files(tmp_path / "out") <= {f"{name}.json" for name in "abcdefghij"}


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ there")
def test_ctrl_c_finishes_what_is_in_hand(tmp_path: Path, fake: type[FakeDetector]) -> None:
    import signal

    for k in range(40):
        photo(tmp_path / "in" / f"{k:02}.png")

    def before(photos: Sequence[Photo]) -> None:
        if len(fake.batches) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    fake.before = staticmethod(before)
    result = run(tmp_path / "in", "--out", tmp_path / "out", "--batch", "2", "--format", "csv")
    assert result.exit_code == 130
    assert "finishing the photos in hand" in result.stderr
    assert "run the same command again" in result.stderr
    rows = [r.photo for r in csv.read(tmp_path / "out" / "landmarks.csv")]
    assert 4 <= len(rows) < 40
    # all that were begun are whole and in order
    assert rows == [f"{k:02}.png" for k in range(len(rows))]
    assert files(tmp_path / "out") == {f"{k:02}.json" for k in range(len(rows))} | {"landmarks.csv"}


def test_shared_stems_and_odd_names(tmp_path: Path, fake: type[FakeDetector]) -> None:
    for name in (b"a.jpg", b"a.png", b"line\nend.png", b"\xff[red].png"):
        photo(tmp_path / "in" / os.fsdecode(name), 2)
    photo(tmp_path / "in" / "b.png", 2)
    photo(tmp_path / "in" / "b_2.png", 1)
    (tmp_path / "in" / os.fsdecode(b"bad\n\xff.png")).write_bytes(b"")
    out = tmp_path / "out"
    result = run(tmp_path / "in", "--out", out, "--format", "pts", "--format", "csv")
    assert result.exit_code == 1
    assert {"a.jpg.json", "a.png.json", "a.jpg_2.pts", "a.png.pts", "b.pts", "b_2.pts", "b.png_2.pts"} <= files(out)
    assert r"bad\n\udcff.png" in result.stderr
    assert result_json.read(out / os.fsdecode(b"\xff[red].json")).photo.path == os.fsdecode(b"\xff[red].png")
    assert len(csv.read(out / "landmarks.csv")) == 11


def test_the_output_folder_inside_the_photos(tmp_path: Path, fake: type[FakeDetector]) -> None:
    photo(tmp_path / "a.png")
    for _ in range(2):
        result = run(tmp_path, "--out", tmp_path / "out", "--overlay", "--overwrite")
        assert "1 photo," in result.stderr
    # beside the photos: overlays are not taken for photos either
    for _ in range(2):
        result = run(tmp_path / "a.png", tmp_path, "--out", tmp_path, "--overlay", "--overwrite")
    assert files(tmp_path) >= {"a.png", "a.json", "a.overlay.jpg"}
    assert not any("overlay.overlay" in f for f in files(tmp_path))


def test_pts_are_not_written_over_the_photos_own(tmp_path: Path, fake: type[FakeDetector]) -> None:
    photo(tmp_path / "a.png")
    (tmp_path / "a.pts").write_text("truth")
    result = run(tmp_path, "--out", tmp_path, "--format", "pts")
    assert result.exit_code == 2
    assert (tmp_path / "a.pts").read_text() == "truth"


def test_a_list_on_standard_input(tmp_path: Path, fake: type[FakeDetector]) -> None:
    a, b = photo(tmp_path / "x" / "a b.png"), photo(tmp_path / "y" / "line\nend.png")
    assert run("-", "--out", tmp_path / "1", stdin=f"{a}\n\n".encode()).exit_code == 0
    assert files(tmp_path / "1") == {"a b.json"}
    assert run("-", "-0", "--out", tmp_path / "2", stdin=f"{a}\0{b}\0".encode()).exit_code == 0
    assert files(tmp_path / "2") == {"x/a b.json", "y/line\nend.json"}
    assert run("-", "--out", tmp_path / "3", stdin=b"").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{in}"], "--out"),
        (["--out", "{out}"], "give photos"),
        (["{in}/nothing", "--out", "{out}"], "no such file"),
        (["{in}/empty", "--out", "{out}"], "no photos found"),
        (["{in}", "--out", "{out}", "--format", "xml"], "xml"),
        (["{in}", "--out", "{in}/a.png"], "is a file"),
        (["{in}", "--out", "{out}", "--batch", "0"], "--batch"),
        (["{in}", "-0", "--out", "{out}"], "-0 needs -"),
    ],
)
def test_wrong_usage(tmp_path: Path, fake: type[FakeDetector], arguments: list[str], said: str) -> None:
    photo(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "empty").mkdir()
    result = run(*(a.format(**{"in": tmp_path / "in", "out": tmp_path / "out"}) for a in arguments))
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (tmp_path / "out").exists()


def test_faces_option(tmp_path: Path, fake: type[FakeDetector]) -> None:
    photo(tmp_path / "a.png", 3)
    run(tmp_path / "a.png", "--out", tmp_path / "out", "--faces", "largest")
    assert len(result_json.read(tmp_path / "out" / "a.json").faces) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_full_or_read_only_disk_ends_the_run(
    tmp_path: Path, fake: type[FakeDetector], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    for k in range(40):
        photo(tmp_path / "in" / f"{k:02}.png")

    def full(path: Path, result: object) -> None:
        from hrlm.formats.atomic import WriteError

        raise WriteError(path, OSError(number, os.strerror(number)))

    monkeypatch.setattr(result_json, "write", full)
    result = run(tmp_path / "in", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.count("cannot be written") == 1
    assert "then run the same command again" in result.stderr
    assert sum(fake.batches) < 40


def test_the_real_detector_on_a_real_photo(tmp_path: Path) -> None:
    astronaut = ROOT / "examples" / "photos" / "astronaut.png"
    if not (ROOT / "weights" / "hrlm-ibug68.safetensors").exists():
        pytest.skip("the shipped weights are not here")
    result = run(astronaut, "--out", tmp_path, "--overlay", "--format", "pts", "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    assert files(tmp_path) == {"astronaut.json", "astronaut.pts", "astronaut.overlay.jpg"}
    [face] = result_json.read(tmp_path / "astronaut.json").faces
    # the middles of the eyes, read off the photo at eight times its size
    np.testing.assert_allclose(face.landmarks[36:42].mean(0), (203, 100.5), atol=3)
    np.testing.assert_allclose(face.landmarks[42:48].mean(0), (246.5, 103), atol=3)
