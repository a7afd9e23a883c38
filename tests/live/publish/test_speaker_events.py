import json

import pytest

from app.core.json_guard import load_json
from app.live.publish.payloads import Identity
from app.live.publish.speaker_events import UnusableEvent, control_event, speaker_entry

IDENTITY = Identity("c", "6f1c", "g", "T", "google_meet", 8725)
EVENT = {
    "event_type": "SPEAKER_START",
    "participant_name": "Alice",
    "participant_id_meet": "spaces/x/devices/7",
    "relative_client_timestamp_ms": 5000,
    "uid": "6f1c",
    "token": "T",
    "platform": "google_meet",
    "meeting_id": 8725,
    "meeting_url": "https://meet.google.com/abc",
}


def fields(identity=IDENTITY, **changed):
    """The entry of an event with these fields changed."""
    entry = speaker_entry(EVENT | changed, identity, received_ms=1_771_147_208_113, stream="speakers")
    assert entry.stream == "speakers"
    return dict(entry.fields)


def test_flat_text_without_the_token():
    """Every field is text, and the token stays here."""
    assert fields() == {
        "event_type": "SPEAKER_START",
        "participant_name": "Alice",
        "participant_id_meet": "spaces/x/devices/7",
        "relative_client_timestamp_ms": "5000",
        "uid": "6f1c",
        "connection_id": "c",
        "platform": "google_meet",
        "meeting_id": "8725",
        "meeting_url": "https://meet.google.com/abc",
        "server_received_timestamp_iso": "2026-02-15T09:20:08.113Z",
    }


def test_an_event_belongs_to_its_own_connection():
    """A uid or a meeting of others is not believed; without a handshake's own meeting, the event's is used."""
    assert fields(uid="other", meeting_id="other", platform="zoom")["uid"] == "6f1c"
    assert fields(uid="other", meeting_id="other", platform="zoom")["meeting_id"] == "8725"
    anonymous = Identity(connection_id="c", uid="u", gateway="g")
    assert fields(anonymous, meeting_id="abc")["meeting_id"] == "abc"


@pytest.mark.parametrize("offset", ["5000", "5000.2", 4999.9])
def test_the_offset_may_be_text(offset):
    """Whole milliseconds are written."""
    assert fields(relative_client_timestamp_ms=offset)["relative_client_timestamp_ms"] == "5000"


@pytest.mark.parametrize("name", ["participant_id_meet", "meeting_url"])
def test_null_is_left_out(name):
    """Redis has no null."""
    assert name not in fields(**{name: None})


@pytest.mark.parametrize(
    "changed",
    [
        '{"event_type": "SPEAKER_SINGS"}',
        '{"event_type": ["SPEAKER_START"]}',
        '{"event_type": null}',
        '{"participant_name": ""}',
        '{"participant_name": null}',
        '{"participant_name": {"a": {"b": []}}}',
        '{"participant_name": "\\ud800"}',
        '{"participant_name": "%s"}' % ("x" * 256),
        '{"participant_id_meet": 7}',
        '{"meeting_url": "%s"}' % ("x" * 3000),
        '{"relative_client_timestamp_ms": NaN}',
        '{"relative_client_timestamp_ms": Infinity}',
        '{"relative_client_timestamp_ms": "nan"}',
        '{"relative_client_timestamp_ms": "soon"}',
        '{"relative_client_timestamp_ms": true}',
        '{"relative_client_timestamp_ms": null}',
        '{"relative_client_timestamp_ms": []}',
        '{"relative_client_timestamp_ms": 1%s}' % ("0" * 90),
    ],
)
def test_what_no_reader_can_use_is_refused(changed):
    """Missing, nested, huge and impossible values; the error names the field and never the value."""
    changed = load_json(changed)
    with pytest.raises(UnusableEvent) as refused:
        fields(**changed)
    assert str(refused.value) in EVENT
    assert json.dumps(changed) not in str(refused.value)


def test_control_event():
    """The event of a session_control message, if it is a text."""
    assert control_event({"event": "LEAVING_MEETING", "uid": "random"}) == "LEAVING_MEETING"
    for hostile in ({}, {"event": 3}, {"event": "x" * 65}, {"event": "\ud800"}, {"event": ""}):
        with pytest.raises(UnusableEvent):
            control_event(hostile)
