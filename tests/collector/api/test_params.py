from __future__ import annotations

import pytest

from app.collector.api.errors import ApiError
from app.collector.api.params import unix_ms


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-02-15T09:20:03.101Z", 1_771_147_203_101),
        ("2026-02-15T10:20:03.101+01:00", 1_771_147_203_101),
        ("2026-02-15T10:20:03.101 01:00", 1_771_147_203_101),
        ("2026-02-15T09:20:03.101", 1_771_147_203_101),
        ("2026-02-15", 1_771_113_600_000),
    ],
)
def test_moments_are_utc_without_a_zone(moment: str, expected: int):
    """Dates and times, with a zone, without one, and with a plus that was not escaped."""
    assert unix_ms("from", moment) == expected


def test_no_moment_is_none():
    """A missing bound."""
    assert unix_ms("from", None) is None


@pytest.mark.parametrize("moment", ["", "yesterday", "2026-13-01", "\u0662026-01-01"])
def test_other_texts_are_refused_by_name(moment: str):
    """422 that names the parameter and shows an example."""
    with pytest.raises(ApiError, match=r"to: .* is not a time such as 2026-02-15T09:20:00Z"):
        unix_ms("to", moment)
