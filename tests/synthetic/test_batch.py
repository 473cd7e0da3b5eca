import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hrlm.errors import DependencyError
from hrlm.synthetic import batch
from hrlm.synthetic.batch import Job, is_done, run
from hrlm.synthetic.command import app


def job(folder: Path, maps: bool = False) -> Job:
    return Job(folder / "model.npz", folder / "head-1-0000.jpg", (1, 0), 256, 4, 30, maps)


def finish(folder: Path, size: int = 256, **more: Any) -> None:
    """Leave what a finished portrait leaves."""
    for name in ("head-1-0000.jpg", "head-1-0000.pts"):
        (folder / name).write_bytes(b"x")
    truth = {"photo": {"path": "head-1-0000.jpg", "width": size, "height": size // 2}}
    (folder / "head-1-0000.dense.json").write_text(json.dumps(truth | more))


def test_a_portrait_is_done_when_all_its_files_are_there_at_its_size(tmp_path: Path) -> None:
    assert not is_done(job(tmp_path))
    finish(tmp_path, size=512)
    assert not is_done(job(tmp_path))
    finish(tmp_path)
    assert is_done(job(tmp_path))
    assert not is_done(job(tmp_path, maps=True))
    (tmp_path / "head-1-0000.dense.json").write_text('{"photo": ')
    assert not is_done(job(tmp_path))
    finish(tmp_path)
    (tmp_path / "head-1-0000.pts").unlink()
    assert not is_done(job(tmp_path))


def test_a_portrait_of_other_settings_is_not_done(tmp_path: Path) -> None:
    own = job(tmp_path)
    own.head_model.write_bytes(b"a head")
    finish(tmp_path, made=own.made())
    assert is_done(own)
    assert is_done(replace(own, most_yaw=30.0))
    for other in (replace(own, most_yaw=31), replace(own, samples=5), replace(own, key=(2, 0))):
        assert not is_done(other)
    own.head_model.write_bytes(b"another head")
    assert not is_done(own)
    own.head_model.unlink()
    assert not is_done(own)
    # those of the examples do not tell
    finish(tmp_path)
    assert is_done(own)


def test_numbers_are_rendered_once_and_begin_at_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Job] = []

    def run(jobs: Sequence[Job], processes: int) -> list[Path]:
        asked.extend(jobs)
        return []

    monkeypatch.setattr(batch, "run", run)
    options = ["render", "--head-model", str(tmp_path / "none.npz"), "--out", str(tmp_path / "out")]
    assert CliRunner().invoke(app, [*options, "--numbers", "7,3,7"]).exit_code == 0
    assert [j.path.name for j in asked] == ["head-0-0007.jpg", "head-0-0003.jpg"]
    result = CliRunner().invoke(app, [*options, "--numbers=-3"])
    assert result.exit_code == 2
    assert "--numbers" in result.stderr
    assert len(asked) == 2


def test_nothing_is_loaded_when_all_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finish(tmp_path)
    monkeypatch.setattr(batch, "check_blender", lambda: pytest.fail("looked for Blender"))
    assert run([job(tmp_path)], 1) == []


def test_without_blender_the_message_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DependencyError, match=r"pip install 'hrlm\[synthetic\]'"):
        run([job(tmp_path)], 1)


def test_a_missing_head_model_is_wrong_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "check_blender", lambda: None)
    options = ["--head-model", str(tmp_path / "none.npz"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, ["render", *options])
    assert result.exit_code == 2
    assert "none.npz: no such head model: get ICT-FaceKit" in result.stderr
    result = CliRunner().invoke(app, ["render", *options, "--numbers", "1,x"])
    assert result.exit_code == 2
    assert "--numbers" in result.stderr


def test_more_portraits_than_processes_take_are_all_seen_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "check_blender", lambda: None)
    monkeypatch.setattr(batch, "PORTRAITS_A_PROCESS", 2)
    # here there is a head model, in the renderers' processes there is none
    monkeypatch.setattr(batch, "load_head", lambda _: None)
    jobs = [replace(job(tmp_path), path=tmp_path / f"head-1-{n:04}.jpg") for n in range(9)]
    assert sorted(run(jobs, 2)) == [j.path for j in jobs]


def test_packing_what_is_no_checkout_is_wrong_usage(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["pack", str(tmp_path), str(tmp_path / "head.npz")])
    assert result.exit_code == 2
    assert "give a checkout of ICT-FaceKit" in result.stderr
    assert not (tmp_path / "head.npz").exists()


ALONE = """
import multiprocessing, os, sys, time
from concurrent.futures import ProcessPoolExecutor
from hrlm.synthetic.batch import _start

if __name__ == "__main__":
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _start) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        time.sleep(60)
"""


def lives(process: Path) -> bool:
    """Whether a process is there, and not only waits to be buried."""
    try:
        return "Z (zombie)" not in (process / "status").read_text()
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are looked up in /proc")
def test_a_pools_process_ends_with_its_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "alone.py"
    script.write_text(ALONE)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = Path("/proc", parent.stdout.readline().strip())
        assert lives(child)
        parent.kill()
        end = time.monotonic() + 20
        while lives(child) and time.monotonic() < end:
            time.sleep(0.05)
        assert not lives(child)
