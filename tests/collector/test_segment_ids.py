from __future__ import annotations

from app.collector.segment_ids import shown_id


def test_ids_are_unique_within_a_meeting():
    """A key from a time bears its session, since every session may have it; a producer's id is shown as it is."""
    assert shown_id("6f1c", "t:0") == "6f1c:t:0"
    assert shown_id("01JQ8Z", "01JQ8Z:0") == "01JQ8Z:0"
