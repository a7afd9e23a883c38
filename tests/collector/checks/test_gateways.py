"""Checks 7 to 9, 31 and 33: real gateways between live clients and the collector."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.contracts.collector import SPEAKER_EVENTS_STREAM
from bench.collector.collector import Collector
from tests.collector.checks.live_client import LiveSocket
from tests.collector.checks.speaker import Bot
from tests.collector.checks.system import System, new_meeting, until
from tests.collector.vexa_rules import g1a_objections, g1b_objections, g2_objections, g3_objections
from tests.collector.wire.entries import SIGNING_KEY, meeting_token
from tests.e2e.test_gateway_process import process
from tests.e2e.worker import Worker, start
from tests.live import tones
from tests.live.backend import Backend, HttpServer
from tests.servers import RedisServer

TOKEN = "a-token-of-a-bot"  # noqa: S105 - must not be logged
SPEECH = tones.chatter(12, seed=9)


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    """A real worker whose fake model recognizes one numbered word for each second."""
    with start(MODEL_SIZE="fake") as running:
        running.wait_ready()
        yield running


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """A transcription service that recognizes tones."""
    with HttpServer(Backend(delay_s=0.05)) as server:
        yield server.url


def sound(seconds: int) -> Any:
    """Something that is not silence."""
    at = np.arange(seconds * tones.RATE) / tones.RATE
    return 0.3 * np.sin(2 * np.pi * 440 * at) * (1 + np.sin(2 * np.pi * 3 * at)) / 2


async def shows(collector: Collector, meeting: int, bots: list[Bot]) -> bool:
    """Are the finals of each bot those of its session in REST, and is the meeting complete?"""
    try:
        transcript = await collector.transcript(meeting)
    except Exception:  # noqa: BLE001 - there is no such meeting yet
        return False
    stored = {
        bot.uid: [each["text"] for each in transcript["segments"] if each["session_uid"] == bot.uid] for bot in bots
    }
    return transcript["complete"] is True and all(stored[bot.uid] == bot.texts for bot in bots)


async def has_ended(system: System, uid: str) -> bool:
    """Has the session's end been written?"""
    payloads = [json.loads(fields["payload"]) for fields in await system.entries()]
    return any(payload["type"] == "session_end" and payload["uid"] == uid for payload in payloads)


async def test_07_all_of_vexas_collectors_take_our_entries(system: System, service: str):
    """What a real gateway writes passes the rules of four generations, with the token and number of each."""
    token = meeting_token(exp=4_102_444_800)
    for issuer_token, issuer in ((token, "bot-manager"), (meeting_token(iss="meeting-api", exp=4_102_444_800), "api")):
        with process(service, REDIS_URL=system.redis_url) as (_, port):
            bot = Bot(port, f"bot-{issuer}", 8725, token=issuer_token)
            await bot.talk(SPEECH.pcm, speed=10)
            assert bot.words
            await until(lambda: has_ended(system, bot.uid))  # noqa: B023 - awaited within the round
    payloads = [json.loads(fields["payload"]) for fields in await system.entries()]
    assert {payload["type"] for payload in payloads} == {"session_start", "transcription", "session_end"}
    now = datetime.now(UTC)
    for payload in payloads:
        assert g1a_objections(payload, api_tokens={payload["token"]}) == []
        assert g3_objections(payload) == []
        if payload["uid"] == "bot-bot-manager":
            assert g1b_objections(payload, secret=SIGNING_KEY, now=now) == []
        else:
            assert g2_objections(payload, secret=SIGNING_KEY, now=now) == []


async def test_08_a_real_meeting_from_end_to_end(shared_system: System, collector: Collector, worker: Worker):
    """Two bots in one meeting: the words they are shown are those of REST, of the file and of the live push."""
    meeting = new_meeting()
    with process(f"{worker.url}/v1/audio/transcriptions", REDIS_URL=shared_system.redis_url) as (gateway, port):
        ann, bob = (Bot(port, f"{name}-{meeting}", meeting, token=TOKEN) for name in ("ann", "bob"))
        async with LiveSocket(collector.url) as live:
            talking = asyncio.gather(
                ann.talk(sound(24), speed=4, frames=(ann.speaks("START", "Ann Example", 0),)),
                bob.talk(sound(16), speed=4, frames=(bob.speaks("START", "Bob Example", 0),)),
            )
            await until(lambda: _exists(collector, meeting))
            await live.subscribe(meeting)
            await talking
            await until(lambda: shows(collector, meeting, [ann, bob]))
            assert len(ann.words) >= 20
            assert len(bob.words) >= 12
            transcript = await collector.transcript(meeting)
            texts = [each["text"] for each in transcript["segments"]]
            await until(lambda: _same(live, meeting, texts))
        gateway.send_signal(signal.SIGTERM)
        _, logged = await asyncio.to_thread(gateway.communicate, timeout=20)
    speakers = {each["session_uid"]: each["speaker"] for each in transcript["segments"]}
    assert speakers == {ann.uid: "Ann Example", bob.uid: "Bob Example"}
    assert {each["speaker_mapping_status"] for each in transcript["segments"]} == {"MAPPED"}
    srt = (await collector.http.get(f"/transcripts/by-id/{meeting}", params={"format": "srt"})).text
    assert sum(srt.count(word) for word in set(ann.words)) >= len(ann.words)
    assert "Ann Example: " in srt
    for secret in (TOKEN, "Ann Example", ann.words[0]):
        assert secret not in logged
        assert secret not in collector.log


async def _exists(collector: Collector, meeting: int) -> bool:
    return (await collector.http.get(f"/meetings/{meeting}")).status_code == 200


async def _same(live: LiveSocket, meeting: int, texts: list[str]) -> bool:
    return sorted(live.texts(meeting)) == sorted(texts)


async def test_09_speaker_events_of_a_bot(shared_system: System, service: str):
    """They arrive flat, as text, with the handshake's names and without its token."""
    meeting = new_meeting()
    with process(service, REDIS_URL=shared_system.redis_url) as (_, port):
        bot = Bot(port, f"bot-{meeting}", meeting, token=TOKEN)
        frames = (bot.speaks("START", "Ann Example", 5000), bot.speaks("END", "Ann Example", 7000))
        await bot.talk(SPEECH.pcm, speed=10, frames=frames)
    events = await shared_system.entries(SPEAKER_EVENTS_STREAM)
    ours = [fields for fields in events if fields["uid"] == bot.uid]
    assert [fields["relative_client_timestamp_ms"] for fields in ours] == ["5000", "7000"]
    for fields in ours:
        assert fields.items() >= {"participant_name": "Ann Example", "meeting_id": str(meeting)}.items()
        assert fields["event_type"] in {"SPEAKER_START", "SPEAKER_END"}
        assert "token" not in fields
        assert TOKEN not in json.dumps(fields)


async def test_31_redis_is_restarted_empty(system: System, redis_server: RedisServer, service: str):
    """In the middle of a live session: the gateway sends its last two minutes again; nothing is lost or doubled."""
    meeting = new_meeting()
    collector = await system.start()
    with process(service, REDIS_URL=system.redis_url) as (_, port):
        bot = Bot(port, "bot", meeting)
        talking = asyncio.create_task(bot.talk(SPEECH.pcm, speed=2))

        async def has_stored_some() -> bool:
            return len(await collector.texts(meeting)) >= 2

        await until(has_stored_some)
        before = await collector.texts(meeting)
        await asyncio.to_thread(redis_server.stop, signal.SIGKILL)
        redis_server.empty()
        await asyncio.sleep(1)
        await asyncio.to_thread(redis_server.start)
        await talking
        await until(lambda: shows(collector, meeting, [bot]))
    assert await collector.texts(meeting) == bot.texts
    assert bot.texts[: len(before)] == before
    assert tones.plain(" ".join(bot.texts)) == SPEECH.text
    assert await collector.metric("collector_segments_total", kind="same") >= len(before), "nothing was sent again"


async def test_33_redis_is_full(system: System, service: str, tmp_path: Path):
    """The gateway keeps entries on disk, clients see their text, and everything is stored once there is room."""
    meeting = new_meeting()
    collector = await system.start()
    await system.redis.config_set("maxmemory", "1kb")
    with process(service, REDIS_URL=system.redis_url, REDIS_SPOOL_DIR=str(tmp_path / "spool")) as (_, port):
        bot = Bot(port, "bot", meeting)
        await bot.talk(SPEECH.pcm, speed=10)
        assert tones.plain(" ".join(bot.texts)) == SPEECH.text
        assert await collector.texts(meeting) == []
        await system.redis.config_set("maxmemory", "0")
        await until(lambda: shows(collector, meeting, [bot]))
    assert await collector.texts(meeting) == bot.texts
