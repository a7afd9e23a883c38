"""Checks 1 to 6: entries of every generation of producers, from the stream to REST."""

from __future__ import annotations

from typing import Any

from bench.collector.collector import Collector
from tests.collector.checks.system import System, new_meeting, says, until
from tests.collector.wire.entries import (
    G1_SEGMENTS,
    G1_START,
    G2_BUNDLE,
    G2_SEGMENT,
    G3_RETRACT,
    G3_SEGMENT,
    OURS_END,
    OURS_SEGMENT,
    OURS_START,
)


def segment_of(payload: dict[str, Any]) -> dict[str, Any]:
    """A copy of the only segment of an entry."""
    return dict(payload["segments"][0])


async def test_01_entries_of_our_gateway(shared_system: System, collector: Collector):
    """One segment, with both spellings of its times and the producer's absolute times; the session's end is known."""
    meeting = {"meeting_id": new_meeting()}
    await shared_system.add(OURS_START | meeting, OURS_SEGMENT | meeting, OURS_END | meeting | {"final_count": 1})
    await shared_system.settled()
    transcript = await collector.transcript(meeting["meeting_id"])
    (segment,) = transcript["segments"]
    assert (
        segment.items()
        >= {
            "text": "Hello everyone.",
            "start": 0.0,
            "start_time": 0.0,
            "end": 3.2,
            "end_time": 3.2,
            "absolute_start_time": "2026-02-15T09:20:03.101000Z",
            "absolute_end_time": "2026-02-15T09:20:06.301000Z",
            "segment_id": "01JQ8Z:0",
            "session_uid": "6f1c",
            "completed": True,
        }.items()
    )
    assert transcript["platform"] == "google_meet"
    assert transcript["complete"] is True


async def test_02_a_draft_becomes_a_final_in_whisperlive(shared_system: System, collector: Collector):
    """Times are strings; the final replaces the draft of the same start, and no draft is left."""
    meeting = {"meeting_id": new_meeting()}
    draft = segment_of(G1_SEGMENTS) | {"completed": False, "text": " Hello"}
    await shared_system.add(G1_START | meeting, G1_SEGMENTS | meeting | {"segments": [draft]})
    await shared_system.settled()
    (shown,) = (await collector.transcript(meeting["meeting_id"], pending=True))["segments"]
    assert (shown["text"], shown["completed"]) == ("Hello", False)
    assert await collector.texts(meeting["meeting_id"]) == []
    await shared_system.add(G1_SEGMENTS | meeting | {"segments": [segment_of(G1_SEGMENTS)]})
    await shared_system.settled()
    (final,) = (await collector.transcript(meeting["meeting_id"], pending=True))["segments"]
    assert (final["text"], final["completed"], final["end"]) == ("Hello everyone.", True, 3.2)
    assert final["absolute_start_time"] == "2026-02-15T09:20:02.597000Z"


async def test_03_windows_of_the_last_ten_finals(shared_system: System, collector: Collector):
    """Every message repeats the ten finals before it; each is there once, in order."""
    room = {"meeting_id": f"abc-{new_meeting()}"}
    finals = [
        {"start": f"{n:.3f}", "end": f"{n + 0.9:.3f}", "text": f" g1a-{n}", "completed": True, "language": "en"}
        for n in range(20)
    ]
    windows = [G1_SEGMENTS | room | {"segments": finals[max(0, n - 9) : n + 1]} for n in range(20)]
    await shared_system.add(G1_START | room, *windows)
    await shared_system.settled()
    answer = await collector.http.get(f"/transcripts/google_meet/{room['meeting_id']}", params={"raw": True})
    assert [segment["text"] for segment in answer.json()["segments"]] == [f"g1a-{n}" for n in range(20)]


async def test_04_vexas_bot(shared_system: System, collector: Collector):
    """A number as text and no token; of a bundle, what is confirmed is final, what is pending is shown on demand."""
    number = new_meeting()
    single = {name: value for name, value in G2_SEGMENT.items() if name != "token"}
    await shared_system.add(single | {"meeting_id": str(number)}, G2_BUNDLE | {"meeting_id": str(number)})
    await shared_system.settled()
    finals = (await collector.transcript(number))["segments"]
    assert {(each["segment_id"], each["speaker"], each["completed"]) for each in finals} == {
        ("cb5b9518:spk-1:7", "Alice", True),
        ("cb5b:7", "Alice", True),
    }
    assert finals[0]["speaker_mapping_status"] == "PRODUCER_LABELED"
    everything = (await collector.transcript(number, pending=True))["segments"]
    assert [each["text"] for each in everything if not each["completed"]] == ["and"]


async def test_05_unix_seconds(shared_system: System, collector: Collector):
    """`start` in Unix seconds is no offset from the session's start; a chat message of no length is kept."""
    number = new_meeting()
    chat = segment_of(G3_SEGMENT) | {
        "segment_id": "chat:1",
        "source": "chat",
        "text": "[Chat] hi",
        "start": 1785835940.0,
        "end": 1785835940.0,
        "absolute_start_time": "2026-08-04T09:32:20.000Z",
        "absolute_end_time": "2026-08-04T09:32:20.000Z",
    }
    bare = segment_of(G3_SEGMENT) | {"segment_id": "ch-0:43:1", "start": 1785835950.0, "end": 1785835951.0}
    del bare["absolute_start_time"], bare["absolute_end_time"]
    for segment in (segment_of(G3_SEGMENT), chat, bare):
        await shared_system.add(G3_SEGMENT | {"meeting_id": number, "segments": [segment]})
    await shared_system.settled()
    shown = (await collector.transcript(number))["segments"]
    assert [(each["text"], each["absolute_start_time"], each["absolute_end_time"]) for each in shown] == [
        ("Hello", "2026-08-04T09:32:13.200000Z", "2026-08-04T09:32:15Z"),
        ("[Chat] hi", "2026-08-04T09:32:20Z", "2026-08-04T09:32:20Z"),
        ("Hello", "2026-08-04T09:32:30Z", "2026-08-04T09:32:31Z"),
    ]


async def test_06_retractions_in_both_orders(system: System):
    """A retracted text is gone, whether it came before its retraction or is delivered, with an older id, after it."""
    number = new_meeting()
    first, second, kept = (
        G3_SEGMENT | {"meeting_id": number, "segments": [segment_of(G3_SEGMENT) | {"segment_id": id_, "text": id_}]}
        for id_ in ("turn:1", "turn:2", "turn:3")
    )
    await system.withhold(second)
    collector = await system.start()
    await system.add(first, kept)
    await until(lambda: says(collector, number, ["turn:1", "turn:3"]))
    await system.add(G3_RETRACT | {"meeting_id": number, "segment_ids": ["turn:1", "turn:2"]})
    await until(lambda: says(collector, number, ["turn:3"]))
    await system.deliver_withheld()
    await system.settled()
    assert await collector.texts(number, pending=True, raw=True) == ["turn:3"]
    assert await collector.metric("collector_claimed_total") == 1
