from __future__ import annotations

import asyncio
import socket

from app.cluster.probe import any_free_port, header_of, json_of, port_is_free, status_of
from tests.cluster.ports import free_ports
from tests.cluster.stub_worker import stub_worker


async def test_status_header_and_body_are_returned():
    """Any answer of a server is returned, errors included."""
    port = free_ports(1)[0]
    async with stub_worker(port) as worker:
        worker.mode = "busy"
        assert await asyncio.to_thread(status_of, "127.0.0.1", port, "/health/ready") == 200
        assert await asyncio.to_thread(status_of, "127.0.0.1", port, "/other") == 503
        assert await asyncio.to_thread(header_of, "127.0.0.1", port, "/other", "Retry-After") == "1"
        assert await asyncio.to_thread(header_of, "127.0.0.1", port, "/other", "X-Other") is None
        assert await asyncio.to_thread(json_of, "127.0.0.1", port, "/health") == {"status": "healthy"}


def test_without_an_answer_the_result_is_none():
    """A refused connection and a silent server: None, never an exception."""
    assert status_of("127.0.0.1", free_ports(1)[0], "/") is None
    assert header_of("127.0.0.1", free_ports(1)[0], "/", "X") is None
    assert json_of("127.0.0.1", free_ports(1)[0], "/") is None
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert status_of("127.0.0.1", silent.getsockname()[1], "/", timeout_s=0.05) is None


def test_a_taken_port_is_not_free():
    """A port is free before and after a server listens there."""
    port = free_ports(1)[0]
    assert port_is_free("127.0.0.1", port)
    with socket.create_server(("127.0.0.1", port)):
        assert not port_is_free("127.0.0.1", port)
    assert port_is_free("127.0.0.1", port)


def test_a_free_port_is_free():
    """Whoever needs any port can listen there."""
    assert port_is_free("127.0.0.1", any_free_port("127.0.0.1"))
