from __future__ import annotations

import pytest

from app.collector.api.negotiation import asked_file


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", None),
        ("*/*", None),
        ("application/json", None),
        ("application/json, text/plain, */*", None),
        ("text/html,application/xhtml+xml,*/*;q=0.8", None),
        ("text/vtt", "vtt"),
        ("TEXT/VTT; charset=utf-8", "vtt"),
        ("application/x-subrip, */*;q=0.1", "srt"),
        ("text/plain;q=0.5, application/x-subrip", "srt"),
        ("application/json;q=0.5, text/plain", "txt"),
        ("text/plain;q=0", None),
        ("text/vtt;q=nonsense", None),
        (",;,;q=,", None),
    ],
)
def test_a_file_is_sent_to_those_who_prefer_one(accept: str, expected: str | None):
    """JSON on a tie and for wildcards; the higher weight wins."""
    assert asked_file(accept) == expected
