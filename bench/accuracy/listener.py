"""Which process listens on a TCP port of this machine, from Linux's /proc."""

from __future__ import annotations

import contextlib
from pathlib import Path

PROC = Path("/proc")
LISTENING = "0A"
# Columns of /proc/net/tcp. Source: Linux, Documentation/networking/proc_net_tcp.rst.
LOCAL_ADDRESS, STATE, INODE = 1, 3, 9
# Field of /proc/PID/stat behind the name: when the process started, in clock ticks.
STARTED = 19


def listener(port: int) -> int | None:
    """The id of the process that listens on a port; None if there is none, or it belongs to another user.

    Of processes that share a socket it is the oldest: the parent.
    """
    sockets = {f"socket:[{inode}]" for table in ("tcp", "tcp6") for inode in _inodes(table, port)}
    owners = [int(path.name) for path in PROC.glob("[0-9]*") if sockets and sockets & _open_files(path)]
    return min(owners, key=_started_ticks, default=None)


def _inodes(table: str, port: int) -> list[str]:
    try:
        lines = (PROC / "net" / table).read_text("ascii").splitlines()[1:]
    except OSError:
        return []
    rows = [line.split() for line in lines]
    return [
        row[INODE] for row in rows if row[STATE] == LISTENING and int(row[LOCAL_ADDRESS].rpartition(":")[2], 16) == port
    ]


def _open_files(process: Path) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):  # it ended, or belongs to another user
        for link in (process / "fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                found.add(str(link.readlink()))
    return found


def _started_ticks(pid: int) -> int:
    try:
        return int((PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[STARTED])
    except OSError:
        return 0
