"""The collector as people run it: `python -m app collect`, its exit codes, and what signals do to it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from app.collector.redis_io.connection import Client, connect
from app.collector.store.store import Store
from app.commands.collect import bind
from app.contracts.collector import CONSUMER_GROUP, SEGMENTS_STREAM, SPEAKER_EVENTS_STREAM
from app.settings.collector import CollectorSettings
from tests.collector.plain_entries import dead, pending
from tests.servers import RedisServer, free_port

APP = [sys.executable, "-W", "error", "-m", "app"]
SESSION = {
    "platform": "google_meet",
    "meeting_id": 8725,
    "uid": "6f1c",
    "session_uid": "6f1c",
    "connection_id": "01JQ8Z",
}
START = {"type": "session_start", "start_timestamp": "2026-02-15T09:20:03.101Z"}
FINAL = {
    "segment_id": "01JQ8Z:0",
    "seq": 0,
    "start": 0.0,
    "end": 3.2,
    "text": " Hello everyone.",
    "language": "en",
    "completed": True,
    "absolute_start_time": "2026-02-15T09:20:03.101Z",
    "absolute_end_time": "2026-02-15T09:20:06.301Z",
}
END = {"type": "session_end", "end_timestamp": "2026-02-15T10:02:11.000Z", "final_count": 1}


@dataclass
class Collector:
    """A running `python -m app collect`."""

    process: subprocess.Popen[bytes]
    port: int

    async def ends(self) -> int:
        """Its exit status."""
        return await asyncio.to_thread(self.process.wait, 30)

    async def stop(self) -> int:
        """Send SIGTERM; return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return await self.ends()

    async def is_ready(self) -> bool:
        """What its probe says."""
        assert self.process.poll() is None, "the collector ended"
        try:
            async with httpx.AsyncClient() as http:
                return (await http.get(f"http://127.0.0.1:{self.port}/health/ready")).is_success
        except httpx.TransportError:
            return False


@asynccontextmanager
async def collector(redis: str, database: str, **environment: str) -> AsyncIterator[Collector]:
    """A process that is killed at the end if it still runs."""
    port = free_port()
    settings = {"REDIS_URL": redis, "DATABASE_URL": database, "LOG_LEVEL": "debug", "PYTHONASYNCIODEBUG": "1"}
    with tempfile.TemporaryFile("w+") as log:  # a pipe that nobody reads would fill up and block the process
        process = subprocess.Popen(  # noqa: ASYNC220 - starting a process takes a millisecond
            [*APP, "collect", "--port", str(port)], env={**os.environ, **settings, **environment}, stderr=log
        )
        try:
            yield Collector(process, port)
        finally:
            process.kill()
            process.wait()
            log.seek(0)
            written = log.read()
            print(written)  # noqa: T201 - shown when the test fails
        assert "Hello everyone" not in written
        assert "Traceback" not in written


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait for another process."""
    async with asyncio.timeout(30):
        while not await holds():
            await asyncio.sleep(0.02)


async def add(redis: Client, *bodies: dict[str, Any]) -> None:
    """Add entries of one session."""
    for body in bodies:
        await redis.xadd(SEGMENTS_STREAM, {"payload": json.dumps({"token": "T", **SESSION, **body})})


async def texts(store: Store) -> list[str]:
    """What is stored of the meeting."""
    return [row.text for row in (await store.segments(8725, limit=None)).items]


async def make_claimable(redis: Client) -> None:
    """Let 60 s pass for every delivery that was not acknowledged."""
    found: Any = await redis.xpending_range(SEGMENTS_STREAM, CONSUMER_GROUP, "-", "+", 1000)
    for each in found:
        await redis.xclaim(
            SEGMENTS_STREAM, CONSUMER_GROUP, each["consumer"], 0, [each["message_id"]], idle=60_000, justid=True
        )


async def test_a_meeting_is_stored(redis_server: RedisServer, database_url: str):
    """Start, final, end, a speaker event and an entry that is none; SIGTERM exits with 0, nothing left pending."""
    async with connect(redis_server.url) as redis, collector(redis_server.url, database_url) as running:
        await until(running.is_ready)
        store = await Store.open(database_url, migrate="off")
        event = {
            "event_type": "SPEAKER_START",
            "participant_name": "Alice",
            "relative_client_timestamp_ms": "0",
            "uid": "6f1c",
            "platform": "google_meet",
            "meeting_id": "8725",
        }
        await redis.xadd(SPEAKER_EVENTS_STREAM, event)  # type: ignore[arg-type]  # redis-py's dict is invariant
        await redis.xadd(SEGMENTS_STREAM, {"payload": "no JSON"})
        await add(redis, START, {"type": "transcription", "segments": [FINAL]}, END)

        async def is_stored() -> bool:
            return await texts(store) == ["Hello everyone."] and await pending(redis, CONSUMER_GROUP) == 0

        await until(is_stored)
        (row,) = (await store.segments(8725, limit=None)).items
        assert (row.abs_start_ms, row.abs_end_ms, row.completed) == (1_771_147_203_101, 1_771_147_206_301, True)
        assert row.speaker == "Alice"
        assert [letter["payload"] for letter in await dead(redis)] == ["no JSON"]
        await add(redis, {"type": "transcription", "segments": [FINAL | {"segment_id": "01JQ8Z:1", "text": "Last."}]})
        assert await running.stop() == 0
        assert await pending(redis, CONSUMER_GROUP) == 0
        assert await redis.xinfo_consumers(SEGMENTS_STREAM, CONSUMER_GROUP) == []
        await store.close()


async def test_kill_between_commit_and_acknowledgement(redis_server: RedisServer, database_url: str):
    """What was stored and not acknowledged is delivered to the next collector, and is there once."""
    async with connect(redis_server.url) as redis:
        async with collector(redis_server.url, database_url, COLLECTOR_FAILPOINT="after_commit") as running:
            await until(running.is_ready)
            await add(redis, START, {"type": "transcription", "segments": [FINAL]})
            assert await running.ends() == -signal.SIGKILL
        store = await Store.open(database_url, migrate="off")
        assert await pending(redis, CONSUMER_GROUP) > 0
        await make_claimable(redis)
        async with collector(redis_server.url, database_url) as running:

            async def is_done() -> bool:
                return await pending(redis, CONSUMER_GROUP) == 0 and await texts(store) == ["Hello everyone."]

            await until(is_done)
            meeting = await store.meeting_by_id(1, 8725)
            assert meeting is not None
            assert await running.stop() == 0
        await store.close()


async def test_kill_and_restart_lose_nothing(redis_server: RedisServer, database_url: str):
    """`kill -9` under load, again and again: every final is in the database once."""
    expected = [f"word {n}" for n in range(300)]
    finals = [FINAL | {"segment_id": f"01JQ8Z:{n}", "seq": n, "text": text} for n, text in enumerate(expected)]
    store = None
    async with connect(redis_server.url) as redis:
        for first in range(0, 300, 100):
            async with collector(redis_server.url, database_url) as running:
                await until(running.is_ready)
                store = store or await Store.open(database_url, migrate="off")
                for final in finals[first : first + 100]:
                    await add(redis, {"type": "transcription", "segments": [final]})
                running.process.kill()
                await running.ends()
            await make_claimable(redis)
        assert store is not None
        async with collector(redis_server.url, database_url) as running:

            async def is_done() -> bool:
                return await pending(redis, CONSUMER_GROUP) == 0 and len(await texts(store)) == 300

            await until(is_done)
            assert sorted(await texts(store)) == sorted(expected)
            assert await running.stop() == 0
        await store.close()


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"COLLECTOR_HOST": "0.0.0.0"}, "COLLECTOR_API_KEYS is empty"),  # noqa: S104 - what is refused
        ({"TRUST_X_USER_ID": "true"}, "needs INTERNAL_API_SECRET"),
        ({"DATABASE_URL": "mysql://x"}, "DATABASE_URL=(hidden) is not allowed"),
        ({"COLLECTOR_FAILPOINT": "somewhere"}, "COLLECTOR_FAILPOINT=somewhere is not allowed"),
    ],
)
def test_start_is_refused(environment: dict[str, str], words: str, tmp_path: Any):
    """One line on standard error and exit status 2."""
    settings = {"COLLECTOR_PORT": str(free_port()), "DATABASE_URL": f"sqlite:///{tmp_path}/c.db", "REDIS_PORT": "1"}
    done = subprocess.run(
        [*APP, "collect"],
        env={**os.environ, **settings, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert words in line


async def test_a_stored_key_is_enough(redis_server: RedisServer, database_url: str):
    """It lets the collector listen everywhere, and nobody reads without a key, also on this machine."""
    store = await Store.open(database_url)
    digest = hashlib.sha256(b"stored").hexdigest()
    await store.create_key(1, digest, prefix="", name="", scopes=frozenset({"read"}), expires_ms=None, now_ms=0)
    await store.close()
    for host in ("0.0.0.0", "127.0.0.1"):  # noqa: S104 - what is allowed
        async with (
            collector(redis_server.url, database_url, COLLECTOR_HOST=host) as running,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{running.port}") as http,
        ):
            await until(running.is_ready)
            assert (await http.get("/meetings")).status_code == 403
            assert (await http.get("/meetings", headers={"X-API-Key": "stored"})).status_code == 200
            assert await running.stop() == 0


def test_taken_port_is_told(tmp_path: Any):
    """Exit status 1 and the address."""
    import socket  # noqa: PLC0415 - only here

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        settings = {"COLLECTOR_PORT": port, "DATABASE_URL": f"sqlite:///{tmp_path}/c.db"}
        done = subprocess.run(
            [*APP, "collect"], env={**os.environ, **settings}, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr


def test_answers_are_sent_at_once():
    """Accepted connections do not wait for the acknowledgement of a first part before they send the second."""
    import socket  # noqa: PLC0415 - as above

    listener = bind(CollectorSettings(_env_file=None, collector_port=0))
    with listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


async def test_a_key_is_made(database_url: str):
    """It is printed once, and the database knows its hash, owner and scopes."""
    command = [*APP, "collector", "token", "create", "--owner", "1", "--scopes", "read,delete", "--days", "1"]
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        env={**os.environ, "DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        check=True,
    )
    key = done.stdout.strip()
    store = await Store.open(database_url)
    found = await store.key(hashlib.sha256(key.encode()).hexdigest(), now_ms=0)
    await store.close()
    assert found is not None
    assert (found.owner_id, found.scopes) == (1, frozenset({"read", "delete"}))
