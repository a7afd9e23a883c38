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


class FakeSupervisor:
    """Remembers its orders; more than nine workers are not to be had."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {"worker": 1, "gateway": 0}

    def status(self) -> dict[str, object]:
        """Return the sizes."""
        return dict(self.sizes)

    async def scale(self, kind: Kind, count: int) -> None:
        """Take the order."""
        if count > 9:
            raise StartupError(f"{count} is too many")
        self.sizes[kind] = count


@pytest.fixture
async def path() -> AsyncIterator[Path]:
    """Give the socket of a running supervisor."""
    with tempfile.TemporaryDirectory() as folder:
        async with await control.serve(Path(folder) / "s", FakeSupervisor()):
            yield Path(folder) / "s"


async def ask(path: Path, order: dict[str, object]) -> dict[str, object]:
    """Ask from a thread, as another process would."""
    return await asyncio.to_thread(control.send, path, order, timeout_s=5)


async def test_orders_are_carried_out_and_answered_with_the_status(path):
    """Scaling answers what runs afterwards."""
    assert await ask(path, {"order": "status"}) == {"worker": 1, "gateway": 0}
    assert await ask(path, {"order": "scale", "kind": "worker", "count": 3}) == {"worker": 3, "gateway": 0}
    assert await ask(path, {"order": "scale", "kind": "gateway", "count": 2}) == {"worker": 3, "gateway": 2}


async def test_what_cannot_be_done_is_said(path):
    """The supervisor's own reason reaches who asked."""
    assert await ask(path, {"order": "scale", "kind": "worker", "count": 10}) == {"error": "10 is too many"}


@pytest.mark.parametrize(
    "order", [{"order": "dance"}, {}, {"order": "scale", "kind": "queen", "count": 1}, {"order": "scale"}]
)
async def test_an_order_that_makes_no_sense_is_an_error(path, order):
    """Unknown words are answered, not obeyed, and nothing breaks."""
    assert "error" in await ask(path, order)
    assert "error" not in await ask(path, {"order": "status"})


async def test_garbage_and_silence_do_not_harm(path):
    """A line that is no JSON, or a caller who leaves, costs nothing."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"\xff\n")
    assert b"error" in await reader.readline()
    writer.close()
    _, silent = await asyncio.open_unix_connection(path)
    silent.close()
    assert "error" not in await ask(path, {"order": "status"})


def test_nobody_there_is_said(tmp_path):
    """No socket, or one that nobody serves: one line."""
    with pytest.raises(StartupError, match="no cluster runs"):
        control.send(tmp_path / "none", {"order": "status"}, timeout_s=1)


def test_patience_ends():
    """A supervisor that does not answer in time: the order goes on, the caller is told."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{folder}/s")
        silent.listen()
        with pytest.raises(StartupError, match="goes on trying"):
            control.send(Path(folder) / "s", {"order": "status"}, timeout_s=0.05)
