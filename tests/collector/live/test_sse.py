from __future__ import annotations

from app.collector.live.sse import event, read_last_event_id


def test_frames_are_events_with_ids():
    """The id is the meeting and its seq; what has no seq has no id, and unknown frames are left out."""
    frame = {"type": "transcript_retract", "meeting": {"id": 129}, "segment_ids": ["a"], "seq": 413, "prev_seq": 412}
    text = event(frame)
    assert text is not None
    assert text.startswith("event: retract\nid: 129-413\ndata: {")
    assert text.endswith("}\n\n")
    status = event({"type": "meeting.status", "meeting": {"id": 129}, "payload": {"status": "active"}})
    assert status is not None
    assert "id:" not in status.split("data:")[0]
    assert event({"type": "session", "meeting": {"id": 129}}) is None


def test_only_our_ids_resume():
    """Anything else counts as no id."""
    assert read_last_event_id("129-413") == (129, 413)
    for other in (None, "", "129", "a-b", "129-413-1", "9999999999999999999-1", "١-٢"):
        assert read_last_event_id(other) is None
