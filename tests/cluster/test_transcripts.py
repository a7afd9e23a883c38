from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from app.cluster.transcripts import Transcripts

OWN = Transcripts(Path("/data/here"), redis_port=6391, collector_port=8124, redis_password="p")  # noqa: S106 - no secret


def test_what_is_stored_is_in_one_folder():
    """Redis' files and SQLite's one file; the collector is told where both are."""
    assert OWN.redis_dir == Path("/data/here/redis")
    assert OWN.collector_environment() == {
        "COLLECTOR_HOST": "127.0.0.1",
        "COLLECTOR_PORT": "8124",
        "REDIS_URL": "redis://:p@127.0.0.1:6391/0",
        "DATABASE_URL": "sqlite:////data/here/collector.db",
    }
    assert OWN.place == "/data/here"


def test_a_redis_and_a_database_of_others_are_used():
    """Their addresses are passed on; the one with a password is not shown."""
    foreign = replace(OWN, redis_url="redis://elsewhere/0", database_url="postgresql://u:secret@db/t")
    assert foreign.url_of_redis == "redis://elsewhere/0"
    assert foreign.collector_environment()["DATABASE_URL"] == "postgresql://u:secret@db/t"
    assert "secret" not in foreign.place


def test_redis_loses_nothing_and_serves_this_machine_only():
    """It writes to its file, evicts nothing, listens on loopback and wants a password."""
    lines = OWN.redis_configuration().splitlines()
    assert {"appendonly yes", "maxmemory-policy noeviction", "bind 127.0.0.1", 'requirepass "p"'} <= set(lines)
    quoted = replace(OWN, data_dir=Path('/a "b" c')).redis_configuration()
    assert 'dir "/a \\"b\\" c/redis"' in quoted.splitlines()
