"""Network addresses: how one is written in a URL, and whose it is behind proxies. Pure.

`X-Forwarded-For: client, proxy, ...` names the hops before the last one. Any client can send it, so
an entry counts only if the hop behind it is a trusted proxy.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
IPV6_CLIENT_PREFIX = 64  # one IPv6 client usually has a whole /64 network to choose addresses from


def authority(host: str, port: int) -> str:
    """Return `host:port` as it stands in a URL and in nginx.conf: an IPv6 address in brackets (RFC 3986, 3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Can only this machine reach a server that listens on `host`?"""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class TrustedProxies:
    """Addresses and networks whose X-Forwarded-For is trusted."""

    def __init__(self, listed: str) -> None:
        """Read `127.0.0.1, 10.0.0.0/8`, or `*` for all.

        Raises:
            ValueError: an entry is not an address or a network.
        """
        entries = [each.strip() for each in listed.split(",") if each.strip()]
        self._all = "*" in entries
        self._networks: tuple[IPv4Network | IPv6Network, ...] = tuple(
            ip_network(each, strict=False) for each in entries if each != "*"
        )

    def trusts(self, address: Address) -> bool:
        """Is this one of the proxies?"""
        return self._all or any(address in network for network in self._networks)


def client_address(peer: str, forwarded_for: str, proxies: TrustedProxies) -> str:
    """The client's address, the same for all connections of one client.

    Args:
        peer: address of the other end of the TCP connection.
        forwarded_for: the X-Forwarded-For header, empty if there is none.
        proxies: those whose header is trusted.

    Returns:
        An IPv4 address, an IPv6 network, or an empty string for this machine itself.
    """
    address = _parsed(peer)
    for hop in reversed(forwarded_for.split(",")):
        before = _parsed(hop)
        if before is None or address is None or not proxies.trusts(address):
            break
        address = before
    if address is None:
        return peer
    if address.is_loopback:
        return ""
    if isinstance(address, IPv6Address):
        return str(ip_network((address, IPV6_CLIENT_PREFIX), strict=False))
    return str(address)


def _parsed(text: str) -> Address | None:
    """An address; one that is IPv4 written as IPv6 becomes IPv4. None if it is none."""
    try:
        address = ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
