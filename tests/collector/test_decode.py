from __future__ import annotations

import json

import pytest

from app.collector.decode import decoder
from app.collector.facts import Segments, SpeakerEvent
from app.collector.redis_io.entries import RawEntry
from app.collector.wire.errors import Unusable
from tests.collector.wire.entries import G1_SEGMENTS

decode = decoder(speaker_stream="events", secret="")


def test_segments_are_read_from_the_payload():
    """The one field of an entry of the segments stream."""
    entry = decode(RawEntry("segments", "5-0", {"payload": json.dumps(G1_SEGMENTS)}))
    assert isinstance(entry.facts[0], Segments)
    assert entry.stream == "segments"


def test_speaker_events_are_flat():
    """The stream decides how an entry is read."""
    fields = {"event_type": "SPEAKER_START", "participant_name": "Ann", "relative_client_timestamp_ms": "5", "uid": "u"}
    assert isinstance(decode(RawEntry("events", "5-0", fields)).facts[0], SpeakerEvent)


@pytest.mark.parametrize("fields", [{}, {"uid": "u"}, {"payload": "no JSON"}, {"payload": "\udcff"}])
def test_unusable_entries_are_refused(fields: dict[str, str]):
    """Without a payload, or with one that is no JSON."""
    with pytest.raises(Unusable):
        decode(RawEntry("segments", "5-0", fields))
