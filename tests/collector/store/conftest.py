"""A store on each kind of database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.collector.store.store import Store


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """An empty store; the test runs once on each kind of database."""
    opened = await Store.open(database_url)
    yield opened
    await opened.close()
