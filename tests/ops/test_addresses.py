from __future__ import annotations

import pytest

from app.ops.addresses import authority


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "127.0.0.1:8000"),
        ("localhost", "localhost:8000"),
        ("::1", "[::1]:8000"),
        ("::", "[::]:8000"),
    ],
)
def test_ipv6_addresses_stand_in_brackets(host: str, expected: str):
    """Names and IPv4 addresses stay as they are."""
    assert authority(host, 8000) == expected
