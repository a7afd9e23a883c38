"""The part of a cluster that stores transcripts: where its Redis and its collector keep what they hold. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.ops.addresses import authority

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Transcripts:
    """A Redis and a collector beside the gateways.

    Attributes:
        data_dir: holds the files of Redis and of SQLite; unlike the cluster's folder it outlives the cluster.
        collector_port, redis_port: their loopback ports.
        redis_server: the executable; "" if `redis_url` is a Redis that somebody else runs.
        redis_password: of the Redis of the cluster, so that other users of this machine cannot read what it holds.
        redis_url: a Redis that somebody else runs; "" for one of the cluster's own.
        database_url: "" for SQLite in `data_dir`.
        streams, group: what the collector reads from Redis.
    """

    data_dir: Path
    collector_port: int = 8123
    redis_port: int = 6390
    redis_server: str = ""
    redis_password: str = ""
    redis_url: str = ""
    database_url: str = ""
    streams: tuple[str, ...] = ()
    group: str = ""

    @property
    def redis_dir(self) -> Path:
        """Return the folder of the cluster's own Redis."""
        return self.data_dir / "redis"

    @property
    def redis_config(self) -> Path:
        """Return the configuration of the cluster's own Redis."""
        return self.redis_dir / "redis.conf"

    @property
    def url_of_redis(self) -> str:
        """Return where gateways publish and the collector reads."""
        own = f"redis://:{self.redis_password}@{authority(LOOPBACK, self.redis_port)}/0"
        return self.redis_url or own

    @property
    def url_of_database(self) -> str:
        """Return where the collector stores."""
        return self.database_url or f"sqlite:///{self.data_dir / 'collector.db'}"

    @property
    def place(self) -> str:
        """Return what to tell people about where transcripts are, without the password of a database."""
        return "DATABASE_URL" if self.database_url else str(self.data_dir)

    def collector_environment(self) -> dict[str, str]:
        """Return the settings of the collector that differ from what it inherits."""
        return {
            "COLLECTOR_HOST": LOOPBACK,
            "COLLECTOR_PORT": str(self.collector_port),
            "REDIS_URL": self.url_of_redis,
            "DATABASE_URL": self.url_of_database,
        }

    def redis_configuration(self) -> str:
        """Return the text of `redis_config`.

        It writes every entry to its file within a second, and refuses new ones when its memory is full: an entry that
        is not stored yet must not be lost.
        """
        folder = str(self.redis_dir).replace("\\", "\\\\").replace('"', '\\"')
        return "\n".join(
            (
                f"bind {LOOPBACK}",
                f"port {self.redis_port}",
                f'requirepass "{self.redis_password}"',
                f'dir "{folder}"',
                "appendonly yes",
                "appendfsync everysec",
                'save ""',
                "maxmemory 1gb",
                "maxmemory-policy noeviction",
                "loglevel warning",
                "",
            )
        )
