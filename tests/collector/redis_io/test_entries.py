from __future__ import annotations

import json

from app.collector.redis_io.entries import DeadLetter, RawEntry


def test_dead_letter_keeps_the_payload():
    """The payload as it was, with the entry's id, the reason and the number of tries."""
    letter = DeadLetter(RawEntry("s", "5-1", {"payload": "{\udcff"}), "not JSON", 2)
    assert letter.fields() == {"payload": "{\udcff", "id": "5-1", "error": "not JSON", "deliveries": 2}


def test_dead_letter_of_flat_fields_is_json():
    """A speaker event has no payload: its fields are written as one."""
    letter = DeadLetter(RawEntry("s", "5-1", {"uid": "u", "event_type": "X"}), "no name")
    assert json.loads(str(letter.fields()["payload"])) == {"uid": "u", "event_type": "X"}
