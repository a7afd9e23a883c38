"""Check 39: a meeting is deleted while entries of it are queued and pending."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

from app.contracts.collector import SEGMENTS_STREAM
from bench.collector import streams
from bench.collector.words import Talk
from tests.collector.checks.databases import contents
from tests.collector.checks.system import System, new_meeting, until

WORD = "xylophonequartz"
KEY = {"X-API-Key": "the-key-of-owner-1"}


async def copies(system: System) -> list[str]:
    """Where the secret word still is."""
    found = ["database"] if WORD.encode() in contents(system.database_url) else []
    for stream in (*streams.STREAMS, f"{SEGMENTS_STREAM}:dead"):
        entries: Any = await system.redis.xrange(stream)
        found += [f"{stream} {id_}" for id_, fields in entries if WORD in str(fields)]
    return found


def secret(talk: Talk, number: int, **changes: Any) -> dict[str, Any]:
    """A final with the word that must go."""
    return talk.final(number) | {"segments": [talk.segment(number) | {"text": f"{WORD} {number}", **changes}]}


async def test_39_deleted_while_entries_wait(system: System):
    """The text is gone from the database and its index, the streams and the dead letters, and does not come back."""
    talk, kept = Talk(new_meeting(), int(time.time() * 1000)), Talk(new_meeting(), int(time.time() * 1000))
    await system.withhold(secret(talk, 7))  # pending: delivered to somebody who is gone
    collector = await system.start(COLLECTOR_API_KEYS=KEY["X-API-Key"])
    collector.http.headers.update(KEY)
    await system.add(talk.start(), kept.start(), kept.final(0), secret(talk, 0), secret(talk, 1), secret(talk, 0))
    await system.add(secret(talk, 2, completed=False), secret(talk, 3) | {"segments": {WORD: 1}})
    room = f"/meetings/google_meet/{talk.meeting}"
    await until(lambda: _count(system, 1))
    refused = await collector.http.delete(room)
    assert refused.status_code == 409
    assert refused.json()["detail"].endswith("Current status: active")
    assert (await collector.http.post(f"{room}/end")).json()["status"] == "completed"
    assert len((await collector.http.get("/search", params={"q": WORD})).json()["hits"]) >= 2
    places = await copies(system)
    assert any("database" in each for each in places)
    assert any(":dead" in each for each in places)
    made = subprocess.run(  # noqa: ASYNC221 - takes a second
        [sys.executable, "-m", "app", "collector", "token", "create", "--owner", "2", "--scopes", "read,write,delete"],
        env={**_environment(), "DATABASE_URL": system.database_url},
        capture_output=True,
        text=True,
        check=True,
    )
    stranger = {"X-API-Key": made.stdout.strip()}
    assert (await collector.http.delete(room, headers=stranger)).status_code == 404

    deleted = await collector.http.delete(room)
    assert deleted.status_code == 200
    assert (await collector.http.get(f"/transcripts/google_meet/{talk.meeting}")).status_code == 404
    await system.add(secret(talk, 4), secret(talk, 0))  # queued: the producer goes on

    async def is_gone() -> bool:
        await streams.age_deliveries(system.redis)
        return not await copies(system)

    await until(is_gone, within_s=30)
    again = await collector.http.delete(room)
    assert (again.status_code, again.json()) == (200, deleted.json())
    await collector.stop()
    await collector.start()
    await system.settled()
    assert await copies(system) == []
    assert (await collector.http.get("/search", params={"q": WORD})).json()["hits"] == []
    assert (await collector.http.get(f"/transcripts/by-id/{talk.meeting}")).status_code == 404
    assert await collector.texts(kept.meeting) == [kept.word(0)]
    assert WORD not in collector.log


async def _count(system: System, letters: int) -> bool:
    return len(await system.dead()) >= letters


def _environment() -> dict[str, str]:
    import os  # noqa: PLC0415 - only here

    return {name: value for name, value in os.environ.items() if not name.startswith(("REDIS", "COLLECTOR"))}
