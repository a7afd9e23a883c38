"""Check that a cluster of a given size can start, before anything is started. Blocking, but quick."""

from __future__ import annotations

from app.cluster.layout import Layout
from app.cluster.probe import port_is_free
from app.cluster.reconciler import Kind, Member
from app.core.errors import StartupError

MAX_MEMBERS = 64
MAX_PORT = 65_535


def check_start(layout: Layout, *, workers: int, gateways: int) -> None:
    """Check the sizes and every port of a new cluster.

    Raises:
        StartupError: a size is out of range, or a port cannot be used.
    """
    check_count("worker", workers)
    check_count("gateway", gateways)
    check_port(layout.host, layout.port)
    if gateways:
        check_port(layout.host, layout.live_port)
    check_member_ports(layout, "worker", 1, workers)
    check_member_ports(layout, "gateway", 1, gateways)
    check_member_ports(layout, "redis", 1, layout.redis_servers)
    check_member_ports(layout, "collector", 1, layout.collectors)


def check_scale(layout: Layout, kind: Kind, *, current: int, wanted: int) -> None:
    """Check the new size of a running cluster, and the ports that it needs in addition.

    Raises:
        StartupError: the size is out of range, or a port cannot be used.
    """
    check_count(kind, wanted)
    check_member_ports(layout, kind, current + 1, wanted)
    if kind == "gateway" and wanted and not current:
        check_port(layout.host, layout.live_port)


def check_count(kind: Kind, count: int) -> None:
    """Check a number of members: at least one worker, any number of gateways.

    Raises:
        StartupError: it is out of range.
    """
    low = 1 if kind == "worker" else 0
    if not low <= count <= MAX_MEMBERS:
        raise StartupError(f"{count} {kind}s: choose {low} to {MAX_MEMBERS}")


def check_member_ports(layout: Layout, kind: Kind, first: int, last: int) -> None:
    """Check the loopback ports of the members numbered `first` to `last`.

    Raises:
        StartupError: a port cannot be used.
    """
    for number in range(first, last + 1):
        check_port("127.0.0.1", layout.port_of(Member(kind, number)))


def check_port(host: str, port: int) -> None:
    """Check that a server could listen there now.

    Raises:
        StartupError: it could not.
    """
    if not 0 < port <= MAX_PORT:
        raise StartupError(f"port {port} does not exist: choose ports from 1 to {MAX_PORT}")
    try:
        free = port_is_free(host, port)
    except OSError as exc:
        raise StartupError(f"nothing can listen on {host}: {exc.strerror}") from exc
    if not free:
        raise StartupError(f"port {port} on {host} is in use: stop what listens there, or choose another port")
