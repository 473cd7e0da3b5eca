import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from detecting import FakeDetector, files, photo, run
from PIL import Image

from hrlm.formats import csv
from hrlm.photos import Photo
from hrlm.photos.isolated import IsolatedOpener

# a decoder of camera raw files that is as bad as one can be
BAD_DECODER = """
import os, time
def imread(file):
    os.abort() if "crash" in os.path.basename(file.name) else time.sleep(1000)
"""


def failed(out: Path) -> list[str]:
    return [json.loads(line)["path"] for line in (out / "errors.jsonl").read_text().splitlines()]


def test_one_broken_photo_in_a_hundred(tmp_path: Path, fake: type[FakeDetector]) -> None:
    for k in range(200):
        photo(tmp_path / "in" / f"{k // 50}" / f"{k:03}.png", k % 3)
    for broken in ("1/066.png", "3/180.png"):
        path = tmp_path / "in" / broken
        path.write_bytes(path.read_bytes()[:70])
    result = run(tmp_path / "in", "--out", tmp_path / "out", "--format", "csv", "--quiet")
    assert result.exit_code == 1
    assert failed(tmp_path / "out") == ["1/066.png", "3/180.png"]
    assert [line.partition(".png")[0][-5:] for line in result.stderr.splitlines()] == ["1/066", "3/180"]
    assert sum(f.endswith(".json") for f in files(tmp_path / "out")) == 198
    assert len(csv.read(tmp_path / "out" / "landmarks.csv")) == sum(k % 3 for k in range(200) if k not in (66, 180))


def test_odd_files_each_cost_themselves(tmp_path: Path, fake: type[FakeDetector]) -> None:
    folder = tmp_path / "in"
    good = photo(folder / "good.png")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "cut.png").write_bytes(good.read_bytes()[:60])
    (folder / "text.jpg").write_text("no photo")
    (folder / "folder.jpg").mkdir()
    (folder / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "self.jpg").symlink_to("self.jpg")
    photo(folder / "really a png.jpg", 2)
    for width, height in ((1, 1), (1, 20_000), (20_000, 1)):
        Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(folder / f"{width} x {height}.png")
    Image.fromarray(np.zeros((2000, 2000), np.uint8)).save(folder / "large.png")
    result = run(folder, "--out", folder / "results", "--max-pixels", "1M")
    assert result.exit_code == 1, result.stderr
    assert failed(folder / "results") == ["cut.png", "empty.jpg", "gone.jpg", "large.png", "self.jpg", "text.jpg"]
    done = {f for f in files(folder / "results") if f.endswith(".json")}
    assert done == {"good.json", "really a png.json", "1 x 1.json", "1 x 20000.json", "20000 x 1.json"}
    # whole after all: nothing but these is tried again
    result = run(folder, "--out", folder / "results", "--max-pixels", "5M")
    assert "1 photo" not in result.stderr
    assert "5 already done, 5 failed" in result.stderr


def test_a_photo_that_goes_while_the_run_is_on(tmp_path: Path, fake: type[FakeDetector]) -> None:
    for k in range(30):
        photo(tmp_path / "in" / f"{k:02}.png")

    def before(photos: Sequence[Photo]) -> None:
        (tmp_path / "in" / "25.png").unlink(missing_ok=True)

    fake.before = staticmethod(before)
    result = run(tmp_path / "in", "--out", tmp_path / "out", "--batch", "1")
    assert result.exit_code == 1
    assert failed(tmp_path / "out") == ["25.png"]
    assert "no such file" in result.stderr
    assert len(files(tmp_path / "out")) == 30


def test_a_photo_that_changes_while_it_is_read_is_done_again(tmp_path: Path, fake: type[FakeDetector]) -> None:
    path = photo(tmp_path / "in" / "a.png", 1)
    fake.before = staticmethod(lambda photos: photo(path, 2) and None)
    run(path, "--out", tmp_path / "out")
    fake.before = staticmethod(lambda photos: None)
    assert "1 photo, 2 faces" in run(path, "--out", tmp_path / "out").stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a decoder that aborts is another thing there")
def test_decoders_that_crash_or_hang(tmp_path: Path, fake: type[FakeDetector], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hrlm.runs.engine.IsolatedOpener", IsolatedOpener)
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "rawpy.py").write_text(BAD_DECODER)
    monkeypatch.syspath_prepend(tmp_path / "modules")
    for k in range(4):
        photo(tmp_path / "in" / f"{k}.png")
    for name in ("0 crash.dng", "1 crash.dng", "2 hang.dng"):
        (tmp_path / "in" / name).write_bytes(b"II*\0" + bytes(100))
    result = run(tmp_path / "in", "--out", tmp_path / "out", "--timeout", "4")
    assert result.exit_code == 1
    assert failed(tmp_path / "out") == ["0 crash.dng", "1 crash.dng", "2 hang.dng"]
    assert result.stderr.count("crashed") == 2
    assert result.stderr.count("did not finish in 4 s") == 1
    assert {"0.json", "1.json", "2.json", "3.json"} <= files(tmp_path / "out")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=300k", "tmpfs"]
    try:
        mounted = subprocess.run(["mount", *options, str(folder)], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_fills(tmp_path: Path, fake: type[FakeDetector], small_disk: Path) -> None:
    for k in range(80):
        photo(tmp_path / "in" / f"{k:02}.png", 3)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(100_000))
    out = small_disk / "out"
    result = run(tmp_path / "in", "--out", out, "--format", "csv", "--review")
    assert result.exit_code == 1
    [message] = [line for line in result.stderr.splitlines() if "photos/s" not in line]
    assert "free some space, then run the same command again" in message
    assert not any(f.endswith(".tmp") for f in files(out))
    written = [f for f in files(out) if f.endswith(".json")]
    assert 5 < len(written) < 70
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    result = run(tmp_path / "in", "--out", out, "--format", "csv", "--review")
    assert result.exit_code == 0, result.stderr
    assert f"{len(written)} already done" in result.stderr or f"{len(written) - 1} already done" in result.stderr
    assert len(csv.read(out / "landmarks.csv")) == 240
    # read-only from now on
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    result = run(tmp_path / "in", "--out", out)
    assert result.exit_code == 2
    assert "write to another folder" in result.stderr


def test_names_of_any_bytes_in_every_output(tmp_path: Path, fake: type[FakeDetector]) -> None:
    names = [b"a.jpg", b"a.png", b"line\nend.png", b"\xff\xfe.png", "ä.png".encode(), b'"quoted", comma.png']
    for name in names:
        photo(tmp_path / "in" / os.fsdecode(name), 2)
    out = tmp_path / "out"
    options = ["--format", "csv,coco,cvat,dlib,label-studio,labelme,pts", "--review", "--jsonl", str(out / "x.jsonl")]
    result = run(tmp_path / "in", "--out", out, *options)
    assert result.exit_code == 0, result.stderr
    told = [json.loads(line) for line in (out / "x.jsonl").read_text().splitlines()]
    assert {os.fsencode(line["photo"]["path"]) for line in told} == set(names)
    assert len(csv.read(out / "landmarks.csv")) == 2 * len(names)
    assert "6 already done" in run(tmp_path / "in", "--out", out, *options).stderr


def test_notes_are_told(tmp_path: Path, fake: type[FakeDetector], monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    (tmp_path / "in").mkdir()
    frames[0].save(tmp_path / "in" / "moving.gif", save_all=True, append_images=frames[1:])
    monkeypatch.setattr(fake, "detect_batch", lambda self, photos, faces, min_face: [[] for _ in photos])
    result = run(tmp_path / "in", "--out", tmp_path / "out")
    assert "moving.gif: first of 2" in result.stderr
    assert "first of 2" in (tmp_path / "out" / "run.jsonl").read_text()
