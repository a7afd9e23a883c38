"""Check 35: entries that cannot be used stand between good ones."""

from __future__ import annotations

import json
import time

from bench.collector.collector import Collector
from bench.collector.words import Talk
from tests.collector.checks.system import System, new_meeting


async def test_35_unusable_entries(shared_system: System, collector: Collector):
    """The good ones are stored; each bad one is in the dead letters with its reason, once; nothing is restarted."""
    talk = Talk(new_meeting(), int(time.time() * 1000))
    pid = collector.pid

    def with_segment(**changes: object) -> str:
        return json.dumps(talk.final(99) | {"segments": [talk.segment(99) | changes]})

    bad: list[str | bytes] = [
        "this is not JSON",
        "",
        b"\xff\xfe\x00",
        "[" * 100_000,
        json.dumps([talk.final(98)]),
        json.dumps(talk.final(98) | {"segments": {"0": talk.segment(98)}}),
        json.dumps(talk.final(98) | {"segments": [[]]}),
        with_segment(start=float("nan"), end=float("nan"), absolute_start_time=None, absolute_end_time=None),
        with_segment(start=float("inf"), end=1e300, absolute_start_time=None, absolute_end_time=None),
        with_segment(text="x" * 5_000_000),
        with_segment(text="\ud800 alone"),
        with_segment(text=5),
        json.dumps({"type": "transcription"}),
    ]
    await shared_system.add(talk.start())
    ids = {}
    for number, each in enumerate(bad):
        await shared_system.add(talk.final(number))
        ids[(await shared_system.add(each))[0]] = each[:80]
    foreign = await shared_system.redis.xadd("transcription_segments", {"another": "field"})
    await shared_system.add(talk.final(len(bad)))
    await shared_system.settled()
    assert await collector.texts(talk.meeting) == [talk.word(number) for number in range(len(bad) + 1)]
    dead = [letter for letter in await shared_system.dead() if letter["id"] in {*ids, foreign}]
    assert [ids[id_] for id_ in ids if id_ not in {letter["id"] for letter in dead}] == []
    assert len(dead) == len(bad) + 1
    assert all(letter["error"] for letter in dead)
    assert collector.pid == pid
    assert collector.is_running
    assert await collector.is_ready()
