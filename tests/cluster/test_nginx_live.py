"""The live port: WebSocket connections to the gateways."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.cluster.front import Front, assert_envelope, front
from tests.cluster.ports import free_ports
from tests.cluster.stub_worker import stub_worker

HANDSHAKE = b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
OTHER_ADDRESS = ("127.0.0.2", 0)


class LiveClients:
    """Opens live connections through nginx and keeps them open."""

    def __init__(self, nginx: Front, stack: AsyncExitStack) -> None:
        self.nginx = nginx
        self._stack = stack

    async def connect(self, *, source: tuple[str, int] = ("127.0.0.1", 0)) -> int:
        """Open one connection from that address; return the status of the handshake."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.nginx.live_port, local_addr=source)
        self._stack.callback(writer.close)
        writer.write(HANDSHAKE)
        return int((await asyncio.wait_for(reader.readline(), 5)).split()[1])


@asynccontextmanager
async def live_clients(run_dir: Path, **env: str) -> AsyncIterator[LiveClients]:
    """Give live clients of one stub gateway behind nginx."""
    async with AsyncExitStack() as stack:
        port = free_ports(1)[0]
        await stack.enter_async_context(stub_worker(port))
        yield LiveClients(await stack.enter_async_context(front(run_dir, free_ports(1), [port], env=env)), stack)


async def test_one_address_cannot_open_every_connection(run_dir):
    """Beyond its limit an address gets 429 in JSON with Retry-After; another address still connects."""
    async with live_clients(run_dir, NGINX_LIMIT_STREAMS="2") as clients:
        assert [await clients.connect() for _ in range(4)] == [101, 101, 429, 429]
        assert await clients.connect(source=OTHER_ADDRESS) == 101
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{clients.nginx.live_port}/")
        assert_envelope(answer, 429, "rate_limit_exceeded")
        assert answer.headers["retry-after"] == "1"


async def test_a_closed_connection_no_longer_counts(run_dir):
    """The limit counts connections that are open now."""
    async with live_clients(run_dir, NGINX_LIMIT_STREAMS="1") as clients:
        reader, writer = await asyncio.open_connection("127.0.0.1", clients.nginx.live_port)
        writer.write(HANDSHAKE)
        assert b" 101 " in await asyncio.wait_for(reader.readline(), 5)
        assert await clients.connect() == 429
        writer.close()
        async with asyncio.timeout(5):
            while await clients.connect() != 101:
                await asyncio.sleep(0.01)


async def test_by_default_a_tenth_of_the_streams_is_kept_for_other_addresses(run_dir):
    """A fleet of clients behind one address may open nine streams in ten."""
    async with live_clients(run_dir, MAX_CLIENTS="10") as clients:
        assert [await clients.connect() for _ in range(10)] == [101] * 9 + [429]
        assert await clients.connect(source=OTHER_ADDRESS) == 101


async def test_trusted_networks_may_open_every_stream(run_dir):
    """A fleet whose network is named as trusted is not limited."""
    env = {"NGINX_LIMIT_STREAMS": "1", "NGINX_TRUSTED_NETWORKS": "127.0.0.0/8"}
    async with live_clients(run_dir, **env) as clients:
        assert [await clients.connect() for _ in range(4)] == [101] * 4


async def test_the_gateway_gets_the_clients_address_and_not_its_claims(run_dir):
    """Headers about the address are replaced: the gateway limits by them."""
    port = free_ports(1)[0]
    async with stub_worker(port) as stub, front(run_dir, free_ports(1), [port]) as nginx, httpx.AsyncClient() as client:
        stub.mode = "echo"
        claims = {"X-Forwarded-For": "6.6.6.6", "X-Real-IP": "6.6.6.6", "Forwarded": "for=6.6.6.6"}
        seen = (await client.get(f"http://127.0.0.1:{nginx.live_port}/", headers=claims)).json()
    assert (seen["x-forwarded-for"], seen["x-real-ip"]) == ("127.0.0.1", "127.0.0.1")
    assert "6.6.6.6" not in json.dumps(seen)


@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "//metrics", "///metrics//", "//x/metrics", "/%6detrics?a"])
async def test_the_live_port_shows_no_metrics(run_dir, path):
    """Every spelling that the gateway understands gets 403 in JSON, and no gateway gets the request."""
    gateway = free_ports(1)[0]
    async with stub_worker(gateway) as stub, front(run_dir, free_ports(1), [gateway]) as nginx:
        reader, writer = await asyncio.open_connection("127.0.0.1", nginx.live_port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode()
        assert head.startswith("HTTP/1.1 403 ")
        assert "application/json" in head
        writer.close()
        assert stub.seen == []


async def test_websockets_reach_a_gateway(run_dir):
    """The live port switches protocols and passes bytes in both directions, also when another gateway is down."""
    gone, here = free_ports(2)
    async with stub_worker(here), front(run_dir, free_ports(1), [gone, here]) as nginx:
        for path in ("/", "/ws", "/v1/stream/asr"):
            reader, writer = await asyncio.open_connection("127.0.0.1", nginx.live_port)
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: a\r\n".encode() + b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
            )
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            assert head.startswith(b"HTTP/1.1 101 ")
            assert await asyncio.wait_for(reader.readexactly(2), 5) == b"hi"
            writer.close()


async def test_without_gateways_the_live_port_answers_503(run_dir):
    """In JSON, not as nginx's own page."""
    async with front(run_dir, free_ports(1)) as nginx, httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{nginx.live_port}/")
        assert_envelope(answer, 503, "server_is_overloaded")
