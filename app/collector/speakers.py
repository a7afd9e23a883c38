"""Who spoke during a segment, from the speaker events of its session. Pure.

Source of the statuses: Vexa v0.9, `mapping/speaker_mapper.py`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Final

from app.collector.facts import SpeakerEvent
from app.collector.rows import SpeakerStatus

_STILL_SPEAKING_MS: Final = 1 << 62  # end of an interval that no event has closed


@dataclass(frozen=True, slots=True)
class _Interval:
    start_ms: int
    end_ms: int
    name: str


@dataclass(frozen=True, slots=True)
class _Share:
    """How much of a segment one participant spoke; the greatest wins, among equals the one who began last."""

    overlap_ms: int
    start_ms: int
    name: str

    def rank(self) -> tuple[int, int, str]:
        return self.overlap_ms, self.start_ms, self.name


class SpeakerTimeline:
    """When each participant of a session spoke. Build it once to map many segments."""

    def __init__(self, events: Sequence[SpeakerEvent]) -> None:
        self._participants = [_intervals(own) for own in _by_participant(events)]

    def speaker(self, start_ms: int, end_ms: int) -> tuple[str | None, SpeakerStatus]:
        """Return who spoke most between two times of the session, and how sure that is.

        An instant (`start_ms == end_ms`) counts as one millisecond.
        """
        if not self._participants:
            return None, "NO_SPEAKER_EVENTS"
        end_ms = max(end_ms, start_ms + 1)
        shares = [share for own in self._participants if (share := _share(own, start_ms, end_ms))]
        if not shares:
            return None, "UNKNOWN"
        winner = max(shares, key=_Share.rank)
        return winner.name, "MAPPED" if len(shares) == 1 else "MULTIPLE_CONCURRENT_SPEAKERS"


def map_speaker(start_ms: int, end_ms: int, events: Sequence[SpeakerEvent]) -> tuple[str | None, SpeakerStatus]:
    """Return who spoke most between two times, given all events of the session in any order.

    Returns:
        The name, None if nobody spoke or there are no events; and MAPPED, MULTIPLE_CONCURRENT_SPEAKERS (several
        spoke during the segment), UNKNOWN (nobody did) or NO_SPEAKER_EVENTS.
    """
    return SpeakerTimeline(events).speaker(start_ms, end_ms)


def _by_participant(events: Sequence[SpeakerEvent]) -> list[list[SpeakerEvent]]:
    """Events of each participant, known by id; by name where an event has no id and several or no ids bear the name."""
    ids_of_name = defaultdict[str, set[str]](set)
    for event in events:
        if event.participant_id:
            ids_of_name[event.name].add(event.participant_id)
    grouped = defaultdict[tuple[str, str], list[SpeakerEvent]](list)
    for event in events:
        ids = {event.participant_id} if event.participant_id else ids_of_name.get(event.name, set())
        identity = ("id", str(next(iter(ids)))) if len(ids) == 1 else ("name", event.name)
        grouped[identity].append(event)
    return list(grouped.values())


def _intervals(events: Iterable[SpeakerEvent]) -> list[_Interval]:
    """When one participant spoke: disjoint intervals in ascending order."""
    return list(_open_and_close(sorted(events, key=attrgetter("t_ms"))))


def _open_and_close(events: Sequence[SpeakerEvent]) -> Iterator[_Interval]:
    """Yield the intervals between starts and ends.

    A start while speaking is ignored. An end comes from a speech that began before the session if nothing of this
    participant came earlier, else it is ignored. A start and an end at the same time change nothing: the stream does
    not say which came first.
    """
    started: tuple[int, str] | None = None
    seen = False
    for t_ms, group in groupby(events, key=attrgetter("t_ms")):
        at_once = list(group)
        name = min(event.name for event in at_once)
        kinds = {event.kind for event in at_once}
        if kinds == {"SPEAKER_START"} and started is None:
            started = (t_ms, name)
        elif kinds == {"SPEAKER_END"} and (started or not seen):
            start_ms, name = started or (0, name)
            started = None
            if start_ms < t_ms:
                yield _Interval(start_ms, t_ms, name)
        seen = True
    if started is not None:
        yield _Interval(started[0], _STILL_SPEAKING_MS, started[1])


def _share(intervals: Sequence[_Interval], start_ms: int, end_ms: int) -> _Share | None:
    """What one participant spoke between two times, None if nothing."""
    first = bisect_right(intervals, start_ms, key=attrgetter("end_ms"))
    last = bisect_left(intervals, end_ms, key=attrgetter("start_ms"))
    inside = intervals[first:last]
    if not inside:
        return None
    overlap_ms = sum(min(each.end_ms, end_ms) - max(each.start_ms, start_ms) for each in inside)
    return _Share(overlap_ms, inside[-1].start_ms, inside[-1].name)
