"""What a session needs of its socket, the limits it keeps, and the ways it can end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Disconnected(Exception):
    """The client has closed, or its connection broke."""


class Socket(Protocol):
    """A WebSocket, whoever implements it."""

    async def receive(self) -> str | bytes:
        """The next message. Raises Gone."""

    async def send(self, text: str) -> None:
        """Send a text message; waits while the client's buffers are full. Raises Gone."""

    async def close(self, code: int, reason: str) -> None:
        """Close in good order; bounded in time, never raises."""

    async def wait_closed(self) -> None:
        """Return when the connection is closed, by whomever; messages that came before may still be unread."""

    def abort(self) -> None:
        """Drop the connection without a word."""


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
        """Are the last words waited for?"""
        return self in {SessionEnd.END_OF_AUDIO, SessionEnd.OVERTIME, SessionEnd.IDLE, SessionEnd.DRAIN}

    @property
    def disconnects(self) -> bool:
        """Is the client told that its time is over, and given time to leave?"""
        return self in {SessionEnd.OVERTIME, SessionEnd.IDLE}


CLOSE_CODES = {
    SessionEnd.END_OF_AUDIO: (1000, ""),
    SessionEnd.OVERTIME: (1000, "time is over"),
    SessionEnd.IDLE: (1000, "no audio"),
    SessionEnd.DRAIN: (1012, "service restart"),
    SessionEnd.FAILED: (1011, "internal error"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """What one session may take.

    Attributes:
        flush_timeout_s: for the last words after END_OF_AUDIO; most clients leave before.
        disconnect_hold_s: the stock file client, told to disconnect, needs its socket for up to 15 s
            more, or it writes no transcript; so does its RTSP client until its second END_OF_AUDIO.
        buffer_max_s: audio held above which the client is not read from.
        buffer_stall_s: after this long without any answer of the service, audio is dropped instead.
    """

    max_connection_time_s: float = 14_400.0
    idle_timeout_s: float = 600.0
    send_timeout_s: float = 30.0
    flush_timeout_s: float = 120.0
    drain_grace_s: float = 25.0
    disconnect_hold_s: float = 25.0
    buffer_max_s: float = 300.0
    buffer_stall_s: float = 30.0
