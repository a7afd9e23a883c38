from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.collector.facts import Entry, Revision, Room, SpeakerEvent
from app.collector.wire.errors import Unusable
from app.collector.wire.speaker_entry import read_speaker_entry
from tests.collector.properties import PROPERTY

STREAM = "speaker_events_relative"
EVENT = {
    "event_type": "SPEAKER_START",
    "participant_name": "Alice",
    "participant_id_meet": "spaces/x/devices/7",
    "relative_client_timestamp_ms": "5000",
    "uid": "6f1c",
    "platform": "google_meet",
    "meeting_id": "8725",
    "meeting_url": "https://meet.google.com/abc-defg-hij",
    "server_received_timestamp_iso": "2026-02-15T09:20:08.113Z",
}


def test_an_event():
    """Flat strings become an event of a session."""
    assert read_speaker_entry(STREAM, "1771147208113-2", EVENT) == Entry(
        stream=STREAM,
        revision=Revision(1771147208113, 2),
        room=Room(platform="google_meet", meeting_id=8725),
        session_key="6f1c",
        session_uid="6f1c",
        connection_id=None,
        facts=(SpeakerEvent(5000, "SPEAKER_START", "Alice", "spaces/x/devices/7"),),
    )


def test_a_connection_of_our_gateway():
    """Its id separates connections whose clients repeat a uid; the participant's id may be missing."""
    event = {name: value for name, value in EVENT.items() if name != "participant_id_meet"} | {"connection_id": "01JQ"}
    entry = read_speaker_entry(STREAM, "1-0", event)
    assert (entry.session_key, entry.session_uid, entry.connection_id) == ("01JQ", "6f1c", "01JQ")
    assert entry.facts == (SpeakerEvent(5000, "SPEAKER_START", "Alice"),)


def test_a_token_is_not_used():
    """The stream has none; one that is there anyway changes nothing."""
    assert read_speaker_entry(STREAM, "1-0", EVENT | {"token": "T"}) == read_speaker_entry(STREAM, "1-0", EVENT)


@pytest.mark.parametrize(("text", "t_ms"), [("5000.4", 5000), ("-30", 0), (" 7 ", 7), ("1e3", 1000)])
def test_times(text: str, t_ms: int):
    """Fractions are rounded; who spoke before the first audio spoke from its start."""
    (event,) = read_speaker_entry(STREAM, "1-0", EVENT | {"relative_client_timestamp_ms": text}).facts
    assert isinstance(event, SpeakerEvent)
    assert event.t_ms == t_ms


@pytest.mark.parametrize("field", ["uid", "event_type", "participant_name", "relative_client_timestamp_ms"])
@pytest.mark.parametrize("value", [None, "", "nan", "9" * 400, "\ud800"])
def test_required_fields(field: str, value: str | None):
    """Without session, kind, name or time an event says nothing; a name and a uid may be any short text."""
    event = {name: text for name, text in (EVENT | {field: value}).items() if text is not None}
    if value == "nan" and field in {"uid", "participant_name"}:
        assert read_speaker_entry(STREAM, "1-0", event)
        return
    with pytest.raises(Unusable, match=field):
        read_speaker_entry(STREAM, "1-0", event)


@PROPERTY
@given(fields=st.dictionaries(st.sampled_from(sorted(EVENT)), st.text()))
def test_fields_are_read_or_refused(fields):
    """Nothing but a refusal comes out of fields that cannot be used."""
    with suppress(Unusable):
        read_speaker_entry(STREAM, "1-0", EVENT | fields)
