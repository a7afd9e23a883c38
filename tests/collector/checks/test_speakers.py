"""Check 22: who spoke, from events that come before, during and after the segments."""

from __future__ import annotations

from bench.collector.collector import Collector
from bench.collector.words import Talk
from tests.collector.checks.system import System, new_meeting


async def test_22_events_in_any_order_give_the_same_speakers(shared_system: System, collector: Collector):
    """Names do not depend on when the events come; with two at once the larger overlap wins, and it is marked."""
    spoken = [("START", "Alice", 0), ("END", "Alice", 2500), ("START", "Bob", 2400), ("START", "Cleo", 5200)]
    expected = [
        ("Alice", "MAPPED"),
        ("Bob", "MULTIPLE_CONCURRENT_SPEAKERS"),  # 2.0 to 3.9 s: Alice for 0.5 s, Bob for 1.5 s
        ("Bob", "MULTIPLE_CONCURRENT_SPEAKERS"),  # 4.0 to 5.9 s: Bob all the time, Cleo for 0.7 s
    ]
    for when in ("before", "during", "after"):
        talk = Talk(new_meeting(), 1_771_147_203_101)
        identity = {"uid": f"uid-{talk.connection_id}", "platform": "google_meet", "meeting_id": talk.meeting}
        early = {"before": 4, "during": 2, "after": 0}[when]
        for kind, name, t_ms in spoken[:early]:
            await shared_system.speaks(kind, name, t_ms, **identity)
        await shared_system.settled()
        await shared_system.add(talk.start(), *(talk.final(number) for number in range(3)))
        await shared_system.settled()
        before = await collector.transcript(talk.meeting)
        for kind, name, t_ms in spoken[early:]:
            await shared_system.speaks(kind, name, t_ms, **identity)
        await shared_system.settled()
        after = await collector.transcript(talk.meeting)
        shown = [(each["speaker"], each["speaker_mapping_status"]) for each in after["segments"]]
        assert shown == expected, when
        assert (after["seq"] > before["seq"]) == (early < len(spoken))
        assert [each["text"] for each in after["segments"]] == [talk.word(number) for number in range(3)]
