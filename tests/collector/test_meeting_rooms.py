from __future__ import annotations

import pytest

from app.collector.meeting_rooms import meeting_url


@pytest.mark.parametrize(
    ("platform", "native_id", "url"),
    [
        ("google_meet", "abc-defg-hij", "https://meet.google.com/abc-defg-hij"),
        ("zoom", "12345678901", "https://zoom.us/j/12345678901"),
        ("teams", "a/../b?c", "https://teams.live.com/meet/a%2F..%2Fb%3Fc"),
        ("google_meet", None, None),
        ("none", "x", None),
    ],
)
def test_meeting_urls(platform, native_id, url):
    """The address where the platform's follows from the id, which cannot leave its place in it."""
    assert meeting_url(platform, native_id) == url
