"""What other programs do to the collector's database: they lock it, and they look into it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg


def sqlite_file(url: str) -> Path:
    """Where an SQLite database is."""
    return Path(url.removeprefix("sqlite:///"))


@contextmanager
def write_locked(url: str) -> Iterator[None]:
    """Nobody can write to the database while the block runs; it can be read."""
    if url.startswith("sqlite"):
        lock = sqlite3.connect(sqlite_file(url), isolation_level=None, timeout=10)
        try:
            lock.execute("BEGIN IMMEDIATE")
            yield
        finally:
            lock.close()
        return
    with psycopg.connect(url) as connection:
        connection.execute("LOCK TABLE meetings IN EXCLUSIVE MODE")
        yield


def is_write_locked(url: str) -> bool:
    """Is a transaction of somebody else under way? Only SQLite has one writer."""
    if not url.startswith("sqlite"):
        return False
    probe = sqlite3.connect(sqlite_file(url), isolation_level=None, timeout=0)
    try:
        probe.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return True
    finally:
        probe.close()
    return False


def contents(url: str) -> bytes:
    """Everything that the database holds: the bytes of SQLite's files, or the rows and indexed words of PostgreSQL."""
    if url.startswith("sqlite"):
        file = sqlite_file(url)
        return b"".join(each.read_bytes() for each in sorted(file.parent.glob(f"{file.name}*")))
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        ).fetchall()
        rows = [connection.execute(f'SELECT t::text FROM "{name}" t').fetchall() for (name,) in tables]  # noqa: S608
    return "\n".join(row[0] for table in rows for row in table).encode()
