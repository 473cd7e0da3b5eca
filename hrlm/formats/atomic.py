"""Files that are whole or not there: written under a temporary name in the same folder, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from hrlm.errors import HrlmError


class WriteError(HrlmError):
    """A result that cannot be written.

    Args:
        path: the file that was to be written.
        cause: what the system said.
    """

    def __init__(self, path: Path, cause: OSError) -> None:
        full = cause.errno in (errno.ENOSPC, errno.EDQUOT)
        self.hopeless = full or cause.errno == errno.EROFS
        """Whether the next file will fail in the same way."""
        cure = "free some space" if full else "check the folder and its rights, or write to another folder"
        super().__init__(f"{path}: cannot be written ({cause.strerror or cause}): {cure}")


def exists(path: str | Path) -> bool:
    """Whether there is something of this name; of a name that is too long there is nothing, and no error."""
    return os.path.exists(path)  # noqa: PTH110


@contextlib.contextmanager
def replacing(path: Path, sync: bool = False) -> Iterator[BinaryIO]:
    """Open a file that takes the name `path` once it is written whole; missing folders are made.

    If the body raises, what stood at `path` stays as it was.

    Args:
        sync: whether to wait until file and name are on the disk, to stay when the power goes.

    Raises:
        WriteError: the folder or the file cannot be written.
    """
    # short whatever the name: a name of the longest allowed length must not fail for its temporary one
    temporary = path.with_name(f".hrlm-{secrets.token_hex(6)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            yield file
            if sync:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
        if sync:
            _sync_folder(path.parent)
    except OSError as e:
        raise WriteError(path, e) from e
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _sync_folder(folder: Path) -> None:
    # not every system and file system can: the name is then as safe as they make it
    with contextlib.suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def write_whole(path: Path, data: bytes, sync: bool = False) -> None:
    """Write `data` as the file `path`, whole or not at all; `sync` as `replacing` takes it.

    Raises:
        WriteError: the folder or the file cannot be written.
    """
    with replacing(path, sync) as file:
        file.write(data)
