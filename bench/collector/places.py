"""The servers of a measurement: a Redis and a database of its own, with the settings of a real installation."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.servers import PostgresServer, RedisServer, running_postgres, running_redis

Database = Literal["sqlite", "postgresql"]


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything is.

    Attributes:
        postgres: None with SQLite.
    """

    redis: RedisServer
    database: Database
    database_url: str
    postgres: PostgresServer | None

    def environment(self) -> dict[str, str]:
        """The settings of a collector that works here."""
        return {"REDIS_URL": self.redis.url, "DATABASE_URL": self.database_url, "LOG_LEVEL": "warning"}


@contextmanager
def places(database: Database) -> Iterator[Places]:
    """Empty servers that are stopped and deleted with the block; PostgreSQL and Redis write to disk as by default."""
    folder = Path(tempfile.mkdtemp(prefix="bench-collector-"))
    folder.chmod(0o755)
    try:
        with running_redis(folder / "redis") as redis:
            if database == "sqlite":
                yield Places(redis, database, f"sqlite:///{folder / 'collector.db'}", None)
                return
            with running_postgres(folder / "postgres", durable=True) as postgres:
                yield Places(redis, database, postgres.create_database("bench"), postgres)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
