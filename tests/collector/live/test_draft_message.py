from __future__ import annotations

import json

import pytest

from app.collector.live.draft_message import read_bundle, read_drafts, read_object

START_MS = 1_771_147_203_101


def test_drafts_are_segments_with_absolute_times():
    """They have the fields of the read API, and ids that follow from the connection."""
    payload = json.dumps(
        {"type": "draft", "after": 12, "segments": [{"start": 41.2, "end": 42.0, "text": " and", "language": "en"}]}
    )
    drafts = read_drafts(payload, connection_id="c", session_uid="u", start_ms=START_MS)
    assert drafts is not None
    assert (drafts.connection_id, drafts.after) == ("c", 12)
    (segment,) = drafts.segments
    assert segment["segment_id"] == "c:draft:0"
    assert segment["text"] == "and"
    assert segment["completed"] is False
    assert segment["session_uid"] == "u"
    assert segment["absolute_start_time"] == "2026-02-15T09:20:44.301000Z"


@pytest.mark.parametrize(
    "payload",
    [
        "{",
        "[]",
        '{"type":"other","segments":[]}',
        '{"type":"draft","segments":{}}',
        '{"type":"draft","after":-1,"segments":[]}',
        "[" * 50_000,
    ],
)
def test_what_is_no_draft_is_ignored(payload: str):
    """Whatever is published on the channel."""
    assert read_drafts(payload, connection_id="c", session_uid=None, start_ms=0) is None


def test_segments_that_cannot_be_shown_are_left_out():
    """The others stay."""
    bad = [1, {}, {"start": "x", "end": 1, "text": "a"}, {"start": 0, "end": 1}]
    good = {"start": 0, "end": 1, "text": "ok"}
    payload = json.dumps({"type": "draft", "after": 0, "segments": [*bad, good]})
    drafts = read_drafts(payload, connection_id="c", session_uid=None, start_ms=0)
    assert drafts is not None
    assert [each["text"] for each in drafts.segments] == ["ok"]


def test_large_messages_are_not_parsed():
    """A megabyte is enough for any frame."""
    assert read_object('"' + "x" * (1 << 20) + '"') is None


def test_a_bundle_of_a_bot_gives_drafts():
    """Finals and drafts alike, under the frame's speaker; Unix times become absolute ones."""
    frame = {
        "type": "transcript",
        "speaker": "Ann",
        "confirmed": [{"segment_id": "b:1", "start": 1771147203.0, "end": 1771147204.0, "text": "hi"}],
        "pending": [{"segment_id": "b:2", "start": 1, "end": 2, "text": "so"}, {"start": 1, "end": 2, "text": "no id"}],
    }
    found = read_bundle(frame)
    assert found is not None
    assert found[0] == "Ann"
    assert [(each["segment_id"], each["speaker"]) for each in found[1]] == [("b:1", "Ann"), ("b:2", "Ann")]
    assert found[1][0]["absolute_start_time"] == "2026-02-15T09:20:03Z"
    assert read_bundle({"type": "transcript_retract"}) is None
