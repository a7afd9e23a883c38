"""Checks 23, 24 and 36: long meetings, counted finals, and many meetings at once."""

from __future__ import annotations

import time
from typing import Any

from bench.collector.generator import Generator
from bench.collector.words import Talk, differences
from tests.collector.checks.system import System, new_meeting, until
from tests.collector.wire.entries import SIGNING_KEY, meeting_token

HOUR_MS = 3_600_000


async def test_23_a_meeting_outlives_its_token(system: System):
    """Three hours with a token for two: everything is stored. A forged token: nothing, but a dead letter."""
    collector = await system.start(MEETING_TOKEN_SECRET=SIGNING_KEY)
    started_ms = int(time.time() * 1000) - 4 * HOUR_MS
    number, forged_number = new_meeting(), new_meeting()
    claims: Any = {"iat": started_ms // 1000, "exp": started_ms // 1000 + 7200, "user_id": 1}
    talk = Talk(number, started_ms, token=meeting_token(meeting_id=number, **claims))
    forged = Talk(forged_number, started_ms, token=meeting_token("x" * 40, meeting_id=forged_number, **claims))
    await system.add(talk.start(), at_ms=started_ms)
    for half_hour in range(7):
        await system.add(talk.final(half_hour), forged.final(half_hour), at_ms=started_ms + half_hour * HOUR_MS // 2)
    late = Talk(new_meeting(), started_ms, token=talk.token)
    late_session = late.start() | {"meeting_id": number, "uid": "new", "session_uid": "new", "connection_id": "new"}
    await system.add(late_session)  # a new session after the token's end
    await system.settled(within_s=75)  # a refusal of an expired token is tried again after 30 s
    assert await collector.texts(number) == [talk.word(n) for n in range(7)]
    assert await collector.texts(forged_number) == []
    dead = await system.dead()
    assert len(dead) == 8
    assert [letter["error"] for letter in dead[:7]] == ["the token is signed with another secret"] * 7
    assert "expired" in dead[7]["error"]


async def test_24_a_final_is_missing(system: System):
    """The session counted one more than came: the meeting is not complete, and the metric says so, until it comes."""
    collector = await system.start()
    talk = Talk(new_meeting(), 1_771_147_203_101)
    finals = [talk.final(number) for number in range(184)]
    withheld = finals.pop(100)
    await system.add(talk.start(), *finals, talk.end(184), at_ms=int(time.time() * 1000) - 10_000)
    await system.settled()
    assert (await collector.transcript(talk.meeting))["complete"] is False
    await collector.stop()
    await collector.start()  # it looks for missing finals at once, and then every 30 s

    async def is_counted() -> bool:
        return await collector.metric("collector_missing_segments_total") == 1

    await until(is_counted)
    await system.add(withheld)
    await system.settled()
    transcript = await collector.transcript(talk.meeting)
    assert transcript["complete"] is True
    assert [each["text"] for each in transcript["segments"]] == [talk.word(number) for number in range(184)]


async def test_36_a_hundred_meetings_at_once(system: System):
    """Every meeting is complete and in order; `python -m bench.collector steady` lasts 10 minutes and measures."""
    collector = await system.start()
    talks = [Talk(new_meeting(), 1_771_147_203_101) for _ in range(100)]
    generator = Generator(system.redis_url, talks)
    await generator.start()
    await generator.talk(rate=300, seconds=4)
    await generator.end()
    await system.settled()
    assert generator.oracle.count == 1200
    expected = generator.oracle.words
    shown = {meeting: await collector.transcript(meeting) for meeting in expected}
    found = {meeting: [each["text"] for each in body["segments"]] for meeting, body in shown.items()}
    assert differences(expected, found) == []
    assert {body["complete"] for body in shown.values()} == {True}
    await generator.close()
