"""The probe against a real Redis."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from app.cluster import redis_probe, redis_server
from app.cluster.transcripts import Transcripts
from tests.cluster.ports import free_ports
from tests.servers import RedisServer

STREAMS = ("segments", "events")


@pytest.fixture
def transcripts(tmp_path: Path) -> Iterator[Transcripts]:
    """Give a running Redis with the configuration of a cluster."""
    server = RedisServer(tmp_path / "redis")
    described = Transcripts(tmp_path, redis_port=server.port, redis_password="p", streams=STREAMS, group="readers")  # noqa: S106 - no secret
    with redis_server.prepared(described):
        server.options = ("--requirepass", "p", "--appendonly", "yes")
        server.start()
        try:
            yield described
        finally:
            server.stop()


@pytest.fixture
def client(transcripts: Transcripts) -> Iterator[redis.Redis]:
    """Give a client of it."""
    with redis.Redis.from_url(transcripts.url_of_redis) as connected:
        yield connected


def test_a_running_redis_answers(transcripts):
    """With the right password only: another Redis on that port is not the cluster's."""
    assert redis_probe.answers(transcripts)
    assert not redis_probe.answers(replace(transcripts, redis_password="q"))  # noqa: S106 - no secret


def test_nobody_is_no_answer(transcripts):
    """A closed port answers nothing, and it is unknown what is left."""
    nobody = replace(transcripts, redis_port=free_ports(1)[0])
    assert not redis_probe.answers(nobody)
    assert redis_probe.unread(nobody) is None


def test_a_server_of_another_kind_is_no_answer(transcripts):
    """Its reply is not Redis' protocol."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def reply() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=reply)
        thread.start()
        assert not redis_probe.answers(replace(transcripts, redis_port=server.getsockname()[1]))
        thread.join()


def test_what_is_not_stored_is_counted(transcripts, client):
    """Entries that nobody has read and entries that are not acknowledged, in both streams, of the one group."""
    assert redis_probe.unread(transcripts) == 0, "there is no stream"
    first = client.xadd("segments", {"payload": "1"})
    assert redis_probe.unread(transcripts) == 0, "there is no collector that would read it"
    for stream in STREAMS:
        client.xgroup_create(stream, "readers", id="0", mkstream=True)
    client.xgroup_create("segments", "others", id="0")
    client.xadd("segments", {"payload": "2"})
    client.xadd("events", {"uid": "u"})
    assert redis_probe.unread(transcripts) == 3
    client.xreadgroup("readers", "one", {"segments": ">"})
    assert redis_probe.unread(transcripts) == 3, "read, but not acknowledged"
    client.xack("segments", "readers", first)
    assert redis_probe.unread(transcripts) == 2
