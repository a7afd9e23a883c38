from __future__ import annotations

from typing import Any

import pytest

from app.collector.facts import Entry, Room, SegmentFact, Segments
from app.collector.wire.errors import Unusable
from tests.collector.wire.entries import G1_SEGMENTS, G2_BUNDLE, G2_SEGMENT, G3_SEGMENT, read


def segments(entry: Entry) -> tuple[SegmentFact, ...]:
    """The segments of an entry that tells of segments."""
    (fact,) = entry.facts
    assert isinstance(fact, Segments)
    return fact.segments


def test_whisperlive_segments():
    """Times are strings, keys follow from the start, and the drafts of the entry are all that the session has."""
    entry = read(G1_SEGMENTS)
    assert entry.facts == (
        Segments(
            (
                SegmentFact(
                    "t:0", has_id=False, text="Hello everyone.", completed=True, start_ms=0, end_ms=3200, language="en"
                ),
                SegmentFact("t:3200", has_id=False, text="We are", completed=False, start_ms=3200, end_ms=4100),
            ),
            replaces_drafts=True,
        ),
    )
    assert (entry.session_key, entry.session_uid, entry.connection_id) == ("6f1c", "6f1c", None)


def test_drifting_drafts_replace_each_other():
    """Each entry says that its drafts are all drafts, so one that drifts leaves no ghost."""
    for start in ("3.200", "3.240", "3.180"):
        entry = read(G1_SEGMENTS | {"segments": [{"start": start, "end": "4.1", "text": "We", "completed": False}]})
        (fact,) = entry.facts
        assert isinstance(fact, Segments)
        assert fact.replaces_drafts
        assert fact.segments[0].key == f"t:{round(float(start) * 1000)}"


def test_repeated_finals_read_alike():
    """The same final in two windows of the last ten is the same fact."""
    window = [{"start": f"{n}.000", "end": f"{n + 1}.000", "text": f" word{n}", "completed": True} for n in range(12)]
    first = segments(read(G1_SEGMENTS | {"segments": window[:10]}))
    second = segments(read(G1_SEGMENTS | {"segments": window[2:]}))
    assert first[2:] == second[:8]


def test_a_bots_segment():
    """A segment id, a speaker and absolute times; other drafts stay."""
    entry = read(G2_SEGMENT)
    (fact,) = entry.facts
    assert fact == Segments(
        (
            SegmentFact(
                key="cb5b9518:spk-1:7",
                has_id=True,
                text="Hello",
                completed=True,
                start_ms=19000,
                end_ms=34000,
                abs_start_ms=1777712419000,
                abs_end_ms=1777712434000,
                language="en",
                speaker="Alice",
            ),
        )
    )


def test_a_bundle():
    """Confirmed segments are finals, pending ones drafts; both are the bundle's speaker's."""
    entry = read(G2_BUNDLE)
    assert [(each.key, each.completed, each.speaker) for each in segments(entry)] == [
        ("cb5b:7", True, "Alice"),
        ("cb5b:8", False, "Alice"),
    ]
    assert entry.room == Room(meeting_id=8725)


def test_a_bundle_may_lack_a_list():
    """Only confirmed or only pending is a bundle too; a wrong list is noted, none at all is refused."""
    assert len(segments(read({field: G2_BUNDLE[field] for field in ("type", "meeting_id", "confirmed")}))) == 1
    assert len(segments(read({field: G2_BUNDLE[field] for field in ("type", "meeting_id", "pending")}))) == 1
    half = read(G2_BUNDLE | {"pending": {"text": "and"}})
    assert (len(segments(half)), half.problems) == (1, ("pending is not a list",))
    with pytest.raises(Unusable, match="neither confirmed nor pending"):
        read({"type": "transcript", "meeting_id": 1})


def test_epoch_seconds():
    """A start from 1e9 on counts from 1970, with or without the ISO times, and gives no time within the session."""
    (segment,) = segments(read(G3_SEGMENT))
    assert (segment.start_ms, segment.end_ms) == (None, None)
    assert (segment.abs_start_ms, segment.abs_end_ms) == (1785835933200, 1785835935000)
    assert (segment.speaker_key, segment.source) == ("ch-0", "glow-bound")
    (bare,) = segments(read({"meeting_id": 1, "segments": [{"start": 1785835933.2, "end": 1785835935, "text": "Hi"}]}))
    assert (bare.key, bare.abs_start_ms, bare.abs_end_ms) == ("t:1785835933200", 1785835933200, 1785835935000)


def test_chat_has_no_length():
    """A chat message starts and ends at once and is kept."""
    chat = {"segment_id": "c1", "text": "[Chat] Ann: hi", "start": 5.0, "end": 5.0, "completed": True, "source": "chat"}
    (segment,) = segments(read({"meeting_id": 1, "segments": [chat]}))
    assert (segment.start_ms, segment.end_ms, segment.source) == (5000, 5000, "chat")


def test_bad_segments_leave_the_good_ones():
    """Each segment that cannot be used is named with its reason, which never holds what was said."""
    bad: list[Any] = [
        [],
        "secret words",
        {"start": "nan", "end": 1, "text": "secret"},
        {"start": float("inf"), "end": 1, "text": "secret"},
        {"start": True, "end": 1, "text": "secret"},
        {"start": -1, "end": 1, "text": "secret"},
        {"start": 5e6, "end": 5e6, "text": "secret"},
        {"start": 1, "end": 1785835935, "text": "secret"},
        {"start": 1e11, "end": 1e11, "text": "secret"},
        {"start": 0, "end": 1, "text": "x" * 5_000_000},
        {"start": 0, "end": 1, "text": "half \ud800 of it"},
        {"start": 0, "end": 1, "text": ["secret"]},
        {"start": 0, "end": 1},
        {"end": 1, "text": "secret"},
        {"start": 0, "end": 1, "text": "secret", "segment_id": {}},
    ]
    good = {"start": 0, "end": 1, "text": "好"}
    entry = read({"uid": "u", "segments": [good, *bad, good | {"start": 1, "end": 2}]})
    assert [each.text for each in segments(entry)] == ["好", "好"]
    assert [problem.split(" ")[0] for problem in entry.problems] == [
        "segments[1]",
        "segments[2]",
        "segments[3].start",
        "segments[4].start",
        "segments[5].start",
        "segments[6].start",
        "segments[7].start",
        "a",
        "segments[9].start",
        "segments[10].text",
        "segments[11].text",
        "segments[12].text",
        "segments[13].text",
        "segments[14].start",
        "segments[15].segment_id",
    ]
    assert "secret" not in str(entry.problems)


def test_bad_details_leave_the_segment():
    """What is nice to know but unusable is noted and left out."""
    segment = {
        "start": 1,
        "end": 0.5,
        "text": "No\0 way",
        "completed": "yes",
        "speaker": ["Ann"],
        "language": "e" * 17,
        "seq": -1,
        "absolute_start_time": "yesterday",
        "words": [{"word": "No", "start": float("nan")}],
    }
    entry = read({"uid": "u", "segments": [segment]})
    assert segments(entry) == (
        SegmentFact("t:1000", has_id=False, text="No\ufffd way", completed=False, start_ms=1000, end_ms=1000),
    )
    fields = ("absolute_start_time", "completed", "seq", "language", "speaker", "words")
    assert [problem.split(" ")[0] for problem in entry.problems] == [f"segments[0].{field}" for field in fields]


def test_very_many_problems_are_counted():
    """Only the first twenty are named."""
    entry = read({"uid": "u", "segments": [{"start": 0, "end": 1, "text": "ok"}, *([{}] * 1000)]})
    assert len(entry.problems) == 21
    assert entry.problems[-1] == "980 more problems"
