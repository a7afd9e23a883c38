"""Connections and transactions on SQLite and PostgreSQL.

SQLite: one connection writes (`BEGIN IMMEDIATE`), a few read beside it (WAL). PostgreSQL: a pool of five.
A transaction that lost a race (serialization failure, deadlock) is repeated here; what says that the database does
not answer becomes DatabaseAway; everything else is a bug and passes through.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeVar

from sqlalchemy import URL, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.collector.errors import DatabaseAway
from app.core.errors import StartupError

T = TypeVar("T")

TRANSACTION_TIMEOUT_S: Final = 30.0
BUSY_TIMEOUT_MS: Final = 5000
IDLE_TIMEOUT_MS: Final = 20_000  # PostgreSQL ends a transaction whose collector froze or lost its network
_TRIES: Final = 6
_READERS: Final = 4
_RACES: Final = ("40001", "40P01")  # serialization failure, deadlock
# Classes of SQLSTATE: connection, resources, operator, system; then read-only server (a standby), a transaction that
# was idle for too long, missing rights.
_AWAY: Final = ("08", "53", "57", "58", "XX", "25006", "25P03", "42501")
_SQLITE_BUGS: Final = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISUSE, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG)
_DRIVERS: Final = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


def engine_url(url: str) -> URL:
    """A user's address with the driver that we use.

    Raises:
        StartupError: it is neither SQLite nor PostgreSQL.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    kind = parsed.drivername.partition("+")[0] if parsed else ""
    if parsed is None or kind not in _DRIVERS or (kind == "sqlite" and not parsed.database):
        raise StartupError(
            "DATABASE_URL is not an address of a database; use sqlite:///collector.db or "
            "postgresql://user:password@host/database"
        )
    return parsed.set(drivername=_DRIVERS[kind])


class Database:
    """Transactions on one database, which must have its tables."""

    def __init__(self, url: str) -> None:
        address = engine_url(url)
        self.is_sqlite = address.get_backend_name() == "sqlite"
        if self.is_sqlite:
            self._writer = _sqlite_engine(address, connections=1, begin="BEGIN IMMEDIATE", read_only=False)
            self._reader = _sqlite_engine(address, connections=_READERS, begin="BEGIN", read_only=True)
        else:
            self._writer = self._reader = _postgres_engine(address)
        self._write_lock = asyncio.Lock()

    async def close(self) -> None:
        """Close all connections."""
        await self._writer.dispose()
        if self._reader is not self._writer:
            await self._reader.dispose()

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads.

        Raises:
            DatabaseAway: the database does not answer.
        """
        with _translated():
            async with asyncio.timeout(TRANSACTION_TIMEOUT_S), self._reader.begin() as connection:
                yield connection

    async def write(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run `work` in a transaction and commit it; on a lost race it runs again.

        Raises:
            DatabaseAway: the database does not answer; nothing was written, or the answer to COMMIT was lost.
        """
        for attempt in range(_TRIES):
            try:
                with _translated():
                    return await self._write_once(work)
            except _LostRace:
                await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311 - spreads the tries
        raise DatabaseAway(f"the transaction lost {_TRIES} races against others")

    async def checkpoint(self) -> None:
        """Write SQLite's log into the database file and empty it; PostgreSQL does so by itself.

        Raises:
            DatabaseAway: the database does not answer.
        """
        if self.is_sqlite:
            with _translated():
                async with self._write_lock, self._writer.connect() as connection:
                    raw = await connection.get_raw_connection()  # outside a transaction
                    driver: Any = raw.driver_connection
                    await driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    async def _write_once(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        async with self._serialized(), asyncio.timeout(TRANSACTION_TIMEOUT_S), self._writer.begin() as connection:
            if not self.is_sqlite:  # others wait for this transaction's locks
                await connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = {IDLE_TIMEOUT_MS}"))
            return await work(connection)

    def _serialized(self) -> contextlib.AbstractAsyncContextManager[object]:
        return self._write_lock if self.is_sqlite else contextlib.nullcontext()


class _LostRace(Exception):
    """Another transaction won; the same work may be tried again."""


@contextlib.contextmanager
def _translated() -> Any:
    """Foreign errors as ours, where they are not bugs."""
    try:
        yield
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None) or ""
        if state in _RACES:
            raise _LostRace from error
        if error.connection_invalidated or _is_away(error.orig, state):
            raise DatabaseAway(f"the database does not answer: {_reason(error)}") from error
        raise
    except (PoolTimeout, TimeoutError, OSError) as error:
        raise DatabaseAway(f"the database does not answer: {type(error).__name__}") from error


def _is_away(error: BaseException | None, state: str) -> bool:
    if isinstance(error, sqlite3.DatabaseError):
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        return not isinstance(error, sqlite3.ProgrammingError) and code not in _SQLITE_BUGS
    return state.startswith(_AWAY) if state else type(error).__name__ in ("OperationalError", "InterfaceError")


def _reason(error: DBAPIError) -> str:
    """The driver's words on one line; the statement and its parameters, which hold text, are left out."""
    return " ".join(str(error.orig).split())[:200]


def _postgres_engine(address: URL) -> AsyncEngine:
    options = {
        "connect_timeout": "5",
        "keepalives_idle": "10",
        "keepalives_interval": "5",
        "keepalives_count": "3",
        "tcp_user_timeout": "15000",
        "application_name": "collector",
    }
    missing = {name: value for name, value in options.items() if name not in address.query}
    return create_async_engine(
        address.update_query_dict(missing),
        connect_args={"prepare_threshold": None},  # PgBouncer in transaction mode knows no prepared statements
        pool_size=5,
        max_overflow=0,
        pool_timeout=10,
        pool_pre_ping=True,
        use_insertmanyvalues=True,
    )


def _sqlite_engine(address: URL, *, connections: int, begin: str, read_only: bool) -> AsyncEngine:
    engine = create_async_engine(
        address.set(drivername="sqlite+aiosqlite"), pool_size=connections, max_overflow=0, pool_timeout=10
    )
    prepare_sqlite(engine.sync_engine, begin=begin, read_only=read_only)
    return engine


def prepare_sqlite(engine: Any, *, begin: str, read_only: bool = False) -> None:
    """Set what each new connection of an engine needs, and how its transactions begin."""

    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver begins no transactions by itself
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",  # an acknowledged entry is on disk; one fsync per transaction
            "foreign_keys=ON",
            "secure_delete=ON",  # deleted text is overwritten
            "cache_size=-32768",  # KiB
            "temp_store=MEMORY",
            f"query_only={'ON' if read_only else 'OFF'}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def began(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", began)
