from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.collector.facts import Entry, Retract, Revision, Room, SegmentFact, Segments, SessionEnd, SessionStart
from app.collector.wire.errors import Unusable
from app.collector.wire.segments_entry import read_segments_entry
from tests.collector.properties import PROPERTY
from tests.collector.wire.entries import (
    G1_END,
    G1_SEGMENTS,
    G1_START,
    G2_BUNDLE,
    G3_RETRACT,
    G3_SEGMENT,
    OURS_END,
    OURS_SEGMENT,
    OURS_START,
    SIGNING_KEY,
    STREAM,
    meeting_token,
    read,
)

T_SHA256 = sha256(b"T").hexdigest()


def test_our_entries():
    """What our gateway writes, down to each field."""
    room = Room(platform="google_meet", meeting_id=8725, token_sha256=T_SHA256)
    origin: dict[str, Any] = {"session_key": "01JQ8Z", "session_uid": "6f1c", "connection_id": "01JQ8Z"}
    revision = Revision(1771147203000, 0)
    start_ms = 1771147203101
    hello = SegmentFact(
        key="01JQ8Z:0",
        has_id=True,
        text="Hello everyone.",
        completed=True,
        start_ms=0,
        end_ms=3200,
        abs_start_ms=start_ms,
        abs_end_ms=start_ms + 3200,
        ordinal=0,
        language="en",
    )
    assert read(OURS_START) == Entry(STREAM, revision, room, **origin, facts=(SessionStart(start_ms),))
    assert read(OURS_SEGMENT) == Entry(STREAM, revision, room, **origin, facts=(Segments((hello,)),))
    assert read(OURS_END).facts == (SessionEnd(end_ms=1771149731000, final_count=184),)


def test_whisperlive_sessions():
    """Microseconds are rounded; an end without a count has none."""
    start = read(G1_START)
    assert start.facts == (SessionStart(1771147202597),)
    assert start.room == Room(platform="google_meet", native_id="abc-defg-hij", token_sha256=T_SHA256)
    assert read(G1_END).facts == (SessionEnd(end_ms=1771149731000),)


def test_a_missing_type_is_a_transcription():
    """Old producers name no type; a null counts as none, and lists of a bundle give a bundle away."""
    untyped = {field: value for field, value in G1_SEGMENTS.items() if field != "type"}
    assert read(untyped) == read(G1_SEGMENTS) == read(untyped | {"type": None})
    assert read({**G2_BUNDLE, "type": None}) == read(G2_BUNDLE)


def test_a_session_without_uid():
    """Where the producer names no session, the meeting has one."""
    entry = read(G3_SEGMENT)
    assert (entry.session_key, entry.session_uid, entry.connection_id) == ("-", None, None)
    assert entry.room == Room(native_id="abc-defg-hij", meeting_id=8725)


def test_a_retraction():
    """Ids that cannot be used are noted; without any the entry is refused."""
    assert read(G3_RETRACT).facts == (Retract(("turn:1:p0",)),)
    mixed = read(G3_RETRACT | {"segment_ids": ["a", {}, "", 7]})
    assert mixed.facts == (Retract(("a", "7")),)
    assert mixed.problems == ("segment_ids[1] is neither a string nor a whole number",)
    bad: Any
    for bad in (None, [], [[]], "a"):
        with pytest.raises(Unusable, match="segment_ids"):
            read(G3_RETRACT | {"segment_ids": bad})


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ("", "not usable JSON"),
        ("{", "not usable JSON"),
        ("[" * 50_000, "nested too deeply"),
        ("[" * 200_000, "too many lists"),
        ('{"meeting_id":' + "9" * 5000 + "}", "more than 100 characters"),
        ('"' + "x" * (16 * 1024 * 1024) + '"', "characters; the limit is 16777216"),
        ("[]", "not a JSON object"),
        ("NaN", "not a JSON object"),
        ("null", "not a JSON object"),
        ({}, "segments is missing"),
        ({"segments": {}}, "segments is not a list"),
        ({"segments": [{}]}, "start is not a number"),
        ({"type": "glow"}, "unknown type glow; known are"),
        ({"type": "What Ann said"}, "unknown type; known are"),
        ({"type": []}, "unknown type; known are"),
        ({"type": "session_start", "uid": "u"}, "start_time is not a number"),
        ({"type": "session_start", "start_timestamp": "soon"}, "start_timestamp is not a time"),
        (G1_SEGMENTS | {"uid": []}, "uid is neither"),
        (G1_SEGMENTS | {"uid": "u" * 256}, "uid has 256 characters"),
        (G1_SEGMENTS | {"token": 5}, "token is not a string"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_hostile_payloads_are_refused(payload: Any, reason: str):
    """An entry of which nothing can be used says why."""
    with pytest.raises(Unusable, match=reason):
        read(payload)


def test_an_empty_list_says_nothing():
    """No segments are no problem, and no reason to forget the session's drafts."""
    entry = read(G1_SEGMENTS | {"segments": []})
    assert (entry.facts, entry.problems) == ((Segments(()),), ())


def test_other_ids_than_redis_writes_are_refused():
    """An id that is no revision cannot be ordered."""
    with pytest.raises(Unusable, match="id"):
        read(OURS_END, entry_id="last")


def test_tokens_are_verified_where_there_is_a_secret():
    """The claims name the meeting and its owner; another secret's token is refused, none at all is trusted."""
    entry = read(G1_SEGMENTS | {"token": meeting_token()}, secret=SIGNING_KEY)
    assert entry.room.meeting_id == 8725
    assert entry.room.owner_id == 4
    assert entry.room.expires_ms == 1771154402000
    with pytest.raises(Unusable, match="another secret"):
        read(G1_SEGMENTS | {"token": meeting_token("another secret of more than 32 bytes")}, secret=SIGNING_KEY)
    assert read(G3_SEGMENT, secret=SIGNING_KEY).room.meeting_id == 8725


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800")
NAMES = st.sampled_from(
    [
        "type",
        "token",
        "platform",
        "meeting_id",
        "native_meeting_id",
        "uid",
        "session_uid",
        "connection_id",
        "segments",
        "confirmed",
        "pending",
        "speaker",
        "segment_id",
        "segment_ids",
        "start",
        "end",
        "text",
        "completed",
        "seq",
        "words",
        "language",
        "source",
        "absolute_start_time",
        "absolute_end_time",
        "start_timestamp",
        "end_timestamp",
        "final_count",
    ]
)
KINDS = st.sampled_from(["transcription", "transcript", "session_start", "session_end", "transcript_retract"])
OBJECTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=8), max_leaves=12
)


@PROPERTY
@given(payload=st.dictionaries(NAMES, OBJECTS, max_size=10), kind=KINDS, secret=st.sampled_from(["", SIGNING_KEY]))
def test_objects_are_read_or_refused(payload, kind, secret):
    """Whatever stands in the fields, the reader refuses the entry or returns one that a database can hold."""
    try:
        entry = read({**payload, "type": kind}, secret=secret)
    except Unusable:
        return
    str(entry).encode()  # no half surrogate pair is left
    for fact in entry.facts:
        for segment in fact.segments if isinstance(fact, Segments) else ():
            assert segment.start_ms is not None or segment.abs_start_ms is not None
            assert 0 <= (segment.start_ms or 0) <= (segment.end_ms or 0) < 2**31
            assert "\0" not in segment.text


@PROPERTY
@given(text=st.text() | st.binary().map(lambda data: data.decode(errors="surrogateescape")))
def test_texts_are_read_or_refused(text):
    """Anything that is not JSON is refused."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        with pytest.raises(Unusable):
            read_segments_entry(STREAM, "1-0", text, secret="")
