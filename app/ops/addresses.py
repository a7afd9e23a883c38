"""Network addresses as text."""

from __future__ import annotations


def authority(host: str, port: int) -> str:
    """Return `host:port` as it stands in a URL and in nginx.conf: an IPv6 address in brackets (RFC 3986, 3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
