"""The folder of a running cluster: sockets, nginx's files, the members' temporary files.

Beside it lies a file that the cluster keeps locked for its life: the kernel lets go of it whatever ends the process.
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


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the only cluster with that folder until the block ends; the folder itself is not touched.

    Raises:
        StartupError: another one runs, however slowly it may answer, or the file is somebody else's.
    """
    path = folder.with_name(f"{folder.name}.lock")
    descriptor = _lock(path)
    try:
        yield
    finally:
        # Removed while it is still locked: whoever opened it meanwhile sees that it has gone.
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _lock(path: Path) -> int:
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, stat.S_IRUSR | stat.S_IWUSR)
        except OSError as exc:
            raise StartupError(f"{path} cannot be used ({exc.strerror}): remove it, or set TMPDIR") from exc
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise StartupError("a cluster already runs on that port: stop it, or choose another --port") from None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)


def clear_folder(path: Path) -> None:
    """Remove what a killed cluster left and make the folder anew; the caller holds the lock.

    Raises:
        StartupError: the folder is somebody else's.
    """
    if path.is_symlink() or (path.exists() and path.stat().st_uid != os.getuid()):
        raise StartupError(f"{path} belongs to somebody else: remove it, or set TMPDIR to another folder")
    shutil.rmtree(path, ignore_errors=True)
    make_folder(path)


def make_folder(path: Path) -> None:
    """Make the folder for its user alone, unless it is there: what cleans up /tmp may have removed it."""
    path.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
    # nginx started by root works as another user and must reach its own folders below.
    others = stat.S_IXGRP | stat.S_IXOTH if os.getuid() == 0 else 0
    path.chmod(stat.S_IRWXU | others)
