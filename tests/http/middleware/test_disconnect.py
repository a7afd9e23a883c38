from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message

from app.core.errors import Cancelled
from app.http.middleware.disconnect import cancel_on_disconnect


class Line:
    """A client that stays until it hangs up."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def receive(self) -> Message:
        """Wait for the end."""
        await self.gone.wait()
        return {"type": "http.disconnect"}


async def test_work_of_a_client_that_stays_is_answered():
    """The result of the work is returned unchanged."""

    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    assert await cancel_on_disconnect(Line().receive, work()) == 7


async def test_errors_of_the_work_are_raised_as_they_are():
    """An exception of the work is raised unchanged."""

    async def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await cancel_on_disconnect(Line().receive, work())


async def test_work_has_ended_when_a_client_that_left_is_reported():
    """When Cancelled is raised, the work's `finally` blocks have run."""
    line, freed = Line(), asyncio.Event()

    async def work() -> None:
        line.gone.set()
        try:
            await asyncio.sleep(3600)
        finally:
            freed.set()

    with pytest.raises(Cancelled):
        await cancel_on_disconnect(line.receive, work())
    assert freed.is_set()
