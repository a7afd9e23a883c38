from __future__ import annotations

import json

import pytest

from app.collector.live.socket_protocol import Unreadable, Wanted, encode, encode_mutable, read_request


def subscribe(*meetings: object) -> str:
    """A message."""
    return json.dumps({"action": "subscribe", "meetings": list(meetings)})


def test_meetings_are_read_with_their_place():
    """since_seq and meeting_id may be missing, and numbers may be texts."""
    request = read_request(
        subscribe(
            {"platform": "zoom", "native_id": "1", "since_seq": "7"},
            {"platform": "zoom", "native_meeting_id": "2", "meeting_id": 5},
        )
    )
    assert request.meetings == (Wanted(0, "zoom", "1", since_seq=7), Wanted(1, "zoom", "2", meeting_id=5))


@pytest.mark.parametrize(
    "value",
    [
        1,
        {},
        {"platform": "Zoom", "native_id": "1"},
        {"platform": "zoom", "native_id": "\x00"},
        {"platform": "zoom", "native_id": "\ud800"},
        {"platform": "zoom", "native_id": 5},
        {"platform": "zoom", "native_id": "1", "since_seq": -1},
        {"platform": "zoom", "native_id": "1", "since_seq": True},
        {"platform": "zoom", "native_id": "1", "meeting_id": 2**63},
    ],
)
def test_a_wrong_meeting_is_a_problem_of_its_own(value: object):
    """The others of the message are used."""
    request = read_request(subscribe(value, {"platform": "zoom", "native_id": "1"}))
    assert len(request.problems) == 1
    assert request.problems[0].startswith("meetings[0] ")
    assert len(request.meetings) == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "invalid_json"),
        ("[" * 1000, "invalid_json"),
        ("null", "invalid_json"),
        ('{"action":["subscribe"]}', "unknown_action"),
        ('{"action":"subscribe","meetings":[]}', "invalid_subscribe_payload"),
        (subscribe(*range(101)), "invalid_subscribe_payload"),
    ],
)
def test_messages_that_cannot_be_used(text: str, code: str):
    """They have the codes of Vexa's gateway."""
    with pytest.raises(Unreadable) as problem:
        read_request(text)
    assert problem.value.answer["error"] == code


def test_halves_of_surrogate_pairs_do_not_break_a_socket():
    """They become question marks."""
    assert encode({"text": "a\ud800"}) == '{"text":"a?"}'


def test_first_clients_get_segments_status_and_chat_only():
    """A frame without segments says nothing to them."""
    assert encode_mutable({"type": "transcript_retract", "segment_ids": []}) is None
    assert encode_mutable({"type": "meeting.status", "payload": {}}) is not None
    empty = {"type": "transcript", "meeting": {"id": 1}, "confirmed": [], "pending": [], "seq": 1, "prev_seq": 1}
    assert encode_mutable({**empty, "ts": "Z"}) is None
