"""Prepare the folder and the configuration of the cluster's own Redis. Blocking, but quick."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.cluster.folder import locked
from app.cluster.transcripts import Transcripts
from app.core.errors import StartupError

PROGRAM = "redis-server"


def find() -> str:
    """Return the executable.

    Raises:
        StartupError: it is not installed.
    """
    found = shutil.which(PROGRAM) or shutil.which(f"/usr/sbin/{PROGRAM}")
    if found is None:
        raise StartupError(
            f"--collector needs Redis, and {PROGRAM} was not found: install the Debian package {PROGRAM} "
            f"(sh deploy/install_packages.sh {PROGRAM}), or set REDIS_URL to a Redis that runs"
        )
    return found


@contextmanager
def prepared(transcripts: Transcripts) -> Iterator[None]:
    """Create the data folder for its user alone, configure the cluster's own Redis, and keep other clusters out.

    Raises:
        StartupError: the folder cannot be written to, or another cluster uses it.
    """
    taken = f"another cluster stores its transcripts in {transcripts.data_dir}: choose another --data folder"
    try:
        _make(transcripts.data_dir)
    except OSError as exc:
        raise _unusable(transcripts, exc) from exc
    with locked(transcripts.data_dir / "cluster", taken):
        try:
            _configure(transcripts)
        except OSError as exc:
            raise _unusable(transcripts, exc) from exc
        yield


def _configure(transcripts: Transcripts) -> None:
    if transcripts.redis_url:
        return
    _make(transcripts.redis_dir)
    transcripts.redis_config.touch(mode=stat.S_IRUSR | stat.S_IWUSR)  # it holds the password
    transcripts.redis_config.write_text(transcripts.redis_configuration())


def _make(folder: Path) -> None:
    folder.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)


def _unusable(transcripts: Transcripts, error: OSError) -> StartupError:
    return StartupError(
        f"transcripts cannot be stored in {transcripts.data_dir} ({error.strerror}): choose another --data folder"
    )
