from __future__ import annotations

from app.contracts.collector import draft_channel, draft_key, iso_z, meeting_channel


def test_times_end_with_z_and_have_milliseconds():
    """Readers strip the Z and parse the rest; an offset would be misread."""
    assert iso_z(1771147203101) == "2026-02-15T09:20:03.101Z"
    assert iso_z(1771147203000) == "2026-02-15T09:20:03.000Z"


def test_names_of_channels():
    """Vexa's names are Vexa's, ours begin with the session."""
    assert meeting_channel(42) == "tc:meeting:42:mutable"
    assert draft_channel("c1") == "tc:session:c1"
    assert draft_key("c1") == "session:c1:pending"
