from __future__ import annotations

from typing import Literal

from app.collector.facts import SpeakerEvent
from app.collector.store.remap import EVERYTHING, NOTHING, remap_from


def event(
    t_ms: int, name: str, kind: Literal["START", "END"] = "START", participant_id: str | None = None
) -> SpeakerEvent:
    """An event of a session."""
    return SpeakerEvent(t_ms, "SPEAKER_START" if kind == "START" else "SPEAKER_END", name, participant_id)


def test_events_in_order_change_only_what_comes_after():
    """Nothing before the first of them."""
    assert remap_from([event(0, "Ann")], [event(900, "Ann", "END"), event(700, "Bob")]) == 700
    assert remap_from([event(0, "Ann")], []) == NOTHING


def test_other_events_may_change_everything():
    """An event between others, an end without its start, a name that gets an id."""
    assert remap_from([event(500, "Ann")], [event(400, "Bob")]) == EVERYTHING
    assert remap_from([event(0, "Ann")], [event(900, "Bob", "END")]) == EVERYTHING
    assert remap_from([event(0, "Ann")], [event(900, "Ann", participant_id="7")]) == EVERYTHING
