"""A gateway with a real Redis: what clients are shown as final is in the stream, whatever happens to Redis."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field

import httpx
import numpy as np
import pytest
from redis import Redis
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.clients import PATH, live_server
from tests.collector.vexa_rules import g3_objections
from tests.e2e.test_gateway_process import process
from tests.live import live, tones
from tests.live.backend import Backend, HttpServer

SEGMENTS = "transcription_segments"
SPEAKERS = "speaker_events_relative"
BOT = {"uid": "bot-1", "token": "a-secret-token", "platform": "google_meet", "meeting_id": 8725}
SPEECH = tones.chatter(12, seed=9)


@pytest.fixture(scope="module")
def service():
    """A transcription service that recognises tones."""
    with HttpServer(Backend(delay_s=0.05)) as server:
        yield server.url


@dataclass
class Client:
    """A client of a gateway, and what it was shown."""

    port: int
    segments: dict[tuple[str, str], str] = field(default_factory=dict)

    async def talk(self, pcm, *, speed=10.0, frames=(), **handshake):
        """Send a recording and these text frames; return the close code."""
        async with connect(f"ws://127.0.0.1:{self.port}") as ws:
            await ws.send(live.handshake(**BOT, **handshake))
            listening = asyncio.create_task(self._listen(ws))
            for frame in frames:
                await ws.send(frame)
            for start in range(0, len(pcm), live.CHUNK):
                await ws.send(pcm[start : start + live.CHUNK].astype("<f4").tobytes())
                await asyncio.sleep(live.CHUNK / tones.RATE / speed)
            await ws.send(b"END_OF_AUDIO")
            await listening
            return ws.close_code

    async def _listen(self, ws):
        with contextlib.suppress(ConnectionClosed):
            while True:
                for segment in json.loads(await ws.recv()).get("segments", ()):
                    if segment["completed"]:
                        self.segments[segment["start"], segment["end"]] = segment["text"]

    @property
    def finals(self):
        """What it was shown as final, in order."""
        return [(float(start), float(end), text) for (start, end), text in self.segments.items()]


def look(server):
    """A client that looks at what is there."""
    return Redis.from_url(server.url, decode_responses=True, protocol=2)


def payloads(server):
    """All entries of the transcript stream."""
    with look(server) as redis:
        return [json.loads(fields["payload"]) for _, fields in redis.xrange(SEGMENTS)]


def stored(server):
    """The finals in the stream, each once, in order."""
    found = {
        segment["segment_id"]: segment
        for payload in payloads(server)
        if payload["type"] == "transcription"
        for segment in payload["segments"]
    }
    by_seq = sorted(found.values(), key=lambda segment: segment["seq"])
    assert [segment["seq"] for segment in by_seq] == list(range(len(by_seq)))
    return [(segment["start"], segment["end"], segment["text"]) for segment in by_seq]


def publishing(port):
    """What /health says about it."""
    return httpx.get(f"http://127.0.0.1:{port}/health").json()["publishing"]


async def until(condition, seconds=30.0):
    """Wait for another process."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        await asyncio.sleep(0.05)


def is_complete(server):
    """Has the stream the end of the session, and all finals that it counts?"""
    ends = [payload for payload in payloads(server) if payload["type"] == "session_end"]
    return bool(ends) and len(stored(server)) == ends[-1]["final_count"]


async def test_a_meeting_of_a_bot(redis_server):
    """The finals of the client are those in the stream, and so is who spoke; the logs have nothing of it."""
    speaks = {
        "event_type": "SPEAKER_START",
        "participant_name": "Alice Example",
        "relative_client_timestamp_ms": 5000,
        **BOT,
    }
    frames = [
        json.dumps({"type": "speaker_activity", "payload": speaks}),
        json.dumps({"type": "speaker_activity", "payload": {**speaks, "participant_name": "x" * 60_000}}),
        json.dumps({"type": "speaker_activity", "payload": {**speaks, "participant_name": "\ud800"}}),
        json.dumps({"type": "speaker_activity", "payload": {**speaks, "relative_client_timestamp_ms": float("nan")}}),
        json.dumps({"type": "speaker_activity", "payload": [[]]}),
        json.dumps({"type": "session_control", "payload": {"event": "LEAVING_MEETING", "uid": "random"}}),
    ]
    seconds = np.arange(30 * tones.RATE) / tones.RATE
    pcm = 0.3 * np.sin(2 * np.pi * 440 * seconds) * (1 + np.sin(2 * np.pi * 3 * seconds)) / 2
    with live_server() as address:
        url = f"http://{address[0]}:{address[1]}{PATH}"
        with process(url, REDIS_STREAM_URL=f"{redis_server.url}/{SEGMENTS}") as (gateway, port):
            client = Client(port)
            assert await client.talk(pcm, frames=frames, speed=5.0) == 1000
            await until(lambda: is_complete(redis_server))
            metrics = httpx.get(f"http://127.0.0.1:{port}/metrics").text
            assert publishing(port) == {"connected": True, "backlog": 0}
            gateway.send_signal(signal.SIGTERM)
            _, logged = await asyncio.to_thread(gateway.communicate, timeout=20)
            assert gateway.returncode == 0
    assert stored(redis_server) == client.finals
    assert len("".join(text for *_, text in client.finals).split()) >= 20
    entries = payloads(redis_server)
    assert [entries[0]["type"], entries[-1]["type"]] == ["session_start", "session_end"]
    assert [objection for entry in entries for objection in g3_objections(entry)] == []
    assert all(BOT.items() <= entry.items() for entry in entries)
    end = entries[-1]
    assert (end["final_count"], end["ending"], end["event"]) == (len(client.finals), "end_of_audio", "LEAVING_MEETING")
    with look(redis_server) as redis:
        ((_, event),) = redis.xrange(SPEAKERS)
    assert event["participant_name"] == "Alice Example"
    assert event.items() >= {"uid": "bot-1", "meeting_id": "8725", "relative_client_timestamp_ms": "5000"}.items()
    assert "token" not in event
    assert re.search(r'^wsgw_published_total\{kind="speaker_event"\} 1\.0$', metrics, re.MULTILINE)
    assert re.search(r'^wsgw_publish_dropped_total\{reason="unusable_event"\} 4\.0$', metrics, re.MULTILINE)
    assert "connected to Redis" in logged
    for secret in ("a-secret-token", "Alice", "word00"):
        assert secret not in logged


async def test_drafts_are_published(redis_server, service):
    """Live readers of the session see them, with the finals before them; at the end there is none."""
    with process(service, REDIS_URL=redis_server.url) as (_, port), look(redis_server) as redis:
        subscription = redis.pubsub()
        subscription.psubscribe("tc:session:*")
        await Client(port).talk(SPEECH.pcm)
        await until(lambda: is_complete(redis_server))
        messages = [json.loads(each["data"]) for each in _all(subscription) if each["type"] == "pmessage"]
        connection_id = payloads(redis_server)[0]["connection_id"]
        kept = json.loads(redis.get(f"session:{connection_id}:pending") or "null")
    assert {message["connection_id"] for message in messages} == {connection_id}
    assert any(message["segments"] for message in messages)
    assert messages[-1]["segments"] == []
    assert kept == messages[-1]
    assert [message["after"] for message in messages] == sorted(message["after"] for message in messages)


def _all(subscription):
    while message := subscription.get_message(timeout=0.2):
        yield message


async def test_redis_restarts_empty_during_a_session(redis_server, service):
    """The start and the finals reappear: nothing is missing, and nothing has another id."""
    with process(service, REDIS_URL=redis_server.url) as (_, port):
        client = Client(port)
        talking = asyncio.create_task(client.talk(SPEECH.pcm, speed=2.0))
        await until(lambda: len(client.finals) >= 2 and len(stored(redis_server)) >= 2)
        redis_server.stop(signal.SIGKILL)
        redis_server.empty()
        await asyncio.sleep(1)
        redis_server.start()
        assert await talking == 1000
        await until(lambda: is_complete(redis_server))
    assert stored(redis_server) == client.finals
    assert tones.plain("".join(text for *_, text in client.finals)) == SPEECH.text
    assert "session_start" in {payload["type"] for payload in payloads(redis_server)}


async def test_redis_hangs(redis_server, service):
    """The client gets all of its text meanwhile; afterwards everything is published."""
    with process(service, REDIS_URL=redis_server.url) as (_, port):
        await until(lambda: publishing(port)["connected"])
        os.kill(redis_server.pid, signal.SIGSTOP)
        client = Client(port)
        began_s = time.monotonic()
        assert await client.talk(SPEECH.pcm, speed=4.0) == 1000
        assert tones.plain("".join(text for *_, text in client.finals)) == SPEECH.text
        assert publishing(port)["backlog"] > 0
        await asyncio.sleep(max(0.0, 5 - (time.monotonic() - began_s)))
        assert publishing(port)["connected"] is False
        os.kill(redis_server.pid, signal.SIGCONT)
        await until(lambda: is_complete(redis_server))
    assert stored(redis_server) == client.finals


async def test_a_full_redis(redis_server, service, tmp_path):
    """Entries are on disk until it has room; the client notices nothing."""
    with look(redis_server) as redis:
        redis.config_set("maxmemory", "1kb")
        with process(service, REDIS_URL=redis_server.url, REDIS_SPOOL_DIR=str(tmp_path / "spool")) as (_, port):
            client = Client(port)
            assert await client.talk(SPEECH.pcm) == 1000
            await until(lambda: publishing(port)["spooled_bytes"] > 0 and publishing(port)["backlog"] == 0)
            assert payloads(redis_server) == []
            redis.config_set("maxmemory", "0")
            await until(lambda: is_complete(redis_server))
            await until(lambda: publishing(port)["spooled_bytes"] == 0)
    assert stored(redis_server) == client.finals
    assert tones.plain("".join(text for *_, text in client.finals)) == SPEECH.text


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
async def test_the_spool_outlives_the_gateway(redis_server, service, tmp_path, number):
    """A gateway that ends while Redis is away leaves its finals to the next one."""
    environment = {"REDIS_URL": redis_server.url, "REDIS_SPOOL_DIR": str(tmp_path / "spool")}
    redis_server.stop()
    with process(service, **environment) as (gateway, port):
        client = Client(port)
        assert await client.talk(SPEECH.pcm) == 1000
        await until(lambda: publishing(port)["spooled_bytes"] > 0 and publishing(port)["backlog"] == 0)
        gateway.send_signal(number)
        await asyncio.to_thread(gateway.communicate, timeout=20)
        assert gateway.returncode == (0 if number is signal.SIGTERM else -9)
    redis_server.start()
    with process(service, **environment):
        await until(lambda: is_complete(redis_server))
        await until(lambda: not list((tmp_path / "spool").glob("spool-*")))
    assert stored(redis_server) == client.finals


async def test_a_client_that_is_killed(redis_server, service):
    """Its session ends with what was final by then."""
    with process(service, REDIS_URL=redis_server.url) as (_, port):
        async with connect(f"ws://127.0.0.1:{port}") as ws:
            await ws.send(live.handshake(**BOT))
            await ws.send(SPEECH.pcm.astype("<f4").tobytes())
            await until(lambda: len(payloads(redis_server)) > 1)
            ws.transport.abort()
        await until(lambda: is_complete(redis_server))
    end = payloads(redis_server)[-1]
    assert (end["type"], end["ending"]) == ("session_end", "left")


def test_a_folder_that_cannot_be_used(redis_server, service, tmp_path):
    """Stops the start with one line and status 2."""
    (tmp_path / "file").touch()
    done = subprocess.run(
        [sys.executable, "-m", "app", "streaming", "--port", "0"],
        # On a busy machine asyncio's debug mode logs slow callbacks.
        env={
            **os.environ,
            "PYTHONASYNCIODEBUG": "",
            "REDIS_URL": redis_server.url,
            "REDIS_SPOOL_DIR": str(tmp_path / "file"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("REDIS_SPOOL_DIR=")
    assert len(done.stderr.splitlines()) == 1


def test_without_a_redis_its_library_is_not_imported():
    """A gateway that stores nothing does not need it."""
    script = (
        "import asyncio, sys\n"
        "from app.commands.streaming import publishing\n"
        "from app.live.metrics import GatewayMetrics\n"
        "from app.settings.gateway import load_gateway_settings\n"
        "async def main():\n"
        "    async with publishing(load_gateway_settings(), GatewayMetrics()) as publisher:\n"
        "        assert publisher is None\n"
        "asyncio.run(main())\n"
        "assert 'redis' not in sys.modules\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REDIS")}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, timeout=60)
