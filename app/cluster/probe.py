"""Probe a process of this machine over HTTP, and its ports. Blocking: call it on a thread."""

from __future__ import annotations

import errno
import http.client
import json
import socket
from typing import Any

PROBE_TIMEOUT_S = 2.0


def status_of(host: str, port: int, path: str, *, timeout_s: float = PROBE_TIMEOUT_S) -> int | None:
    """Return the status of `GET path`; None without an answer in time."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def json_of(host: str, port: int, path: str) -> dict[str, Any] | None:
    """Return the JSON object in the answer to `GET path`; None without an answer in time, or if it is no object."""
    connection = http.client.HTTPConnection(host, port, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request("GET", path)
        body = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return body if isinstance(body, dict) else None


def header_of(host: str, port: int, path: str, name: str) -> str | None:
    """Return a header of the answer to `GET path`; None without an answer in time, or without that header."""
    connection = http.client.HTTPConnection(host, port, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().headers.get(name)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def any_free_port(host: str) -> int:
    """Return a port of this IPv4 address on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def port_is_free(host: str, port: int) -> bool:
    """Return whether a server could listen there now.

    Raises:
        OSError: the host is neither an address of this machine nor a name of one.
    """
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        with socket.socket(family, kind, protocol) as probe:
            # As servers do: closed connections in TIME_WAIT do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                # As nginx does: an IPv6 address does not include IPv4.
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind(address)
            except OSError as exc:
                if exc.errno not in {errno.EADDRINUSE, errno.EACCES}:
                    raise
                return False
    return True
