from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.collector.facts import SpeakerEvent
from app.collector.speakers import SpeakerTimeline, map_speaker
from tests.collector.properties import PROPERTY

NAMES = st.sampled_from(["Alice", "Bob", "Chlöe"])
EVENTS = st.lists(
    st.builds(
        SpeakerEvent,
        t_ms=st.integers(0, 20),
        kind=st.sampled_from(["SPEAKER_START", "SPEAKER_END"]),
        name=NAMES,
        participant_id=st.sampled_from([None, "devices/1", "devices/2"]),
    ),
    max_size=12,
)


def start(t_ms: int, name: str, participant_id: str | None = None) -> SpeakerEvent:
    """Somebody begins to speak."""
    return SpeakerEvent(t_ms, "SPEAKER_START", name, participant_id)


def end(t_ms: int, name: str, participant_id: str | None = None) -> SpeakerEvent:
    """Somebody stops."""
    return SpeakerEvent(t_ms, "SPEAKER_END", name, participant_id)


def test_without_events_nobody_is_named():
    """No events and nobody speaking are told apart."""
    assert map_speaker(0, 1000, []) == (None, "NO_SPEAKER_EVENTS")
    assert map_speaker(0, 1000, [start(1000, "Alice")]) == (None, "UNKNOWN")
    assert map_speaker(2000, 3000, [start(0, "Alice"), end(2000, "Alice")]) == (None, "UNKNOWN")


def test_one_speaker_is_mapped():
    """Whoever speaks in any part of the segment, if nobody else does, said it."""
    events = [start(900, "Alice"), end(5000, "Alice"), start(5000, "Bob")]
    assert map_speaker(0, 1000, events) == ("Alice", "MAPPED")
    assert map_speaker(1000, 5000, events) == ("Alice", "MAPPED")


def test_the_larger_overlap_wins():
    """Of several speakers the one who spoke most of the segment is named; pauses do not count."""
    events = [start(0, "Alice"), end(600, "Alice"), start(400, "Bob"), end(900, "Bob"), start(950, "Alice")]
    assert map_speaker(0, 1000, events) == ("Alice", "MULTIPLE_CONCURRENT_SPEAKERS")
    assert map_speaker(400, 900, events) == ("Bob", "MULTIPLE_CONCURRENT_SPEAKERS")


def test_among_equals_the_later_start_wins():
    """Who has just begun is heard over who left the microphone open."""
    events = [start(0, "Alice"), start(500, "Bob")]
    assert map_speaker(1000, 2000, events) == ("Bob", "MULTIPLE_CONCURRENT_SPEAKERS")


def test_an_open_start_lasts():
    """Without an end the participant still speaks, however much later."""
    assert map_speaker(10_000_000, 10_001_000, [start(0, "Alice")]) == ("Alice", "MAPPED")


def test_an_end_without_start_opens_at_zero():
    """Who spoke before the first event is known by the end of it; a later second end opens nothing."""
    events = [end(3000, "Alice"), end(9000, "Alice")]
    assert map_speaker(0, 1000, events) == ("Alice", "MAPPED")
    assert map_speaker(4000, 5000, events) == (None, "UNKNOWN")


def test_a_start_while_speaking_is_ignored():
    """A repeated start does not move the first one."""
    events = [start(0, "Alice"), start(5000, "Alice"), end(8000, "Alice")]
    assert map_speaker(1000, 2000, events) == ("Alice", "MAPPED")


def test_participants_are_known_by_id():
    """Two people of one name are two; one who is renamed stays one and bears the name of the start."""
    twins = [start(0, "Ann", "1"), start(0, "Ann", "2"), end(1000, "Ann", "1")]
    assert map_speaker(0, 1000, twins) == ("Ann", "MULTIPLE_CONCURRENT_SPEAKERS")
    assert map_speaker(1000, 2000, twins) == ("Ann", "MAPPED")
    renamed = [start(0, "Ann", "1"), end(1000, "Ann Lee", "1")]
    assert map_speaker(0, 500, renamed) == ("Ann", "MAPPED")
    assert map_speaker(1000, 2000, renamed) == (None, "UNKNOWN")


def test_an_event_without_id_finds_its_participant():
    """An end that lost its id still ends the speech of the only one with that name."""
    assert map_speaker(2000, 3000, [start(0, "Ann", "1"), end(1000, "Ann")]) == (None, "UNKNOWN")


def test_an_instant_has_a_speaker():
    """A segment without length belongs to who speaks at that time."""
    assert map_speaker(500, 500, [start(0, "Alice"), end(1000, "Alice")]) == ("Alice", "MAPPED")


def test_start_and_end_at_once_change_nothing():
    """Who was silent stays silent and who spoke goes on, in whichever order the two come."""
    for both in ([start(500, "Alice"), end(500, "Alice")], [end(500, "Alice"), start(500, "Alice")]):
        assert map_speaker(600, 700, both) == (None, "UNKNOWN")
        assert map_speaker(600, 700, [start(0, "Alice"), *both]) == ("Alice", "MAPPED")


@PROPERTY
@given(events=EVENTS, seed=st.randoms(use_true_random=False), at=st.integers(-3, 25), length=st.integers(0, 10))
def test_order_of_events_does_not_matter(events, seed, at, length):
    """Any order of arrival, of repeated events too, gives the same speaker."""
    shuffled = [*events, *events[:3]]
    seed.shuffle(shuffled)
    assert map_speaker(at, at + length, shuffled) == map_speaker(at, at + length, events)


@PROPERTY
@given(events=EVENTS, at=st.integers(0, 25), length=st.integers(1, 10))
def test_intervals_are_disjoint_and_names_known(events, at, length):
    """No participant speaks twice at once, and nobody is named who has no event."""
    for intervals in SpeakerTimeline(events)._participants:
        assert all(each.start_ms < each.end_ms for each in intervals)
        assert all(a.end_ms <= b.start_ms for a, b in pairwise(intervals))
    name, status = map_speaker(at, at + length, events)
    assert (name is not None) == (status in {"MAPPED", "MULTIPLE_CONCURRENT_SPEAKERS"})
    assert name is None or name in {event.name for event in events}
