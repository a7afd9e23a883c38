"""Entries on disk while Redis is away, so that they survive the end of the gateway, also by SIGKILL. Blocking.

Each gateway appends to a file of its own and holds a lock on it while it lives. A file whose lock is free belonged
to a gateway that is gone: whoever finds it takes it over. A line is one entry as JSON; every write is forced to
disk. What is read twice is published twice, which readers ignore, so no position is stored.
The files contain text and tokens; only their owner may read them.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from app.live.publish.payloads import Kind, StreamEntry

PATTERN = "spool-*.jsonl"
MAX_BYTES = 2**30  # a million finals
READ_BYTES = 2**20


class SpoolFull(OSError):
    """The file has reached its largest size."""


@dataclass(slots=True)
class _File:
    """An open, locked file; what lies before `offset` is published."""

    path: Path
    descriptor: int
    size: int
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """Entries read from a file.

    Attributes:
        unreadable: lines that are no entries; the last line of a killed gateway may be half written.
    """

    entries: tuple[StreamEntry, ...]
    unreadable: int
    source: _File
    end: int


class Spool:
    """The files in one folder. Calls wait for each other: one that nobody waits for any more may still write."""

    def __init__(self, folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
        """Create the folder if it is missing.

        Raises:
            OSError: it cannot be created or written to.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._own: _File | None = None
        self._adopted: list[_File] = []
        probe = folder / f".writable-{os.getpid()}"
        probe.touch(mode=0o600)
        probe.unlink()

    @property
    def waiting_bytes(self) -> int:
        """Bytes that are not published yet."""
        return sum(file.size - file.offset for file in self._files())

    def append(self, entries: Sequence[StreamEntry]) -> None:
        """Write entries and force them to disk.

        Raises:
            SpoolFull: the file would become too large; nothing was written.
            OSError: the disk refused; what was written in part is written again by the next call.
        """
        with self._lock:
            data = b"".join(_line(entry) for entry in entries)
            if self._own is None:
                self._own = self._create()
            own = self._own
            if own.size + len(data) > self._max_bytes:
                raise SpoolFull(f"{own.path} has reached {self._max_bytes} bytes")
            written = 0
            while written < len(data):
                written += os.pwrite(own.descriptor, data[written:], own.size + written)
            os.fsync(own.descriptor)
            own.size += len(data)

    def adopt(self) -> int:
        """Take over the files of gateways that are gone; returns how many.

        Raises:
            OSError: the folder cannot be read.
        """
        with self._lock:
            mine = {file.path for file in self._files()}
            found = [path for path in sorted(self._folder.glob(PATTERN)) if path not in mine]
            taken = [file for path in found if (file := _locked(path)) is not None]
            self._adopted += taken
            return len(taken)

    def read(self, count: int) -> Chunk | None:
        """The oldest entries that are not published yet, at most `count`; None if there are none.

        Raises:
            OSError: the file cannot be read.
        """
        with self._lock:
            for file in self._files():
                if file.offset < file.size:
                    lines = _lines(file, count)
                    read = [_entry(line) for line in lines if line.strip()]
                    entries = tuple(entry for entry in read if entry is not None)
                    end = file.offset + sum(map(len, lines)) if lines else file.size
                    return Chunk(entries, len(read) - len(entries), file, end)
            return None

    def published(self, chunk: Chunk) -> None:
        """The entries of a chunk are published; a file that is published completely is emptied or deleted.

        Raises:
            OSError: the disk refused.
        """
        with self._lock:
            file = chunk.source
            file.offset = chunk.end
            if file.offset < file.size:
                return
            if file is self._own:
                os.truncate(file.descriptor, 0)
                file.size = file.offset = 0
            else:
                self._adopted.remove(file)
                file.path.unlink(missing_ok=True)
                os.close(file.descriptor)

    def close(self) -> None:
        """Release the locks; files with something left stay for the next gateway."""
        with self._lock:
            for file in self._files():
                if file.offset >= file.size:
                    file.path.unlink(missing_ok=True)
                os.close(file.descriptor)
            self._own, self._adopted = None, []

    def _files(self) -> list[_File]:
        return [*self._adopted, *([] if self._own is None else [self._own])]

    def _create(self) -> _File:
        name = f"spool-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
        path, hidden = self._folder / name, self._folder / f".{name}"
        descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        hidden.rename(path)  # only now can another gateway find it
        return _File(path, descriptor, 0)


def _locked(path: Path) -> _File | None:
    """Open and lock a file; None if its gateway lives, or another one took it."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        opened = os.fstat(descriptor)
        if path.stat().st_ino == opened.st_ino:  # else it was published and deleted meanwhile
            return _File(path, descriptor, opened.st_size)
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def _lines(file: _File, count: int) -> list[bytes]:
    """The next lines, at most `count` but one at least; the last one of a file may lack its line break."""
    wanted = READ_BYTES
    while True:
        data = os.pread(file.descriptor, wanted, file.offset)
        at_end = len(data) < wanted or file.offset + len(data) >= file.size
        complete = data if at_end else data[: data.rfind(b"\n") + 1]
        if complete or not data:
            return complete.splitlines(keepends=True)[:count]
        wanted *= 2


def _line(entry: StreamEntry) -> bytes:
    written = {
        "kind": entry.kind,
        "connection_id": entry.connection_id,
        "stream": entry.stream,
        "fields": dict(entry.fields),
    }
    return json.dumps(written, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _entry(line: bytes) -> StreamEntry | None:
    """The entry of a line; None if it is none, or holds what Redis could not store."""
    try:
        read = json.loads(line)
        fields = {str(name): str(value) for name, value in read["fields"].items()}
        _line(entry := StreamEntry(read["kind"], str(read["connection_id"]), str(read["stream"]), fields))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return entry if entry.kind in get_args(Kind) else None
