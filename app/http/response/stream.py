"""stream=true: send the engine's results as server-sent events while it works.

The engine's first event is awaited before the response begins, so errors in the audio, the parameters or
the load are still ordinary HTTP errors. After that the status is 200, and an error is the last event of
the stream. When the client disconnects, the engine's generator is closed, which stops the work.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.core.errors import Cancelled, EngineFailure, ShuttingDown, TranscriptionError
from app.core.transcript import AudioInfo, Progress, Segment, Timings
from app.http.middleware.disconnect import cancel_on_disconnect
from app.http.request_record import record_of
from app.http.response import errors as api_errors
from app.http.response.events import PING, EventWriter, event_bytes

log = logging.getLogger("app.http")
T = TypeVar("T")

EngineEvent = AudioInfo | Segment | Progress
# Half the idle timeout of the least patient proxies.
HEARTBEAT_S = 15.0


class EventStream(Response):
    """A response whose body is a generator of server-sent events.

    Args:
        chunks: the body; an exception becomes its last event.
        headers: sent in addition to those that keep proxies from buffering events.
        close: awaited once, however the stream ends, after the last read and write.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        *,
        headers: dict[str, str],
        close: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no", **headers})
        del self.headers["content-length"]
        self._chunks = chunks
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream; when the client disconnects, stop it and the work behind it."""
        try:
            await cancel_on_disconnect(receive, self._send_all(scope, send))
        except (Cancelled, OSError):  # OSError: sending failed
            record_of(scope).hung_up = True
        finally:
            await self._close()

    async def _send_all(self, scope: Scope, send: Send) -> None:
        async with aclosing(self._chunks), aclosing(_with_final_error(self._chunks, scope)) as chunks:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def encode_events(
    first: EngineEvent,
    events: AsyncGenerator[EngineEvent | Timings, None],
    writer: EventWriter,
    *,
    on_info: Callable[[AudioInfo], None],
    on_timings: Callable[[Timings], None],
    on_event: Callable[[EngineEvent | Timings], None] = lambda _: None,
    heartbeat_s: float = HEARTBEAT_S,
) -> AsyncGenerator[bytes, None]:
    """The body of a stream; closes `events` at its end.

    Args:
        first: the first event, awaited before the response began.
        events: the remaining events.
        writer: encodes each event.
        on_info: called with the duration and the language of the audio.
        on_timings: called with the timings of the work.
        on_event: called with every event.
        heartbeat_s: a comment is sent after a silence this long, so that proxies keep the connection.
    """
    on_event(first)
    if isinstance(first, AudioInfo):
        on_info(first)
    yield writer.write(first, time.monotonic())
    async with aclosing(with_heartbeats(events, every_s=heartbeat_s)) as later:
        async for event in later:
            if event is None:
                yield PING
                continue
            on_event(event)
            if isinstance(event, Timings):
                on_timings(event)
                continue
            if isinstance(event, AudioInfo):
                on_info(event)
            if encoded := writer.write(event, time.monotonic()):
                yield encoded
    yield writer.finish()


async def with_heartbeats(events: AsyncGenerator[T, None], *, every_s: float) -> AsyncGenerator[T | None, None]:
    """Everything that `events` yields, and None after each silence of `every_s`; closes `events`."""
    pending: asyncio.Future[T | None] | None = None
    try:
        while True:
            pending = pending or asyncio.ensure_future(_next(events))
            done, _ = await asyncio.wait({pending}, timeout=every_s)
            if not done:
                yield None
                continue
            event, pending = pending.result(), None
            if event is None:
                return
            yield event
    finally:
        if pending is not None:
            pending.cancel()
            await asyncio.gather(pending, return_exceptions=True)
        await events.aclose()


async def _next(events: AsyncIterator[T]) -> T | None:
    """The next event; None at the end, because a future cannot raise StopAsyncIteration."""
    return await anext(events, None)


async def _with_final_error(chunks: AsyncIterator[bytes], scope: Scope) -> AsyncGenerator[bytes, None]:
    """The chunks, with an error event in place of an exception: the headers have been sent already."""
    try:
        async for chunk in chunks:
            yield chunk
    except Cancelled:  # the client is still connected, so the server is stopping
        yield _final_error(ShuttingDown("The server is shutting down. Send the file again.", retry_after_s=1), scope)
    except TranscriptionError as error:
        yield _final_error(error, scope)
    except Exception:
        log.exception("unhandled exception in a stream", extra={"fields": {"request_id": record_of(scope).request_id}})
        yield _final_error(EngineFailure("The server had an error while transcribing this audio."), scope)


def _final_error(error: TranscriptionError, scope: Scope) -> bytes:
    record_of(scope).error = error
    return event_bytes(api_errors.envelope_of(error))
