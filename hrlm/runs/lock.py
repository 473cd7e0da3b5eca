"""One run at a time in an output folder; a run that is killed leaves nothing behind that would block the next."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from hrlm.errors import HrlmError
from hrlm.formats.atomic import WriteError
from hrlm.runs.shards import Shard, files_of_all

LOCK_FILE = ".hrlm-run.lock"
# a share looks whether the whole folder is taken, and two shares may look at the same moment
SECONDS = 1.0
# what drives without file locks say, some network's among them
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)


@contextlib.contextmanager
def only_run(out: Path, shard: Shard) -> Iterator[None]:
    """Hold the folder `out` for one run: the whole folder, or a share beside other shares.

    Raises:
        HrlmError: another run holds it.
        WriteError: the lock's file cannot be made.
    """
    busy = f"{out}: another hrlm detect is writing there: wait for it or choose another folder"
    with contextlib.ExitStack() as held:
        whole = out / LOCK_FILE
        if shard.count == 1:
            held.enter_context(locked(whole, busy, SECONDS))
            for path in files_of_all(out, LOCK_FILE):
                if path != whole:
                    held.enter_context(locked(path, busy))
        else:
            held.enter_context(locked(out / shard.file(LOCK_FILE), busy))
            with locked(whole, busy, SECONDS):
                pass
        yield


@contextlib.contextmanager
def locked(path: Path, busy: str, seconds: float = 0.0) -> Iterator[None]:
    """Hold the file `path`, which is there only while it is held, for one program and one of its threads.

    On a drive that has no file locks nothing is held.

    Args:
        busy: what to say when another still holds it after `seconds`.

    Raises:
        HrlmError: another holds it.
        WriteError: the file cannot be made.
    """
    lock = FileLock(path, timeout=seconds)
    try:
        # which filelock would make
        path.parent.stat()
        lock.acquire()
    except Timeout:
        raise HrlmError(busy) from None
    except NotImplementedError:
        pass
    except OSError as e:
        if e.errno not in NO_LOCKS:
            raise WriteError(path, e) from e
    try:
        yield
    finally:
        # while it is still held: whoever waits for it sees that the file is gone and makes a new one
        with contextlib.suppress(OSError):
            path.unlink()
        lock.release()
