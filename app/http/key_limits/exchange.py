"""One request of a key with a name: what it counts, and the headers that its answer gets.

What it used is settled just before the last byte of its answer is sent: a client that sends one request after the
other never meets its own previous one, and what nginx repeats after a 503 has not counted before.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

from app.http.key_limits.limiter import CountedRequest, KeyLimiter
from app.http.key_limits.periods import headers_of
from app.http.request_record import RequestRecord
from app.ops.keys import Key

_UNAVAILABLE = 503


class LimitedExchange:
    """A request and its answer."""

    def __init__(self, limiter: KeyLimiter, key: Key, record: RequestRecord, send: Send) -> None:
        self._limiter = limiter
        self._key = key
        self._record = record
        self._send = send
        self._counted: CountedRequest | None = None

    async def let_in(self) -> None:
        """Count the request.

        Raises:
            AudioQuotaUsed, KeyLimitReached: it is over a limit.
        """
        self._counted = await self._limiter.let_in(self._key)

    async def send(self, message: Message) -> None:
        """Pass on a part of the answer."""
        if message["type"] == "http.response.start":
            if message["status"] == _UNAVAILABLE:
                await self.end(undo=True)
            standing = await self._limiter.standing(self._key)
            if standing is not None:
                MutableHeaders(scope=message).update(headers_of(standing))
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            await self.end()
        await self._send(message)

    async def end(self, *, undo: bool = False) -> None:
        """Settle what the request used; calling it again is harmless."""
        counted, self._counted = self._counted, None
        if counted is not None:
            audio_s = 0.0 if self._record.info is None else self._record.info.duration_s
            await self._limiter.end(counted, audio_s=audio_s, undo=undo)
