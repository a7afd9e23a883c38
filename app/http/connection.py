"""uvicorn's HTTP connection, with limits for clients that connect and then send little or nothing.

uvicorn waits for ever for the rest of a request's head and of a body that no route reads, and accepts
any number of connections, of pipelined requests and of headers. A body that a route reads is limited in
`request.receive`, where the client can still be answered. At the limit of connections the one that has been
idle longest makes room for a new one; if all are busy, new ones may still read the health routes.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from typing import cast

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.contracts.openai import error_envelope
from app.http.response.formats import encode_json

# Sizes that the HTTP parser cannot read: 2^64 bytes and more.
BEYOND_64_BITS = re.compile(rb"(?im)^content-length:[ \t]*0*[1-9][0-9]{19,}[ \t]*\r?$")
# Key of a request's state: this server has more connections than it allows.
CROWDED = "too_many_connections"


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one process allows.

    Attributes:
        max_connections: open connections; beyond it idle ones are closed, and requests get a 503.
        spare_connections: further ones, of which only requests for health are served.
        max_pipelined: requests of one client that wait for the answer to an earlier one.
        head_timeout_s: from the connection, or from a head's first byte, to the head's end.
        max_head_bytes: the longest request line with its headers, and the longest trailers of a body.
        idle_body_timeout_s: the longest pause in a body whose request has been answered.
        write_timeout_s: the longest time in which a client reads nothing of its answer.
    """

    max_connections: int = 1000
    spare_connections: int = 64
    max_pipelined: int = 32
    head_timeout_s: float = 20.0
    max_head_bytes: int = 64 * 1024
    idle_body_timeout_s: float = 60.0
    write_timeout_s: float = 60.0


class Connection(HttpToolsProtocol):
    """One client's connection; its refusals have the shape of every other error."""

    limits = ConnectionLimits()
    _in_head = True  # waiting for a request, or for the rest of its head
    _unread_bytes = 0  # since the last part of a request was complete
    _received = b""  # the newest bytes
    _idle_since_s = 0.0
    _reading: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """True while no request is being served."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        """Accept the connection, or close one."""
        super().connection_made(transport)
        self._idle_since_s = time.monotonic()
        self._make_room()
        self._limit_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        self._stop(self._reading, self._writing)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, and limit the wait for the rest."""
        self._unread_bytes += len(data)
        self._received = data
        super().data_received(data)
        if self.transport.is_closing():
            return
        if len(self.pipeline) > self.limits.max_pipelined:
            self.transport.close()
            return
        if self._unread_bytes > self.limits.max_head_bytes:
            self._refuse("431 Request Header Fields Too Large", "The request's headers are too long.")
            return
        self._limit_reading()

    def on_headers_complete(self) -> None:
        """Start serving; beyond the limit of connections the request is marked, see `Gate`."""
        self._in_head, self._unread_bytes = False, 0
        if len(self.connections) > self.limits.max_connections:
            cast("Scope", self.scope)["state"][CROWDED] = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._unread_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete; the next one may begin."""
        self._in_head, self._unread_bytes = True, 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The request is answered."""
        self._idle_since_s = time.monotonic()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """The client reads more slowly than the answer is written."""
        super().pause_writing()
        self._limit_writing()

    def resume_writing(self) -> None:
        """The client has read on."""
        self._stop(self._writing)
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are not HTTP, and close."""
        if self._in_head and BEYOND_64_BITS.search(self._received):
            self._refuse("413 Content Too Large", "The request body is too large.", code="request_too_large")
            return
        self._refuse("400 Bad Request", f"{msg} Let an HTTP library build it.")

    def _refuse(self, status: str, message: str, *, code: str | None = None) -> None:
        """Close, after an answer unless one is being sent."""
        if self.idle:
            body = encode_json(error_envelope(message, kind="invalid_request_error", code=code))
            head = (
                f"HTTP/1.1 {status}\r\n"
                "content-type: application/json\r\n"
                f"content-length: {len(body)}\r\n"
                "connection: close\r\n\r\n"
            )
            self.transport.write(head.encode("ascii") + body)
        self.transport.close()

    def _make_room(self) -> None:
        """Beyond the limit, close the connection that has been idle longest, or this one."""
        others = [each for each in self.connections if isinstance(each, Connection) and not each.transport.is_closing()]
        if len(others) <= self.limits.max_connections:
            return
        idle = [each for each in others if each.idle and each is not self]
        if idle:
            min(idle, key=lambda each: each._idle_since_s).transport.close()  # noqa: SLF001 - of this class
        elif len(others) > self.limits.max_connections + self.limits.spare_connections:
            self.transport.close()

    def _limit_reading(self) -> None:
        """Set the time by which the client has to send more; while a route runs, the route decides."""
        if not self.idle:
            self._stop(self._reading)
            self._reading = None
        elif not self._in_head:
            self._stop(self._reading)
            self._reading = self.loop.call_later(self.limits.idle_body_timeout_s, self.transport.close)
        elif self._reading is None:  # for the whole head: a slow trickle does not extend the deadline
            self._reading = self.loop.call_later(self.limits.head_timeout_s, self._end_head)

    def _end_head(self) -> None:
        if self._unread_bytes:
            message = f"The request's headers did not arrive within {self.limits.head_timeout_s:g} seconds."
            self._refuse("408 Request Timeout", message, code="request_timeout")
        else:
            self.transport.close()

    def _limit_writing(self, unsent_bytes: int | None = None) -> None:
        """Look again and again whether the client reads; drop it if the unsent part does not shrink."""
        now_bytes = self.transport.get_write_buffer_size()
        if now_bytes == unsent_bytes:
            self.transport.abort()
        else:
            self._writing = self.loop.call_later(self.limits.write_timeout_s, self._limit_writing, now_bytes)

    def _stop(self, *timers: asyncio.TimerHandle | None) -> None:
        for timer in timers:
            if timer is not None:
                timer.cancel()


def connection_class(limits: ConnectionLimits) -> type[Connection]:
    """The connection with these limits, for uvicorn's `http` setting."""

    class Limited(Connection):
        pass

    Limited.limits = limits
    return Limited
