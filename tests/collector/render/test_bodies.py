from __future__ import annotations

import json
from dataclasses import replace

import pytest

from app.collector.render.bodies import iso, meeting_json, segment_json, transcript_json
from tests.collector.render.rows import HELLO, MEETING

TRANSCRIPT = (
    '{"id":129,"platform":"google_meet","native_meeting_id":"zqe-gfmd-knr",'
    '"constructed_meeting_url":"https://meet.google.com/zqe-gfmd-knr","status":"completed",'
    '"start_time":"2026-02-15T09:20:03.101000Z","end_time":"2026-02-15T10:02:11Z","recordings":[],"notes":null,'
    '"data":{"name":"Standup"},"seq":412,"complete":true,"segments":[{"start":0.0,"end":3.2,"start_time":0.0,'
    '"end_time":3.2,"text":"Hello everyone.","language":"en","speaker":"Alice","completed":true,'
    '"absolute_start_time":"2026-02-15T09:20:03.101000Z","absolute_end_time":"2026-02-15T09:20:06.301000Z",'
    '"segment_id":"01JQ8Z:0","session_uid":"6f1c","speaker_mapping_status":"MAPPED",'
    '"created_at":"2026-02-15T09:20:07Z","seq":3}],"next_cursor":null}'
)
MEETING_BODY = (
    '{"id":129,"user_id":4,"platform":"google_meet","native_meeting_id":"zqe-gfmd-knr",'
    '"constructed_meeting_url":"https://meet.google.com/zqe-gfmd-knr","status":"completed",'
    '"bot_container_id":null,"start_time":"2026-02-15T09:20:03.101000Z","end_time":"2026-02-15T10:02:11Z",'
    '"completion_reason":null,"failure_stage":null,"data":{"name":"Standup"},'
    '"created_at":"2026-02-15T09:20:03Z","updated_at":"2026-02-15T09:20:04Z"}'
)


def dump(body: object) -> str:
    """JSON without white space."""
    return json.dumps(body, separators=(",", ":"))


def test_a_transcript():
    """Byte by byte what clients of Vexa read."""
    assert dump(transcript_json(MEETING, [HELLO])) == TRANSCRIPT


def test_a_meeting():
    """Byte by byte, without segments."""
    assert dump(meeting_json(replace(MEETING, updated_ms=1771147204000))) == MEETING_BODY


def test_what_a_meeting_may_lack():
    """A deleted meeting has no name and no address; notes come from what people added."""
    body = transcript_json(
        replace(MEETING, native_id=None, start_ms=None, end_ms=None, complete=None, data={"notes": "ask Bob"}),
        [],
        next_cursor="c",
    )
    assert (body["native_meeting_id"], body["constructed_meeting_url"]) == (None, None)
    assert (body["start_time"], body["end_time"], body["complete"]) == (None, None, None)
    assert (body["notes"], body["segments"], body["next_cursor"]) == ("ask Bob", [], "c")


def test_details_appear_where_they_say_something():
    """Hidden, promoted and deleted segments, and what only some producers know."""
    row = replace(
        HELLO,
        key="t:0",
        hidden_by="t:20",
        promoted=True,
        deleted=True,
        words=({"word": "Hello"},),
        speaker_key="ch-0",
        source="chat",
    )
    body = segment_json(row)
    assert body["segment_id"] == "01JQ8Z:t:0"
    assert {name: body[name] for name in list(body)[list(body).index("seq") + 1 :]} == {
        "hidden_by": "01JQ8Z:t:20",
        "promoted": True,
        "deleted": True,
        "words": [{"word": "Hello"}],
        "speaker_key": "ch-0",
        "source": "chat",
    }


@pytest.mark.parametrize(
    ("unix_ms", "text"),
    [
        (1771147203101, "2026-02-15T09:20:03.101000Z"),
        (1771147203000, "2026-02-15T09:20:03Z"),
        (1771147203999, "2026-02-15T09:20:03.999000Z"),
        (0, "1970-01-01T00:00:00Z"),
    ],
)
def test_times(unix_ms: int, text: str):
    """UTC with a Z, exact to the millisecond."""
    assert iso(unix_ms) == text
