"""A meeting for tests of the API: entries as the wire modules read them, and a client of the application."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import httpx

from app.collector.api.app import create_app
from app.collector.facts import Entry, Fact, Revision, Room, SegmentFact, Segments, SessionStart
from app.collector.services import Services
from app.collector.storage import Storage
from app.contracts.collector import SEGMENTS_STREAM

START_MS: Final = 1_771_147_203_101  # 2026-02-15T09:20:03.101Z
ROOM: Final = Room(platform="google_meet", native_id="zqe-gfmd-knr")
PATH: Final = "/transcripts/google_meet/zqe-gfmd-knr"
# Longer than a page of the store that an answer reads, so that streaming is exercised.
MANY: Final = 1203


def entry(at_ms: int, *facts: Fact, room: Room = ROOM, session: str = "c1") -> Entry:
    """An entry that came so many ms after the meeting's first second."""
    return Entry(SEGMENTS_STREAM, Revision(START_MS + at_ms, 0), room, session, f"uid-{session}", session, facts)


def segment(number: int, text: str, *, completed: bool = True, speaker: str | None = "Alice") -> Segments:
    """The segment of this number; each takes two seconds."""
    fact = SegmentFact(
        key=f"c1:{number}",
        has_id=True,
        text=text,
        completed=completed,
        start_ms=number * 2000,
        end_ms=number * 2000 + 1900,
        language="en",
        speaker=speaker,
    )
    return Segments((fact,))


async def say(store: Storage, *texts: str, room: Room = ROOM, session: str = "c1") -> None:
    """Store a meeting with these finals."""
    start = SessionStart(START_MS)
    finals = (segment(number, text) for number, text in enumerate(texts))
    entries = [entry(1 + number, fact, room=room, session=session) for number, fact in enumerate(finals)]
    await store.apply([entry(0, start, room=room, session=session), *entries])


async def say_much(store: Storage) -> None:
    """Store a meeting that is longer than one page."""
    await say(store, *(f"Word {number:05d}." for number in range(MANY)))


def client(
    services: Services, *, key: str | None = None, headers: Mapping[str, str] | None = None
) -> httpx.AsyncClient:
    """A client of the application over these services."""
    transport = httpx.ASGITransport(create_app(services))
    sent = {**(headers or {}), **({"X-API-Key": key} if key else {})}
    return httpx.AsyncClient(transport=transport, base_url="http://collector", headers=sent)
