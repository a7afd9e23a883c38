from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.http.key_limits.periods import Period, Standing, day_of, duration, headers_of, minute_of, standing

NEW_YEAR_S = 1_767_225_600  # 2026-01-01T00:00:00Z


def test_periods_are_those_of_the_clock_in_utc():
    """The last second of a minute and of a day belongs to it, the next one to the next."""
    assert minute_of(NEW_YEAR_S - 0.001) == Period("2025-12-31T23:59", NEW_YEAR_S)
    assert minute_of(NEW_YEAR_S) == Period("2026-01-01T00:00", NEW_YEAR_S + 60)
    assert day_of(NEW_YEAR_S - 0.001) == Period("2025-12-31", NEW_YEAR_S)
    assert day_of(NEW_YEAR_S) == Period("2026-01-01", NEW_YEAR_S + 86_400)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.02, "20ms"),
        (0.0001, "1ms"),
        (1, "1s"),
        (8.64, "8.64s"),
        (59.9999, "1m0s"),
        (72.5, "1m12.5s"),
        (360, "6m0s"),
        (3600.5, "1h0m0.5s"),
        (86_400, "24h0m0s"),
    ],
)
def test_durations_have_openais_form(seconds: float, text: str):
    """As in OpenAI's documented examples (1s, 6m0s) and what its servers send (20ms, 8.64s)."""
    assert duration(seconds) == text


@given(st.floats(0, 100_000))
def test_every_duration_can_be_read_back(seconds: float):
    """Hours, minutes, seconds or milliseconds; rounded up to milliseconds."""
    text = duration(seconds)
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:([\d.]+)s)?|(\d+)ms", text)
    assert found
    hours, minutes, rest, ms = (float(part or 0) for part in found.groups())
    assert -1e-6 <= hours * 3600 + minutes * 60 + rest + ms / 1000 - seconds <= 0.0011


def test_headers_are_openais():
    """Limit, remaining and the time until all requests are available again."""
    assert headers_of(standing(limit=60, used=1, now_s=NEW_YEAR_S + 51.36)) == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "8.64s",
    }
    assert standing(limit=2, used=3, now_s=NEW_YEAR_S) == Standing(2, 0, 60.0)
    assert standing(limit=2, used=0, now_s=NEW_YEAR_S) == Standing(2, 2, 0.0)
    # a Redis that lost its data before a request was taken back
    assert standing(limit=2, used=-1, now_s=NEW_YEAR_S) == Standing(2, 2, 0.0)
