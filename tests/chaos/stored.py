"""Read from the collector what it has stored of the live clients' meetings. Async (aiohttp)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

import aiohttp

from tests.chaos.finals import Final, final_of
from tests.chaos.speakers import PLATFORM

CATCH_UP_S = 60.0
NOT_FOUND = 404
TOO_MANY = 429


async def stored_finals(session: aiohttp.ClientSession, url: str, rooms: Iterable[str]) -> list[Final]:
    """Return every final of these meetings, as often as it is stored.

    Raises:
        aiohttp.ClientError: the collector does not answer as it must.
    """
    return [final for room in rooms for final in await _finals_of(session, f"{url}/transcripts/{PLATFORM}/{room}")]


async def wait_until_stored(
    session: aiohttp.ClientSession, url: str, rooms: Iterable[str], wanted: set[Final]
) -> list[Final]:
    """Return what is stored as soon as it holds everything that is wanted, or after `CATCH_UP_S`."""
    rooms = tuple(rooms)
    give_up_s = time.monotonic() + CATCH_UP_S
    while True:
        stored = await stored_finals(session, url, rooms)
        if wanted <= set(stored) or time.monotonic() > give_up_s:
            return stored
        await asyncio.sleep(1.0)


async def _finals_of(session: aiohttp.ClientSession, address: str) -> list[Final]:
    finals: list[Final] = []
    parameters = {"raw": "true", "limit": "1000"}
    while True:
        async with session.get(address, params=parameters) as response:
            if response.status == NOT_FOUND:  # nothing was said
                return finals
            if response.status == TOO_MANY:  # nginx limits the requests of one address
                await asyncio.sleep(float(response.headers["Retry-After"]))
                continue
            response.raise_for_status()
            page = await response.json()
        finals += [
            final_of(each["session_uid"], each["start"], each["end"], each["text"])
            for each in page["segments"]
            if each["completed"]
        ]
        if not page["next_cursor"]:
            return finals
        parameters["cursor"] = page["next_cursor"]
