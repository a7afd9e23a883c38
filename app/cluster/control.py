"""Orders to a running cluster over a unix socket: one line of JSON each way.

    {"order": "status"}                                  -> the status
    {"order": "scale", "kind": "worker", "count": 3}     -> the status once all of them serve, or an error

The socket is in the cluster's folder, which only its user may enter.
"""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from app.cluster.reconciler import Kind
from app.core.errors import StartupError


class ControlledCluster(Protocol):
    """Carries out orders: the supervisor, or a fake in tests."""

    def status(self) -> dict[str, object]:
        """Return what runs."""
        ...

    async def scale(self, kind: Kind, count: int) -> None:
        """Run that many members; return once they serve. Raises StartupError if that is impossible."""
        ...


@dataclass(frozen=True, slots=True)
class Scale:
    """The order to run `count` members of a kind."""

    kind: Kind
    count: int


async def serve(path: Path, cluster: ControlledCluster) -> asyncio.Server:
    """Take orders on that socket until the returned server is closed."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            try:
                line = await reader.readline()
            except ValueError:  # longer than the reader's limit
                line = b""
            reply = await _reply(line, cluster)
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
        except ConnectionError:
            pass  # the client has disconnected
        finally:
            writer.close()

    return await asyncio.start_unix_server(handle, path)


async def _reply(line: bytes, cluster: ControlledCluster) -> dict[str, object]:
    try:
        order = _parse(line)
        if order is not None:
            await cluster.scale(order.kind, order.count)
    except StartupError as exc:
        return {"error": str(exc)}
    return cluster.status()


def _parse(line: bytes) -> Scale | None:
    """Return the order to scale, or None for the order to return the status.

    Raises:
        StartupError: it is neither.
    """
    try:
        order = json.loads(line)
        if order["order"] == "status":
            return None
        if order["order"] == "scale" and order["kind"] in ("worker", "gateway"):
            return Scale(order["kind"], int(order["count"]))
    except (ValueError, KeyError, TypeError, OverflowError):
        raise StartupError("an order is one line of JSON with order, kind and count") from None
    raise StartupError(f"unknown order: {order['order']!r}")


def send(path: Path, order: dict[str, object], *, timeout_s: float) -> dict[str, Any]:
    """Send an order and wait for the reply. Blocking.

    Raises:
        StartupError: no cluster listens there, or it did not reply, or not in time.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(str(path))
        except OSError:
            raise StartupError("no cluster runs on that port: start one with `python -m app cluster`") from None
        try:
            connection.sendall(json.dumps(order).encode() + b"\n")
            with connection.makefile() as replies:
                reply = json.loads(replies.readline())
        except TimeoutError:
            raise StartupError(f"the cluster did not finish within {timeout_s:g} s; it goes on trying") from None
        except (OSError, ValueError):
            reply = None
    if not isinstance(reply, dict):
        raise StartupError("the cluster did not reply to the order; its log may say why")
    return reply
