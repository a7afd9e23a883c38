"""Checks 10 to 13, 15 to 17 and 19: which entries are the same segment, and what is never dropped."""

from __future__ import annotations

import random
from typing import Any

import pytest

from bench.collector.collector import Collector
from bench.collector.words import Talk, differences
from tests.collector.checks.system import System, new_meeting, says, until
from tests.collector.wire.entries import G1_SEGMENTS, G1_START, G3_SEGMENT

NOW_MS = 1_771_147_203_101


def legacy(meeting: int, start: str, end: str, text: str, *, completed: bool) -> dict[str, Any]:
    """An entry of WhisperLive with one segment."""
    segment = {"start": start, "end": end, "text": text, "completed": completed}
    return G1_SEGMENTS | {"meeting_id": meeting, "segments": [segment]}


async def test_10_the_same_entry_five_times(shared_system: System, collector: Collector):
    """One segment, and the meeting's seq grows once."""
    talk = Talk(new_meeting(), NOW_MS)
    await shared_system.add(talk.start(), talk.final(0))
    await shared_system.settled()
    before = (await collector.transcript(talk.meeting))["seq"]
    same = await collector.metric("collector_segments_total", kind="same")
    for _ in range(4):
        await shared_system.add(talk.final(0))
        await shared_system.settled()
    after = await collector.transcript(talk.meeting)
    assert [each["text"] for each in after["segments"]] == [talk.word(0)]
    assert after["seq"] == before
    assert await collector.metric("collector_segments_total", kind="same") == same + 4


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one collector
async def test_11_random_order_over_four_collectors(system: System):
    """10,000 finals in any order: every transcript is complete and in the order in which it was said."""
    talks = [Talk(new_meeting(), NOW_MS) for _ in range(5)]
    entries = [talk.final(number) for talk in talks for number in range(2000)]
    entries += [talk.start() for talk in talks]
    random.Random(11).shuffle(entries)
    collectors = [system.new_collector() for _ in range(4)]
    for collector in collectors:
        await collector.start(ready=False)
    for collector in collectors:
        await collector.wait_until_ready()
    for first in range(0, len(entries), 500):
        await system.add(*entries[first : first + 500])
    await system.settled()
    expected = {talk.meeting: [talk.word(number) for number in range(2000)] for talk in talks}
    assert differences(expected, await collectors[0].words(expected)) == []
    stored = [await collector.metric("collector_segments_total", kind="new") for collector in collectors]
    assert sum(stored) == 10_000
    assert min(stored) > 0, "one collector did everything"


async def test_12_a_draft_that_is_processed_after_its_final(system: System):
    """The draft is older, so it changes nothing."""
    number = new_meeting()
    segment: Any = dict(G3_SEGMENT["segments"][0])  # type: ignore[index]
    entry = G3_SEGMENT | {"meeting_id": number}
    await system.withhold(entry | {"segments": [segment | {"text": "Hell", "completed": False}]})
    collector = await system.start()
    await system.add(entry)
    await until(lambda: says(collector, number, ["Hello"]))
    await system.deliver_withheld()
    await system.settled()
    assert await collector.metric("collector_claimed_total") == 1
    assert await collector.metric("collector_segments_total", kind="late") == 1
    (shown,) = (await collector.transcript(number, pending=True, raw=True))["segments"]
    assert (shown["text"], shown["completed"]) == ("Hello", True)


async def test_13_a_draft_whose_start_drifts(shared_system: System, collector: Collector):
    """Producers without segment ids send the draft anew each time: at every moment there is at most one."""
    number = new_meeting()
    await shared_system.add(G1_START | {"meeting_id": number})
    for start, text in (("3.200", "We"), ("3.240", "We are"), ("3.180", "We are here")):
        await shared_system.add(legacy(number, start, "4.100", text, completed=False))
        await shared_system.settled()
        assert await collector.texts(number, pending=True, raw=True) == [text]
    await shared_system.add(legacy(number, "3.200", "4.100", "We are here.", completed=True))
    await shared_system.settled()
    assert await collector.texts(number, pending=True, raw=True) == ["We are here."]


async def test_15_no_text_is_filtered(shared_system: System, collector: Collector):
    """Short words, greetings, other scripts, repeated letters and markers are stored as they were said."""
    texts = ["no", "OK", "hello", "好", "aaaaah", "[BLANK_AUDIO]", "test 1", "."]
    number = new_meeting()
    await shared_system.add(G1_START | {"meeting_id": number})
    for second, text in enumerate(texts):
        await shared_system.add(legacy(number, f"{second}.000", f"{second}.900", text, completed=True))
    await shared_system.settled()
    assert await collector.texts(number) == texts


async def test_16_overlapping_finals(shared_system: System, collector: Collector):
    """Without segment ids, what another final repeats is hidden but not gone; with ids, both are shown."""
    number, with_ids = new_meeting(), new_meeting()
    short, long = "It was a milestone.", "It was a milestone to get here"
    await shared_system.add(
        G1_START | {"meeting_id": number},
        legacy(number, "10.000", "12.000", short, completed=True),
        legacy(number, "10.020", "14.000", long, completed=True),
    )
    base: Any = dict(G3_SEGMENT["segments"][0])  # type: ignore[index]
    for key, text, start_s in (("a", short, 10.0), ("b", long, 10.02)):
        segment = base | {"segment_id": key, "text": text, "start": start_s, "end": start_s + 2}
        await shared_system.add(G3_SEGMENT | {"meeting_id": with_ids, "segments": [segment]})
    await shared_system.settled()
    assert await collector.texts(number) == [long]
    assert await collector.texts(number, raw=True) == [short, long]
    assert await collector.texts(with_ids) == [short, long]


async def test_17_a_final_inside_a_draft(shared_system: System, collector: Collector):
    """A draft never hides a final, however much of it the draft repeats."""
    number = new_meeting()
    final = {"start": "3.000", "end": "4.000", "text": "We are here", "completed": True}
    draft = {"start": "2.980", "end": "6.000", "text": "We are here to stay", "completed": False}
    await shared_system.add(
        G1_START | {"meeting_id": number}, G1_SEGMENTS | {"meeting_id": number, "segments": [final, draft]}
    )
    await shared_system.settled()
    assert await collector.texts(number) == ["We are here"]
    assert "We are here" in await collector.texts(number, pending=True)


async def test_19_a_uid_that_is_used_again(shared_system: System, collector: Collector):
    """Another connection is another session, though the client calls itself the same."""
    number = new_meeting()
    for session, start_ms in ((0, NOW_MS), (1, NOW_MS + 600_000)):
        talk = Talk(number, start_ms, session)
        same_uid = {"uid": "the-bot", "session_uid": "the-bot"}
        segment = talk.segment(0)  # its time follows from the session's start
        del segment["absolute_start_time"], segment["absolute_end_time"]
        final = talk.final(0) | {"segments": [segment]}
        await shared_system.add(talk.start() | same_uid, final | same_uid, talk.end(1) | same_uid)
    await shared_system.settled()
    first, second = (await collector.transcript(number))["segments"]
    assert (first["start"], second["start"]) == (0.0, 0.0)
    assert (first["session_uid"], second["session_uid"]) == ("the-bot", "the-bot")
    assert first["absolute_start_time"] == "2026-02-15T09:20:03.101000Z"
    assert second["absolute_start_time"] == "2026-02-15T09:30:03.101000Z"
    assert (await collector.transcript(number))["complete"] is True
