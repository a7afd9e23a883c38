from __future__ import annotations

import pytest

from app.ops.addresses import TrustedProxies, authority, client_address

LOOPBACK = "127.0.0.1,::1"


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "trusted", "address"),
    [
        ("203.0.113.9", "", LOOPBACK, "203.0.113.9"),
        ("127.0.0.1", "", LOOPBACK, ""),
        ("::1", "", LOOPBACK, ""),
        ("127.0.0.1", "203.0.113.9", LOOPBACK, "203.0.113.9"),
        ("::ffff:127.0.0.1", "203.0.113.9", LOOPBACK, "203.0.113.9"),
        ("127.0.0.1", "127.0.0.1", LOOPBACK, ""),
        ("203.0.113.9", "198.51.100.1", LOOPBACK, "203.0.113.9"),
        ("127.0.0.1", "127.0.0.1, 203.0.113.9", LOOPBACK, "203.0.113.9"),
        ("127.0.0.1", "198.51.100.1, 203.0.113.9", LOOPBACK, "203.0.113.9"),
        ("127.0.0.1", "198.51.100.1, 10.1.2.3", LOOPBACK + ",10.0.0.0/8", "198.51.100.1"),
        ("172.18.0.5", "198.51.100.1", "*", "198.51.100.1"),
        ("10.0.0.5", "198.51.100.1, unknown", "*", "10.0.0.5"),
        ("2001:db8:1:2:3:4:5:6", "", LOOPBACK, "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "", LOOPBACK, "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "", LOOPBACK, "203.0.113.9"),
        ("fe80::1%eth0", "", LOOPBACK, "fe80::/64"),
        ("/run/socket", "", LOOPBACK, "/run/socket"),
    ],
)
def test_the_client_behind_trusted_proxies(peer: str, forwarded_for: str, trusted: str, address: str):
    """The last hop that is not a trusted proxy is the client; what a client itself claims does not count."""
    assert client_address(peer, forwarded_for, TrustedProxies(trusted)) == address


def test_a_proxy_that_is_no_address_is_refused():
    """A mistake in the list is an error, not a proxy that is silently not trusted."""
    with pytest.raises(ValueError, match="nginx"):
        TrustedProxies("127.0.0.1, nginx")


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
