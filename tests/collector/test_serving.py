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
