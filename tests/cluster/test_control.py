from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.cluster import control
from app.cluster.reconciler import Kind
from app.core.errors import StartupError


class FakeCluster:
    """Records its orders; refuses more than nine members."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {"worker": 1, "gateway": 0}

    def status(self) -> dict[str, object]:
        """Return the sizes."""
        return dict(self.sizes)

    async def scale(self, kind: Kind, count: int) -> None:
        """Change the size."""
        if count > 9:
            raise StartupError(f"{count} is too many")
        self.sizes[kind] = count


@pytest.fixture
async def path() -> AsyncIterator[Path]:
    """Give the control socket of a cluster."""
    with tempfile.TemporaryDirectory() as folder:
        async with await control.serve(Path(folder) / "s", FakeCluster()):
            yield Path(folder) / "s"


async def send(path: Path, order: dict[str, object]) -> dict[str, object]:
    """Send an order from a thread, as another process would."""
    return await asyncio.to_thread(control.send, path, order, timeout_s=5)


async def test_orders_are_carried_out_and_answered_with_the_status(path):
    """The reply to scaling is the new status."""
    assert await send(path, {"order": "status"}) == {"worker": 1, "gateway": 0}
    assert await send(path, {"order": "scale", "kind": "worker", "count": 3}) == {"worker": 3, "gateway": 0}
    assert await send(path, {"order": "scale", "kind": "gateway", "count": 2}) == {"worker": 3, "gateway": 2}


async def test_an_impossible_order_is_refused_with_the_reason(path):
    """The cluster's own error reaches the client."""
    assert await send(path, {"order": "scale", "kind": "worker", "count": 10}) == {"error": "10 is too many"}


@pytest.mark.parametrize(
    "order", [{"order": "dance"}, {}, {"order": "scale", "kind": "queen", "count": 1}, {"order": "scale"}]
)
async def test_an_unknown_order_is_an_error(path, order):
    """It is answered with an error, and the socket serves on."""
    assert "error" in await send(path, order)
    assert "error" not in await send(path, {"order": "status"})


async def test_invalid_json_and_closed_connections_do_no_harm(path):
    """After them, and after an endless line, the socket serves on."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"\xff\n")
    assert b"error" in await reader.readline()
    writer.close()
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"x" * 100_000 + b"\n")
    assert b"one line of JSON" in await reader.readline()
    writer.close()
    _, silent = await asyncio.open_unix_connection(path)
    silent.close()
    assert "error" not in await send(path, {"order": "status"})


def test_without_a_cluster_the_error_says_so(tmp_path):
    """There is no socket: one line."""
    with pytest.raises(StartupError, match="no cluster runs"):
        control.send(tmp_path / "none", {"order": "status"}, timeout_s=1)


def test_a_reply_that_takes_too_long_is_an_error():
    """The error says that the cluster goes on trying."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{folder}/s")
        silent.listen()
        with pytest.raises(StartupError, match="goes on trying"):
            control.send(Path(folder) / "s", {"order": "status"}, timeout_s=0.05)


async def test_an_order_that_fails_unexpectedly_is_not_taken_for_a_missing_cluster():
    """The connection ends without a reply: the error refers to the cluster's log."""

    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    with tempfile.TemporaryDirectory() as folder:
        async with await asyncio.start_unix_server(close, f"{folder}/s"):
            with pytest.raises(StartupError, match="did not reply"):
                await send(Path(folder) / "s", {"order": "status"})
