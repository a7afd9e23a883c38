"""Orders to a running cluster over a unix socket: one JSON line each way.

    {"order": "status"}                                  -> the status
    {"order": "scale", "kind": "worker", "count": 3}     -> the status once all of them serve, or an error

The socket lies in the cluster's own folder, which only its user may enter.
"""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any, Protocol

from app.cluster.reconciler import Kind
from app.core.errors import StartupError


class Commander(Protocol):
    """Who carries the orders out: the supervisor, or a test's stand-in."""

    def status(self) -> dict[str, object]:
        """Return what runs."""
        ...

    async def scale(self, kind: Kind, count: int) -> None:
        """Run that many; return when it is so. Raises StartupError if it cannot be."""
        ...


async def serve(path: Path, supervisor: Commander) -> asyncio.Server:
    """Listen for orders until the server is closed."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            reply = await _obey(await reader.readline(), supervisor)
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
        except (ConnectionError, ValueError):
            pass  # whoever asked has gone
        finally:
            writer.close()

    return await asyncio.start_unix_server(answer, path)


async def _obey(line: bytes, supervisor: Commander) -> dict[str, object]:
    try:
        order = json.loads(line)
        if order["order"] == "scale" and order["kind"] in ("worker", "gateway"):
            await supervisor.scale(order["kind"], int(order["count"]))
        elif order["order"] != "status":
            return {"error": f"unknown order: {order['order']!r}"}
    except StartupError as exc:
        return {"error": str(exc)}
    except (ValueError, KeyError, TypeError):
        return {"error": "an order is one line of JSON with order, kind and count"}
    return supervisor.status()


def ask(path: Path, order: dict[str, object], *, timeout_s: float) -> dict[str, Any]:
    """Send an order and wait for the answer. Blocking.

    Raises:
        StartupError: no cluster listens there, or it did not answer in time.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(str(path))
            connection.sendall(json.dumps(order).encode() + b"\n")
            with connection.makefile() as answers:
                reply = json.loads(answers.readline())
        except TimeoutError:
            raise StartupError(f"the cluster did not finish within {timeout_s:g} s; it goes on trying") from None
        except (OSError, ValueError):
            raise StartupError("no cluster runs on that port: start one with `python -m app cluster`") from None
    if not isinstance(reply, dict):
        raise StartupError("the cluster's answer is not understood")
    return reply
