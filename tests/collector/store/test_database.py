from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from app.collector.errors import DatabaseAway
from app.collector.store import database
from app.collector.store.database import Database, engine_url
from app.collector.store.locks import lock_names, room_lock
from app.collector.store.store import Store
from app.core.errors import StartupError
from tests.collector.store.entries import final
from tests.collector.store.reading import texts
from tests.servers import PostgresServer, running_postgres


@pytest.mark.parametrize("url", ["", "mysql://x/y", "sqlite://", "collector.db", "http://[", "sqlite:///"])
def test_other_databases_are_refused(url: str):
    """The message says which addresses work."""
    with pytest.raises(StartupError, match=r"sqlite:///collector\.db or postgresql://"):
        engine_url(url)


def test_the_driver_is_chosen_here():
    """Users name the database, not our libraries."""
    assert engine_url("postgresql://u@h/d").drivername == "postgresql+psycopg"
    assert engine_url("postgres://u@h/d").drivername == "postgresql+psycopg"
    assert engine_url("sqlite:///x.db").drivername == "sqlite"


async def test_a_locked_sqlite_is_away_for_writers_only(tmp_path: Path, monkeypatch):
    """Another process holds it: reading goes on, writing may be tried again."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 10)
    store = await Store.open(f"sqlite:///{tmp_path / 'c.db'}")
    await store.apply([final(1000, "a", 0, 900, "one")])
    other = sqlite3.connect(tmp_path / "c.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseAway, match="locked"):
        await store.apply([final(2000, "b", 1000, 1900, "two")])
    assert await texts(store) == ["one"]
    other.execute("ROLLBACK")
    other.close()
    await store.apply([final(2000, "b", 1000, 1900, "two")])
    assert await texts(store) == ["one", "two"]
    await store.close()


async def test_a_stopped_postgresql_is_away_until_it_is_back(postgres: PostgresServer):
    """Reads and writes say so; afterwards the same store works again."""
    folder = postgres.folder.parent / "stopped"
    with running_postgres(folder) as server:
        store = await Store.open(server.create_database("away"))
        await store.apply([final(1000, "a", 0, 900, "one")])
        await asyncio.to_thread(server.stop)
        with pytest.raises(DatabaseAway):
            await store.apply([final(2000, "b", 1000, 1900, "two")])
        with pytest.raises(DatabaseAway):
            await store.ping()
        await asyncio.to_thread(server.start)
        await store.apply([final(2000, "b", 1000, 1900, "two")])
        assert await texts(store) == ["one", "two"]
        await store.close()


async def test_an_unreachable_database_is_away_at_start():
    """Nobody listens there."""
    with pytest.raises(DatabaseAway):
        await Store.open("postgresql://u@127.0.0.1:1/none")


async def test_a_frozen_collector_holds_up_no_other(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch):
    """PostgreSQL ends a transaction that does nothing, and its locks with it; the frozen one then tries again."""
    monkeypatch.setattr("app.collector.store.database.IDLE_TIMEOUT_MS", 100)
    frozen, other = Database(postgres.url()), Database(postgres.url())
    is_frozen, goes_on = asyncio.Event(), asyncio.Event()

    async def freeze(connection: AsyncConnection) -> None:
        await lock_names(connection, [room_lock("one")])
        is_frozen.set()
        await goes_on.wait()
        await lock_names(connection, [room_lock("two")])

    freezing = asyncio.create_task(frozen.write(freeze))
    await is_frozen.wait()
    async with asyncio.timeout(20):
        await other.write(lambda connection: lock_names(connection, [room_lock("one")]))
    goes_on.set()
    with pytest.raises(DatabaseAway):
        await freezing
    await frozen.write(lambda connection: lock_names(connection, [room_lock("one")]))
    for each in (frozen, other):
        await each.close()
