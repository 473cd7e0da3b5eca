"""Many portraits in processes of their own: Blender holds one scene a process, and may take it down with it."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hrlm.errors import DependencyError
from hrlm.synthetic.head import load_head
from hrlm.synthetic.views import WHOLE

# Blender keeps a little of every scene: so often begins a new pool. One that replaces its processes by itself can stand
# still for ever (Python issue 115634)
PORTRAITS_A_PROCESS = 20


@dataclass(frozen=True)
class Job:
    """One portrait to render.

    Args:
        key: what its look is drawn from.
        size: long side in pixels.
        samples: a pixel.
        most_yaw: degrees.
        maps: also write depth, normals and regions.
        views: of the portrait; see `views.NAMES`.
    """

    head_model: Path
    path: Path
    key: tuple[int, int]
    size: int
    samples: int
    most_yaw: float
    maps: bool = False
    views: tuple[str, ...] = (WHOLE,)

    def path_of(self, view: str) -> Path:
        """Where a view's picture is."""
        return self.path if view == WHOLE else self.path.with_name(f"{self.path.stem}-{view}{self.path.suffix}")

    def made(self) -> dict[str, Any]:
        """What picture and truth depend on, JSON-able, as the truth's file keeps it."""
        try:
            change = self.head_model.stat()
            digest = _digest(self.head_model, change.st_mtime_ns, change.st_size)
        except OSError:
            # no portrait was made with it, and who loads it says why
            digest = ""
        return {
            "head_model": digest,
            "seed": self.key[0],
            "size": self.size,
            "samples": self.samples,
            "most_yaw": self.most_yaw,
        }


@lru_cache(maxsize=8)
def _digest(path: Path, changed: int, size: int) -> str:
    """SHA-256 of a file that was last changed then."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def is_done(job: Job) -> bool:
    """Whether all the portrait's views are there, whole, at the job's size and, where they tell, of its settings."""
    return all(_is_whole(job.path_of(view), job) for view in job.views)


def _is_whole(path: Path, job: Job) -> bool:
    try:
        data = json.loads(path.with_name(path.stem + ".dense.json").read_bytes())
        photo = data["photo"]
        same = max(data.get("camera", {}).get("frame", [photo["width"], photo["height"]])) == job.size
        # portraits from before they told are taken for what they should be
        same = same and data.get("made", job.made()) == job.made()
        parts = [".jpg", ".pts"] + [f".{n}.png" for n in ("depth", "normal", "region") if job.maps]
        return same and all(path.with_name(path.stem + part).exists() for part in parts)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def run(jobs: Sequence[Job], processes: int) -> list[Path]:
    """Render what is not there yet; returns the portraits that failed, after naming them on standard error.

    Raises:
        DependencyError: Blender's module is not installed.
        DataError: no usable head model.
    """
    todo = [job for job in jobs if not is_done(job)]
    if not todo:
        print(f"all {len(jobs)} portraits are there", file=sys.stderr)
        return []
    check_blender()
    load_head(todo[0].head_model)
    threads = max(1, (os.cpu_count() or 1) // processes)
    failed: list[Path] = []
    with tqdm(total=len(jobs), initial=len(jobs) - len(todo), unit="portrait") as bar:
        while todo:
            at_once = processes * PORTRAITS_A_PROCESS
            left, lost = _pool(todo[:at_once], processes, threads, bar, failed)
            todo = left + todo[at_once:]
            # a crash takes down all that were in hand: what is not there is tried again one by one, once
            for job in lost:
                rest, dead = _pool([job], 1, threads, bar, failed)
                if rest or dead:
                    failed.append(job.path)
                    tqdm.write(f"{job.path}: Blender stopped while rendering it", file=sys.stderr)
                    bar.update()
    return failed


def _pool(
    jobs: Sequence[Job], processes: int, threads: int, bar: tqdm, failed: list[Path]
) -> tuple[list[Job], list[Job]]:
    """Run jobs until done or until a process dies; returns those never begun and those lost with it."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _start) as pool:
        futures = {pool.submit(render_one, job, threads): job for job in jobs}
        try:
            for future in as_completed(futures):
                try:
                    future.result()
                except BrokenProcessPool:
                    raise
                except Exception as e:
                    job = futures[future]
                    failed.append(job.path)
                    tqdm.write(f"{job.path}: {type(e).__name__}: {e}", file=sys.stderr)
                bar.update()
        except BrokenProcessPool:
            left = [job for job in jobs if not is_done(job) and job.path not in failed]
            return left[processes:], left[:processes]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [], []


def _start() -> None:
    """What a rendering process does first."""
    _without_blenders_own()
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    """Left alone by a parent that was killed, a pool's process would wait for work for ever, with all of its memory."""
    parent.join()
    os._exit(1)


def _without_blenders_own() -> None:
    """A process started by one that has imported bpy would find Blender's scripts before the module itself."""
    folder = f"{os.sep}bpy{os.sep}"
    sys.path[:] = [p for p in sys.path if folder not in p]


def render_one(job: Job, threads: int) -> None:
    """Render and write one portrait; Blender's own talk goes nowhere."""
    with _Quiet():
        from hrlm.synthetic.look import draw_look
        from hrlm.synthetic.portrait import save, take

        head = load_head(job.head_model)
        look = draw_look(job.key, len(head.identity), job.most_yaw)
        taken = take(head, look, job.size, job.samples, threads, job.maps, job.views)
        for view, portrait in zip(job.views, taken, strict=True):
            save(portrait, look, job.path_of(view), job.made())


class _Quiet:
    """Standard output and error of the process, Blender's C code included, go to nowhere."""

    def __enter__(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._kept = [os.dup(1), os.dup(2)]
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os.close(nowhere)

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        for where, kept in zip((1, 2), self._kept, strict=True):
            os.dup2(kept, where)
            os.close(kept)


def check_blender() -> None:
    """Make sure that Blender's module is there.

    Raises:
        DependencyError: it is not.
    """
    from importlib.util import find_spec

    if find_spec("bpy") is None:
        raise DependencyError("rendering needs Blender as a Python module: pip install 'hrlm[synthetic]'")
