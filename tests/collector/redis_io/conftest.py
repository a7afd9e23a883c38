"""A client of the test's own Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.collector.redis_io.connection import Client, connect
from tests.servers import RedisServer


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Client]:
    """Connected to an empty Redis."""
    async with connect(redis_server.url) as client:
        yield client
