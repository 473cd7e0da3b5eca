"""Decoding in processes of their own: the same photos, whatever becomes of the decoder."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from photo_files import psd_file
from PIL import Image

from hrlm.errors import PhotoError
from hrlm.photos import IsolatedOpener, memory, open_photo

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")


@pytest.fixture(scope="module")
def opener() -> Iterator[IsolatedOpener]:
    with IsolatedOpener(2, 30, 1_000_000) as opener:
        yield opener


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes decoding processes crash, hang or talk, by the photo's name."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, time\n"
        "import hrlm.photos.photo as photo\n"
        "real = photo.read_photo\n"
        "def read_photo(name, *rest):\n"
        "    base = os.path.basename(name)\n"
        "    if 'crash' in base: os.kill(os.getpid(), signal.SIGSEGV)\n"
        "    if 'killed' in base: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    if 'late' in base:\n"
        "        real(name, *rest)\n"
        "        os.kill(os.getpid(), signal.SIGSEGV)\n"
        "    if 'hang' in base: time.sleep(1000)\n"
        "    if 'bug' in base: raise TypeError('odd\\nwords')\n"
        "    if 'noise' in base: os.write(1, b'libfoo: warning\\n'); os.write(2, b'libfoo: warning\\n')\n"
        "    return real(name, *rest)\n"
        "photo.read_photo = read_photo\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_same_photo_as_in_this_process(
    opener: IsolatedOpener, tmp_path: Path, picture: np.ndarray, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    for ending in ("jpg", "png", "tif"):
        path = tmp_path / f"a.{ending}"
        Image.fromarray(picture).save(path, exif=exif.tobytes())
        ours, theirs = opener.open(path), open_photo(path)
        assert (ours.pixels == theirs.pixels).all()
        assert (ours.path, ours.orientation, ours.notes) == (theirs.path, theirs.orientation, theirs.notes)
        assert ours.pixels.flags.c_contiguous
        assert ours.pixels.flags.writeable


def test_other_kinds_and_notes(opener: IsolatedOpener, tmp_path: Path, picture: np.ndarray) -> None:
    (tmp_path / "a.psd").write_bytes(psd_file(picture))
    assert (opener.open(tmp_path / "a.psd").pixels == picture).all()
    image = Image.fromarray(picture)
    image.save(tmp_path / "a.gif", save_all=True, append_images=[image.rotate(180)])
    assert opener.open(tmp_path / "a.gif").notes == ("first of 2 pictures",)


def test_many_threads_and_names(opener: IsolatedOpener, tmp_path: Path) -> None:
    names = [f"{i}\n{i} ä😀.png" for i in range(30)]
    for i, name in enumerate(names):
        Image.new("RGB", (30 + i, 40), (i, 2 * i, 255 - i)).save(tmp_path / name)
    with ThreadPoolExecutor(6) as threads:
        photos = list(threads.map(lambda name: opener.open(tmp_path / name), names))
    for i, photo in enumerate(photos):
        assert photo.pixels.shape == (40, 30 + i, 3)
        assert (photo.pixels == (i, 2 * i, 255 - i)).all()


def test_memory_is_used_again_but_never_while_in_use(tmp_path: Path, picture: np.ndarray) -> None:
    paths = []
    for i in range(4):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(picture ^ i).save(paths[-1])
    with IsolatedOpener(1) as opener:
        addresses = set()
        for _ in range(5):
            photo = opener.open(paths[0])
            addresses.add(photo.pixels.ctypes.data)
            del photo
        assert len(addresses) == 1
        views = [opener.open(path).window(10, 10, 50, 50) for path in paths]
        gc.collect()
        opener.open(paths[0])
        for i, view in enumerate(views):
            assert (view == picture[10:50, 10:50] ^ i).all()
        files = _open_files()
        views.clear()
        for _ in range(3):
            opener.open(paths[0])
        if files:
            assert _open_files() <= files
        kept = opener.open(paths[1])
    assert (kept.pixels == picture ^ 1).all()


def test_a_batch_takes_the_memory_of_the_batch_before(
    opener: IsolatedOpener, tmp_path: Path, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(picture).save(tmp_path / "a.png")
    Image.fromarray(np.tile(picture, (3, 3, 1))).save(tmp_path / "large.png")
    made: list[memory.Segment] = []
    create = memory.create

    def noted(size: int) -> memory.Segment:
        made.append(create(size))
        return made[-1]

    monkeypatch.setattr(memory, "create", noted)
    for _ in range(3):
        batch = [opener.open(tmp_path / "a.png") for _ in range(5)]
        assert len({photo.pixels.ctypes.data for photo in batch}) == 5
        del batch
    assert len(made) <= 5
    # what is too small for a larger one does not stay beside it
    assert opener.open(tmp_path / "large.png").pixels.shape == (180, 270, 3)
    assert not opener._pool._free


def test_memory_without_a_name_or_by_a_temporary_file(
    tmp_path: Path, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(picture).save(tmp_path / "a.png")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    with IsolatedOpener(1) as opener:
        assert (opener.open(tmp_path / "a.png").pixels == picture).all()
        assert not list(scratch.iterdir())

        def full(size: int) -> memory.Segment:
            raise OSError(28, "No space left on device")

        Image.fromarray(np.tile(picture, (9, 9, 1))).save(tmp_path / "b.png")
        with monkeypatch.context() as patch:
            patch.setattr(memory, "create", full)
            with pytest.raises(PhotoError, match="not enough memory"):
                opener.open(tmp_path / "b.png")
        assert (opener.open(tmp_path / "a.png").pixels == picture).all()


def test_errors_are_those_of_open_photo(opener: IsolatedOpener, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no photo")
    Image.new("RGB", (1001, 1000)).save(tmp_path / "large.png")
    for path, words in (("text.jpg", "not a photo"), ("none.jpg", "no such file"), ("large.png", "over the limit")):
        with pytest.raises(PhotoError, match=words) as caught:
            opener.open(tmp_path / path)
        assert str(caught.value).startswith(str(tmp_path / path))


@pytest.mark.usefixtures("faulty")
def test_a_decoder_that_crashes_or_hangs_costs_one_photo(tmp_path: Path, picture: np.ndarray) -> None:
    faults = {
        "crash": r"the decoder crashed on it \(.*\); convert",
        "late": r"the decoder crashed on it \(.*\); convert",
        "killed": "was killed, perhaps for lack of memory; reduce",
        "hang": "did not finish in 1.5 s; convert",
        "bug": r"cannot be read \(odd words\); check",
    }
    for name in (*faults, "good", "noise"):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")

    def fate(name: str) -> str:
        try:
            return "good" if (opener.open(tmp_path / f"{name}.png").pixels == picture).all() else "wrong"
        except PhotoError as error:
            return str(error)

    with IsolatedOpener(2, timeout=1.5) as opener, ThreadPoolExecutor(3) as threads:
        assert fate("good") == "good"  # both wait for their start here, which the limit is not for
        names = [*faults, "good", "noise", "crash", "good", "crash", "good", "good"]
        for name, result in zip(names, threads.map(fate, names), strict=True):
            if name not in faults:
                assert result == "good"
                continue
            with pytest.raises(PhotoError, match=faults[name]):
                raise PhotoError(result)
            assert result.startswith(str(tmp_path / f"{name}.png"))
            assert "\n" not in result


@pytest.mark.usefixtures("faulty")
def test_closing_ends_what_is_in_hand(tmp_path: Path, picture: np.ndarray) -> None:
    Image.fromarray(picture).save(tmp_path / "hang.png")
    opener = IsolatedOpener(1)
    ended: list[BaseException] = []

    def wait() -> None:
        try:
            opener.open(tmp_path / "hang.png")
        except BaseException as error:
            ended.append(error)

    threads = [threading.Thread(target=wait) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    opener.close()
    for thread in threads:
        thread.join(10)
    assert [type(error) for error in ended] == [RuntimeError, RuntimeError]
    with pytest.raises(RuntimeError, match="closed"):
        opener.open(tmp_path / "hang.png")


def test_processes_end_with_a_parent_that_is_killed(tmp_path: Path, picture: np.ndarray) -> None:
    Image.fromarray(picture).save(tmp_path / "a.png")
    code = (
        "import sys, time\n"
        "from hrlm.photos import IsolatedOpener\n"
        "o = IsolatedOpener(2)\n"
        "o.open(sys.argv[1])\n"
        "print(*(p._process.pid for p in o._processes), flush=True)\n"
        "time.sleep(100)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "a.png"], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        children = [int(word) for word in parent.stdout.readline().split()]
        assert len(children) == 2
        for child in children:
            os.kill(child, signal.SIGINT)  # Ctrl-C is not for them
        assert parent.poll() is None
        parent.kill()
    until = time.monotonic() + 10
    while any(map(_lives, children)):
        assert time.monotonic() < until, "decoding processes outlive their parent"
        time.sleep(0.05)


def _open_files() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")
    # one that nobody has waited for is gone all the same
    return not (status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] == "Z")


def test_processes_are_lean() -> None:
    heavy = {"torch", "rich", "typer", "yaml", "tifffile", "rawpy", "pi_heif"}
    code = f"import sys, hrlm.photos.worker; print(sorted({heavy} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"
