"""Whose address nginx sees behind another proxy (NGINX_REAL_IP_FROM)."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.cluster.front import Front, assert_envelope, front
from tests.cluster.ports import free_ports
from tests.cluster.stub_worker import stub_worker

TRUSTED = {"NGINX_REAL_IP_FROM": "127.0.0.1 10.0.0.0/8"}
ONE, TWO = "203.0.113.1", "203.0.113.2"


async def post(nginx: Front, forwarded_for: str) -> httpx.Response:
    """Upload with this X-Forwarded-For."""
    return await nginx.client.post(
        "/v1/audio/transcriptions", content=b"audio", headers={"X-Forwarded-For": forwarded_for}
    )


async def test_two_forwarded_clients_have_two_limits(run_dir):
    """Behind a trusted proxy the limit of one client without a key leaves another one's alone."""
    port = free_ports(1)[0]
    env = {**TRUSTED, "NGINX_LIMIT_RATE": "1", "NGINX_LIMIT_BURST": "2"}
    async with stub_worker(port) as worker, front(run_dir, [port], env=env) as nginx:
        worker.release.set()
        first = [(await post(nginx, ONE)).status_code for _ in range(6)]
        assert first.count(429) >= 2
        assert (await post(nginx, TWO)).status_code == 200


@pytest.mark.parametrize("env", [{}, {"NGINX_REAL_IP_FROM": "10.0.0.0/8"}], ids=["nobody is trusted", "others are"])
async def test_a_forged_header_from_elsewhere_is_ignored(run_dir, env):
    """A client that names another address with each request still has one limit, and the worker sees its own."""
    port = free_ports(1)[0]
    limited = {**env, "NGINX_LIMIT_RATE": "1", "NGINX_LIMIT_BURST": "2"}
    async with stub_worker(port) as worker, front(run_dir, [port], env=limited) as nginx:
        worker.mode = "echo"
        answers = [await post(nginx, f"203.0.113.{n}") for n in range(6)]
        assert answers[0].json()["x-forwarded-for"] == "127.0.0.1"
        assert [answer.status_code for answer in answers].count(429) >= 2


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        (ONE, ONE),
        (f"{TWO}, {ONE}", ONE),
        (f"{TWO}, {ONE}, 10.1.2.3", ONE),
        ("2001:db8::1, 10.1.2.3", "2001:db8::1"),
        ("not an address", "127.0.0.1"),
    ],
)
async def test_the_client_is_the_last_address_that_is_no_proxys(run_dir, sent, seen):
    """What a client wrote before its proxy's entry does not count; workers and the log get the client's address."""
    port = free_ports(1)[0]
    async with stub_worker(port) as worker, front(run_dir, [port], env=TRUSTED) as nginx:
        worker.mode = "echo"
        headers = (await post(nginx, sent)).json()
    assert (headers["x-forwarded-for"], headers["x-real-ip"]) == (seen, seen)
    assert f'"client":"{seen}"' in nginx.log.read_text()


async def test_internal_routes_are_for_private_clients_of_the_proxy(run_dir):
    """The proxy's own address is private; the client's decides who sees /metrics."""
    port = free_ports(1)[0]
    async with stub_worker(port) as worker, front(run_dir, [port], env=TRUSTED) as nginx:
        worker.release.set()
        for path in ("/metrics", "/nginx-status"):
            outside = await nginx.client.get(path, headers={"X-Forwarded-For": ONE})
            assert_envelope(outside, 403, "forbidden")
            assert (await nginx.client.get(path, headers={"X-Forwarded-For": "192.168.1.1"})).status_code == 200
            assert (await nginx.client.get(path)).status_code == 200


async def test_live_streams_are_limited_by_client(run_dir):
    """On the live port, too: one client's streams leave room for another's, and the gateway gets the address."""
    worker, gateway = free_ports(2)
    env = {**TRUSTED, "NGINX_LIMIT_STREAMS": "2"}
    async with stub_worker(gateway), front(run_dir, [worker], [gateway], env=env) as nginx:
        writers: list[asyncio.StreamWriter] = []

        async def connect(address: str) -> int:
            reader, writer = await asyncio.open_connection("127.0.0.1", nginx.live_port)
            writers.append(writer)
            writer.write(
                f"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {address}\r\n"
                "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n".encode()
            )
            return int((await asyncio.wait_for(reader.readline(), 5)).split()[1])

        assert [await connect(ONE) for _ in range(3)] == [101, 101, 429]
        assert await connect(TWO) == 101
        for writer in writers:
            writer.close()
