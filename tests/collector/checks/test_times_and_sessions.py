"""Checks 14, 18, 20 and 21: sessions, their first seconds, and drafts that nobody finishes."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.collector.collector import Collector
from bench.collector.words import Talk
from tests.collector.checks.live_client import LiveSocket
from tests.collector.checks.system import System, new_meeting, says, until
from tests.collector.wire.entries import G1_SEGMENTS, G1_START

SHIFTED_APP = str(Path(__file__).with_name("shifted_app.py"))


def unix_ms(iso: str) -> int:
    """A time of the API."""
    return round(datetime.fromisoformat(iso).timestamp() * 1000)


async def test_14_a_producer_dies_with_a_draft(system: System):
    """After DRAFT_PROMOTE_S without news the draft is final, and marked as promoted."""
    number = new_meeting()
    collector = await system.start(DRAFT_PROMOTE_S="1")
    draft = {"start": "3.200", "end": "4.100", "text": "We are", "completed": False}
    await system.add(G1_START | {"meeting_id": number}, G1_SEGMENTS | {"meeting_id": number, "segments": [draft]})
    await system.settled()
    assert await collector.texts(number) == []
    await until(lambda: says(collector, number, ["We are"]), within_s=10)
    (segment,) = (await collector.transcript(number))["segments"]
    assert (segment["completed"], segment["promoted"]) == (True, True)
    assert await collector.metric("collector_promoted_total") == 1


async def test_18_a_session_reconnects(shared_system: System, collector: Collector):
    """Two sessions from second 0, ten minutes apart: nothing is overwritten, and files do not interleave them."""
    number, start_ms = new_meeting(), 1_771_147_203_101
    first, second = Talk(number, start_ms, 0), Talk(number, start_ms + 600_000, 1)
    await shared_system.add(second.start(), *(second.final(n) for n in range(3)))
    await shared_system.add(first.start(), *(first.final(n) for n in range(3)))
    await shared_system.settled()
    words = [talk.word(n) for talk in (first, second) for n in range(3)]
    assert await collector.texts(number) == words
    srt = (await collector.http.get(f"/transcripts/by-id/{number}", params={"format": "srt"})).text
    assert [line for line in srt.splitlines() if "w0" in line] == words
    times = [line.split(" --> ")[0] for line in srt.splitlines() if "-->" in line]
    assert times == ["00:00:00,000", "00:00:02,000", "00:00:04,000", "00:10:00,000", "00:10:02,000", "00:10:04,000"]


async def test_20_a_session_start_that_comes_late(system: System):
    """The segment is shown at once with an estimated time; the start corrects it, raises seq and is pushed."""
    collector = await system.start()
    number, entry_ms = new_meeting(), int(time.time() * 1000)
    talk = Talk(number, entry_ms - 60_000)
    segment: dict[str, Any] = {**talk.segment(0)}
    del segment["absolute_start_time"], segment["absolute_end_time"]
    await system.add(talk.final(0) | {"segments": [segment]}, at_ms=entry_ms)
    await until(lambda: says(collector, number, [talk.word(0)]), within_s=5)
    before = await collector.transcript(number)
    estimated_ms = unix_ms(before["segments"][0]["absolute_start_time"])
    assert estimated_ms == entry_ms - 1900  # the entry came when its last word had been said
    async with LiveSocket(collector.url) as live:
        await live.subscribe(number, since_seq=before["seq"])
        await system.add(talk.start(), at_ms=entry_ms + 20_000)
        await until(lambda: live.shows(number, [talk.word(0)]))
        corrected = live.segments[number][f"{talk.connection_id}:0"]
    assert unix_ms(corrected["absolute_start_time"]) == talk.start_ms
    after = await collector.transcript(number)
    assert unix_ms(after["segments"][0]["absolute_start_time"]) == talk.start_ms
    assert after["seq"] > before["seq"]


async def test_21_the_collectors_clock_is_changed(system: System):
    """Times come from producers and Redis: an hour more or less on the collector's clock changes none."""
    number = new_meeting()
    talk = Talk(number, int(time.time() * 1000))
    collector = await system.start()
    await system.add(talk.start(), talk.final(0))
    await until(lambda: says(collector, number, [talk.word(0)]))
    assert await collector.stop() == 0
    for position, shift_s in enumerate((3600, -3600), start=1):
        shifted = system.new_collector((SHIFTED_APP, str(shift_s)), MEETING_IDLE_S="600")
        await shifted.start()
        named = (await shifted.http.get("/health")).json()["timestamp"]
        assert abs(unix_ms(named) - time.time() * 1000 - shift_s * 1000) < 60_000, "the clock is not shifted"
        without_times: dict[str, Any] = {**talk.segment(position)}
        del without_times["absolute_start_time"], without_times["absolute_end_time"]
        await system.add(talk.final(position) | {"segments": [without_times]})
        words = [talk.word(n) for n in range(position + 1)]
        await until(lambda: says(shifted, number, words))  # noqa: B023 - awaited within the round
        transcript = await shifted.transcript(number)
        starts = [unix_ms(each["absolute_start_time"]) for each in transcript["segments"]]
        assert starts == [talk.start_ms + 2000 * n for n in range(position + 1)]
        assert transcript["status"] == "active"
        assert await shifted.stop() == 0
