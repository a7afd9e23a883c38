"""Entries as producers write them, short enough to read in a test."""

from __future__ import annotations

from typing import Any, Literal

from app.collector.facts import (
    Entry,
    Fact,
    Retract,
    Revision,
    Room,
    SegmentFact,
    Segments,
    SessionEnd,
    SessionStart,
    SpeakerEvent,
)

T0 = 1_800_000_000_000  # Unix ms at which the tests' meetings begin
ROOM = Room("google_meet", "abc-defg-hij")
STREAM = "transcription_segments"
SPEAKERS = "speaker_events_relative"


def entry(
    at_ms: int,
    *facts: Fact,
    session: str = "c1",
    gateway: bool = False,
    uid: str | None = None,
    room: Room = ROOM,
    stream: str = STREAM,
    n: int = 0,
) -> Entry:
    """An entry that reached Redis `at_ms` after T0; `gateway`: from ours, whose finals never change."""
    return Entry(stream, Revision(T0 + at_ms, n), room, session, uid, session if gateway else None, facts)


def segment(
    key: str, start_ms: int | None, end_ms: int | None, text: str, *, final: bool = True, **more: Any
) -> SegmentFact:
    """A segment with an id."""
    return SegmentFact(key, has_id=True, text=text, completed=final, start_ms=start_ms, end_ms=end_ms, **more)


def legacy(start_ms: int, end_ms: int, text: str, *, final: bool = True) -> SegmentFact:
    """A segment of a producer without ids."""
    return SegmentFact(f"t:{start_ms}", has_id=False, text=text, completed=final, start_ms=start_ms, end_ms=end_ms)


def final(at_ms: int, key: str, start_ms: int, end_ms: int, text: str, **more: Any) -> Entry:
    """An entry with one final."""
    names = ("session", "gateway", "uid", "room", "n")
    own = {name: more.pop(name) for name in names if name in more}
    return entry(at_ms, Segments((segment(key, start_ms, end_ms, text, **more),)), **own)


def draft(at_ms: int, key: str, start_ms: int, end_ms: int, text: str, **more: Any) -> Entry:
    """An entry with one draft."""
    return final(at_ms, key, start_ms, end_ms, text, final=False, **more)


def window(at_ms: int, *segments: SegmentFact, session: str = "u1") -> Entry:
    """A message of a producer without ids: its drafts are all that its session has."""
    return entry(at_ms, Segments(segments, replaces_drafts=True), session=session, uid=session)


def start(at_ms: int, start_ms: int, **more: Any) -> Entry:
    """A session began `start_ms` after T0."""
    return entry(at_ms, SessionStart(T0 + start_ms), **more)


def end(at_ms: int, end_ms: int, final_count: int | None = None, **more: Any) -> Entry:
    """A session ended `end_ms` after T0."""
    return entry(at_ms, SessionEnd(T0 + end_ms, final_count), **more)


def retraction(at_ms: int, *keys: str, **more: Any) -> Entry:
    """Segments were never said."""
    return entry(at_ms, Retract(keys), **more)


def speaks(
    at_ms: int, t_ms: int, name: str, kind: Literal["START", "END"] = "START", *, session: str = "c1", **more: Any
) -> Entry:
    """Somebody began or stopped to speak at `t_ms` of the session."""
    event = SpeakerEvent(t_ms, "SPEAKER_START" if kind == "START" else "SPEAKER_END", name)
    return entry(at_ms, event, session=session, stream=SPEAKERS, **more)
