"""The folder of a running cluster: sockets, nginx's files, the members' temporary files."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def make_folder(path: Path) -> None:
    """Make the folder for its user alone, unless it is there: what cleans up /tmp may have removed it."""
    path.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
    # nginx started by root works as another user and must reach its own folders below.
    others = stat.S_IXGRP | stat.S_IXOTH if os.getuid() == 0 else 0
    path.chmod(stat.S_IRWXU | others)
