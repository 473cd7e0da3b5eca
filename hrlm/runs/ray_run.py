"""The same run over a Ray cluster: each actor has a detector of its own and takes a few photos at a time.

Photos and results must lie at the same paths on all machines. Only the outcomes travel to the machine that runs the
command, which keeps the journal.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hrlm.errors import DependencyError, HrlmError
from hrlm.runs.journal import ERROR
from hrlm.runs.pipeline import Item, Outcome, Work, chunks
from hrlm.runs.report import reason_of

# cores for one actor on machines without a GPU: as many as one detector uses well
CORES = 4
# groups in one task: few enough that little is lost with a machine
GROUPS = 4

Process = Callable[[Sequence[Item]], Iterator[Outcome]]


@contextlib.contextmanager
def cluster(address: str) -> Iterator[None]:
    """Connect to a Ray cluster; the address `local` starts Ray on this machine alone, `auto` takes the one it is in.

    Raises:
        DependencyError: Ray is not installed.
        HrlmError: there is no such cluster.
    """
    try:
        import ray
    except ImportError as e:
        raise DependencyError("--ray needs Ray, which is not installed: pip install 'hrlm[ray]'") from e
    try:
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
    except Exception as e:
        raise HrlmError(f"no Ray cluster at {address!r} ({reason_of(e)}): check --ray") from e
    try:
        yield
    finally:
        ray.shutdown()


def process_over_cluster(
    items: Sequence[Item], prepare: Callable[[], Process], gpu: bool, group: int, stop: threading.Event
) -> Iterator[Outcome]:
    """Do the items on the cluster's actors; outcomes come as they are finished.

    An actor has one task in hand and the next one waiting, so that neither it nor this machine's memory is filled.

    Args:
        prepare: called once in every actor; gives what does the items of a task.
        gpu: whether an actor takes a GPU, else some cores.
        group: photos that the networks see at once; tasks hold whole groups, as in a run without Ray.
        stop: once set, no further task is begun; those in hand are finished.
    """
    import ray

    actors = [_actor(prepare, gpu) for _ in range(_places(gpu))]
    free = actors * 2
    running: dict[Any, tuple[Any, list[Item]]] = {}
    tasks = (task for task in chunks(items, group * GROUPS) if not stop.is_set())
    while True:
        while free and (task := next(tasks, None)):
            if all(item.work is Work.NOTHING for item in task):
                yield from map(Outcome, task)
                continue
            actor = free.pop()
            running[actor.do.remote(task)] = actor, task
        if not running:
            return
        # a second at most, so that an interrupt is heard
        ready, _ = ray.wait(list(running), timeout=1.0)
        for one in ready:
            actor, task = running.pop(one)
            free.insert(0, actor)
            yield from _outcomes(one, task)


def _actor(prepare: Callable[[], Process], gpu: bool) -> Any:
    import ray

    class Actor:
        def __init__(self) -> None:
            self.process = prepare()

        def do(self, task: list[Item]) -> list[Outcome]:
            return list(self.process(task))

    # a machine that is lost is replaced, and its photos are tried once more elsewhere
    options = {"num_gpus": 1} if gpu else {"num_cpus": _cores()}
    return ray.remote(Actor).options(max_restarts=-1, max_task_retries=1, **options).remote()


def _outcomes(one: Any, task: list[Item]) -> list[Outcome]:
    import ray

    try:
        outcomes: list[Outcome] = ray.get(one)
    except ray.exceptions.RayError as e:
        reason = f"its machine failed ({reason_of(e)[:300]}): run the same command again"
        return [
            Outcome(item) if item.work is Work.NOTHING else Outcome(item, ERROR, f"{item.source.file}: {reason}")
            for item in task
        ]
    return outcomes


def _cores() -> int:
    import ray

    most = max(int(node["Resources"].get("CPU", 1)) for node in ray.nodes() if node["Alive"])
    return max(1, min(CORES, most))


def _places(gpu: bool) -> int:
    """How many actors the cluster has room for now."""
    import ray

    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if gpu:
        return max(1, sum(int(r.get("GPU", 0)) for r in alive))
    return max(1, sum(int(r.get("CPU", 0)) // _cores() for r in alive))
