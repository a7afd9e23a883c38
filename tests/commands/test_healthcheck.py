from __future__ import annotations

import asyncio

from app.commands.healthcheck import main
from tests.cluster.ports import free_ports
from tests.cluster.stub_worker import stub_worker


async def test_a_healthy_server_is_exit_code_0():
    """200 gives exit code 0, any other status 1."""
    port = free_ports(1)[0]
    async with stub_worker(port) as worker:
        worker.mode = "busy"
        assert await asyncio.to_thread(main, [], {"PORT": str(port)}) == 0
        assert await asyncio.to_thread(main, ["/health/ready"], {"PORT": str(port)}) == 0
        assert await asyncio.to_thread(main, ["/other"], {"PORT": str(port)}) == 1


def test_a_refused_connection_is_exit_code_1():
    """No server listens there: no traceback."""
    assert main([], {"PORT": str(free_ports(1)[0])}) == 1
