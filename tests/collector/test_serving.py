from __future__ import annotations

import asyncio
import signal
import socket

import httpx

from app.collector.api.app import create_app
from app.collector.serving import build_server
from tests.collector.fakes import services


async def test_server_answers_and_leaves_signals_alone():
    """It serves on a bound socket until stopped, and installs no signal handler."""
    before = signal.getsignal(signal.SIGTERM)
    listener = socket.create_server(("127.0.0.1", 0))
    server = build_server(create_app(services()))
    running = asyncio.create_task(server.run_on(listener))
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{listener.getsockname()[1]}/health/live")
    assert answer.json() == {"status": "live"}
    assert "server" not in answer.headers
    assert signal.getsignal(signal.SIGTERM) is before
    server.stop()
    await running


async def test_head_has_the_length_and_no_body():
    """The server does not miss the body whose length a HEAD answer announces."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = build_server(create_app(services()))
    running = asyncio.create_task(server.run_on(listener))
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.getsockname()[1])
    for path in ("/assets/app.js", "/health/live"):  # on one connection
        writer.write(f"HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert head.startswith(b"HTTP/1.1 200")
        assert b"content-length: 0" not in head
    writer.close()
    server.stop()
    await running
