"""The folder of a running cluster: sockets, nginx's files, the members' temporary files.

A lock file beside it is locked while the cluster runs; the kernel releases the lock however the process ends.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.core.errors import StartupError

PORT_TAKEN = "a cluster already runs on that port: stop it, or choose another --port"


@contextmanager
def locked(folder: Path, taken: str = PORT_TAKEN) -> Iterator[None]:
    """Hold the folder's lock until the block ends; the folder itself is not touched.

    Args:
        folder: the lock file is beside it.
        taken: what to say if another cluster holds the lock.

    Raises:
        StartupError: another cluster holds the lock, or the lock file belongs to another user.
    """
    path = folder.with_name(f"{folder.name}.lock")
    descriptor = _lock(path, taken)
    try:
        yield
    finally:
        # Removed while it is still locked: a process that has opened it meanwhile sees that it is gone.
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _lock(path: Path, taken: str) -> int:
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, stat.S_IRUSR | stat.S_IWUSR)
        except OSError as exc:
            raise StartupError(f"{path} cannot be used ({exc.strerror}): remove it, or set TMPDIR") from exc
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise StartupError(taken) from None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)


def clear_folder(path: Path) -> None:
    """Remove what a killed cluster left and create the folder again; the caller holds the lock.

    Raises:
        StartupError: the folder belongs to another user.
    """
    check_owner(path)
    shutil.rmtree(path, ignore_errors=True)
    make_folder(path)


def check_owner(path: Path) -> None:
    """Raise StartupError if the folder exists and belongs to another user: anybody may create one in /tmp."""
    if path.is_symlink() or (path.exists() and path.stat().st_uid != os.getuid()):
        raise StartupError(f"{path} belongs to another user: remove it, or set TMPDIR to another folder")


def make_folder(path: Path) -> None:
    """Create the folder for its user alone, unless it exists; a cleaner of /tmp may have removed it."""
    path.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
    # nginx started by root works as another user and must reach its folders inside.
    others = stat.S_IXGRP | stat.S_IXOTH if os.getuid() == 0 else 0
    path.chmod(stat.S_IRWXU | others)
