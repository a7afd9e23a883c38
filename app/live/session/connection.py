"""What a session needs of its socket, its limits, the ways it can end, and waits that a shutdown shortens."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol


class Disconnected(Exception):
    """The client has closed, or its connection broke."""


class Socket(Protocol):
    """A WebSocket, from any library."""

    async def receive(self) -> str | bytes:
        """The next message. Raises Disconnected."""

    async def send(self, text: str) -> None:
        """Send a text message; waits while the client's buffers are full. Raises Disconnected."""

    async def close(self, code: int, reason: str) -> None:
        """Close with a close frame; limited in time, never raises."""

    async def wait_closed(self) -> None:
        """Return when the connection is closed by either side; messages received before may still be unread."""

    def abort(self) -> None:
        """Drop the connection without a close frame."""


class SessionEnd(Enum):
    """Why a session ended; the value is the metric's label."""

    LEFT = "left"
    END_OF_AUDIO = "end_of_audio"
    OVERTIME = "overtime"
    IDLE = "idle"
    DRAIN = "drain"
    REPLACED = "replaced"
    STUCK = "stuck"
    FAILED = "failed"

    @property
    def flushes(self) -> bool:
        """Is the remaining audio transcribed first?"""
        return self in {SessionEnd.END_OF_AUDIO, SessionEnd.OVERTIME, SessionEnd.IDLE, SessionEnd.DRAIN}

    @property
    def disconnects(self) -> bool:
        """Does the client get DISCONNECT and time to close?"""
        return self in {SessionEnd.OVERTIME, SessionEnd.IDLE}


# Close code and reason; without an entry the connection is dropped.
CLOSE_CODES = {
    SessionEnd.END_OF_AUDIO: (1000, ""),
    SessionEnd.OVERTIME: (1000, "time is over"),
    SessionEnd.IDLE: (1000, "no audio"),
    SessionEnd.DRAIN: (1012, "service restart"),
    SessionEnd.FAILED: (1011, "internal error"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """The limits of one session.

    Attributes:
        max_connection_time_s: a session that lasts longer is flushed and disconnected.
        idle_timeout_s: so is one without audio for this long.
        send_timeout_s: a client that reads nothing for this long is dropped.
        flush_timeout_s: time for the last words after END_OF_AUDIO; most clients leave before.
        drain_grace_s: time for the last words when the gateway shuts down.
        disconnect_hold_s: after DISCONNECT the stock file client needs its socket for up to 15 s more,
            or it writes no transcript; its RTSP client needs it until its second END_OF_AUDIO.
        buffer_max_s: audio held above which the client is not read from.
        buffer_stall_s: after this long with a full buffer and no answer, audio is dropped.
    """

    max_connection_time_s: float = 14_400.0
    idle_timeout_s: float = 600.0
    send_timeout_s: float = 30.0
    flush_timeout_s: float = 120.0
    drain_grace_s: float = 25.0
    disconnect_hold_s: float = 25.0
    buffer_max_s: float = 300.0
    buffer_stall_s: float = 30.0


class ShutdownAwareWait:
    """Waits of one session, one at a time; a shutdown of the gateway shortens them."""

    def __init__(self) -> None:
        self._until_s = math.inf
        self._waiting: asyncio.Timeout | None = None

    @property
    def shutting_down(self) -> bool:
        """Is the gateway shutting down?"""
        return self._until_s < math.inf

    def shut_down(self, grace_s: float) -> None:
        """Every wait, also one that has begun, ends at most `grace_s` from now; only the first call counts."""
        if self.shutting_down:
            return
        self._until_s = asyncio.get_running_loop().time() + grace_s
        if self._waiting is not None:
            self._waiting.reschedule(min(self._waiting.when() or math.inf, self._until_s))

    async def wait(self, tasks: Sequence[asyncio.Task[Any]], limit_s: float) -> None:
        """Wait until one of the tasks ends, or the time is over; cancels none of them."""
        until_s = min(asyncio.get_running_loop().time() + limit_s, self._until_s)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(until_s) as self._waiting:
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting = None
