"""A live client that streams audio, collects the transcript, and reconnects if its gateway fails.

It keeps the audio after the last final segment. If the connection is lost (restart, crash, network)
it connects again, to any gateway, sends that audio again, and adds the duration before it to the
times. So the transcript has no gap and no duplicate.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.http11 import Response
from websockets.uri import parse_uri

from app.contracts.whisperlive import END_OF_AUDIO
from app.core.pcm import SAMPLE_RATE_HZ, Pcm16, to_samples
from app.live.policy.buffer import AudioBuffer
from app.ops.keys import require_sendable

SEND_SAMPLES = 1600  # 0.1 s per frame
RETRY_DELAYS_S = (0.2, 0.5, 1.0, 2.0, 5.0)
MAX_REASON_CHARS = 200  # of a refusal: an answer may be a whole page
HISTORY_S = 900.0  # audio kept to be sent again; a source that is further ahead waits


class Refused(Exception):
    """The gateway refuses this client; the message says why."""


class Unusable(ValueError):
    """An argument that cannot work; the message says what would."""


class RefusedAgain(OSError):
    """A gateway refuses this recording now; another one served it before, so a retry may succeed."""


@dataclass(frozen=True, slots=True)
class Line:
    """A segment as received, in seconds of the whole recording."""

    start: float
    end: float
    text: str
    completed: bool


def _ignore(*_: object) -> None:
    """The default callback."""


@dataclass(frozen=True, slots=True)
class ListenerCallbacks:
    """Functions called for each event.

    Attributes:
        line: a new final line, or the newest partial.
        notice: a message for the user: warnings, reconnects.
        language: code and probability, once.
        message: every message as received, for measurements.
    """

    line: Callable[[Line], None] = _ignore
    notice: Callable[[str], None] = _ignore
    language: Callable[[str, float], None] = _ignore
    message: Callable[[dict[str, Any]], None] = _ignore


class LiveClient:
    """Streams one recording, over as many connections as necessary."""

    def __init__(
        self, url: str, *, handshake: dict[str, Any], events: ListenerCallbacks, key: str = "", patience_s: float = 60.0
    ) -> None:
        """Prepare a client that gives up after `patience_s` without a gateway.

        Raises:
            Unusable: this address or key cannot work.
        """
        check(url, key)
        self._url = url
        self._handshake = handshake
        self._events = events
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._patience_s = patience_s
        self._audio = AudioBuffer()
        self._fed = asyncio.Event()
        self._sent = 0  # one past the newest sample sent to the current gateway
        self._room = asyncio.Event()
        self._ended = False
        self._final_s = 0.0  # end of the last final line
        self._base_s = 0.0  # seconds before the current connection's first sample
        self._done = False
        self._ready_at_s: float | None = None  # when the current connection became ready
        self._served = False  # a connection became ready before: a refusal is no longer final
        self._failures = 0  # in a row

    async def run(self, source: AsyncIterator[Pcm16]) -> None:
        """Stream the source to its end, and return when the last line is final.

        Raises:
            Refused: the first gateway answered, but with an error, or is full.
            OSError: no gateway could be reached for `patience_s`.
        """
        feeder = asyncio.create_task(self._feed(source))
        try:
            await self._stay_connected()
        finally:
            feeder.cancel()
            await asyncio.gather(feeder, return_exceptions=True)
        if feeder.done() and not feeder.cancelled() and feeder.exception():
            raise feeder.exception()  # type: ignore[misc]  # checked in the line above

    async def _feed(self, source: AsyncIterator[Pcm16]) -> None:
        try:
            async for pcm in source:
                self._audio.append(pcm)
                self._fed.set()
                while self._audio.end - self._sent > to_samples(HISTORY_S):  # read a pipe no faster than it is sent
                    self._room.clear()
                    await self._room.wait()
                # Audio that was sent and has had no final line for so long is silence.
                self._audio.drop_before(self._audio.end - to_samples(HISTORY_S))
        finally:
            self._ended = True
            self._fed.set()

    async def _stay_connected(self) -> None:
        loop = asyncio.get_running_loop()
        lost_at_s = loop.time()
        while not self._done:
            self._ready_at_s = None
            try:
                async with connect(
                    self._url, additional_headers=self._headers, compression=None, max_size=2**24
                ) as socket:
                    await self._stream(socket)
                self._failures = 0
            except (OSError, ConnectionClosed, InvalidHandshake, TimeoutError) as error:
                _raise_if_refused(error)
                if self._ready_at_s is not None:
                    lasted = loop.time() - self._ready_at_s > self._patience_s
                    if lasted or not isinstance(error, RefusedAgain):
                        self._failures = 0
                if not self._failures:
                    lost_at_s = loop.time()
                    self._events.notice("connection lost, trying again")
                if loop.time() - lost_at_s > self._patience_s:
                    raise OSError(f"No gateway at {self._url} for {self._patience_s:.0f} s.") from error
            if not self._done:
                await asyncio.sleep(RETRY_DELAYS_S[min(self._failures, len(RETRY_DELAYS_S) - 1)])
                self._failures += 1

    async def _stream(self, socket: ClientConnection) -> None:
        """One connection: handshake, audio from the last final word on, lines until the gateway ends the stream."""
        self._base_s = max(self._final_s, self._audio.start / SAMPLE_RATE_HZ)
        await socket.send(json.dumps({"uid": str(uuid.uuid4()), **self._handshake, "audio_format": "int16"}))
        sender = asyncio.create_task(self._send(socket, to_samples(self._base_s)))
        try:
            async for frame in socket:
                message = json.loads(frame)
                self._receive(message)
                if message.get("message") == "DISCONNECT":  # the connection's time is over; the recording may continue
                    return
            if socket.close_code == 1000 and sender.done():  # noqa: PLR2004  a normal close
                self._done = True
        finally:
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionClosed):
                await sender

    async def _send(self, socket: ClientConnection, position: int) -> None:
        """Send all audio from sample `position` on as it arrives, then END_OF_AUDIO."""
        while True:
            self._fed.clear()
            while position < self._audio.end:
                position = max(position, self._audio.start)
                end = min(position + SEND_SAMPLES, self._audio.end)
                await socket.send(self._audio.read(position, end))
                self._sent = position = end
                self._room.set()
            if self._ended:
                for _ in range(2):  # if the source was silent before, a gateway waits for the second
                    await socket.send(END_OF_AUDIO)
                return
            await self._fed.wait()

    def _receive(self, message: dict[str, Any]) -> None:
        self._events.message(message)
        status = message.get("status")
        if status in {"ERROR", "WAIT"}:
            reason = "The gateway is full." if status == "WAIT" else str(message.get("message"))
            raise RefusedAgain(reason) if self._served else Refused(reason)
        if message.get("message") == "SERVER_READY" and self._ready_at_s is None:
            if self._failures:
                self._events.notice("connected again")
            self._ready_at_s, self._served = asyncio.get_running_loop().time(), True
        if status == "WARNING":
            self._events.notice(str(message.get("message")))
        if "language" in message:
            self._events.language(message["language"], message.get("language_prob", 0.0))
        for segment in message.get("segments", ()):
            self._line(segment)

    def _line(self, segment: dict[str, Any]) -> None:
        start, end = float(segment["start"]) + self._base_s, float(segment["end"]) + self._base_s
        if not segment["completed"]:
            self._events.line(Line(start, end, segment["text"], completed=False))
        elif start >= self._final_s - 1e-6:  # messages repeat earlier lines
            self._final_s = end
            self._audio.drop_before(to_samples(end))
            self._events.line(Line(start, end, segment["text"], completed=True))


def check(url: str, key: str) -> None:
    """Check an address and a key before anything else is done.

    Raises:
        Unusable: no connection can be made with them.
    """
    try:
        parse_uri(url)
    except (InvalidURI, ValueError) as error:
        raise Unusable(f"{url!r} is not a gateway's address ({error}); an example is ws://127.0.0.1:9090") from error
    try:
        require_sendable((key,))
    except ValueError as error:
        raise Unusable(f"the key cannot be used: {error}") from error


def _raise_if_refused(error: Exception) -> None:
    """Raise Refused for an HTTP 4xx: a wrong key or address will not work later either."""
    if not isinstance(error, InvalidStatus) or error.response.status_code >= 500:  # noqa: PLR2004  HTTP's own numbers
        return
    reason = _reason_in(error.response)
    raise Refused(f"The gateway answered {error.response.status_code}{': ' if reason else '.'}{reason}") from error


def _reason_in(response: Response) -> str:
    """Return the reason that a gateway (plain text) or nginx (OpenAI's error format) gives; empty for other answers."""
    text = (response.body or b"").decode(errors="replace")
    if response.headers.get("Content-Type", "").startswith("text/plain"):
        return " ".join(text.split())[:MAX_REASON_CHARS]
    try:
        return str(json.loads(text)["error"]["message"])[:MAX_REASON_CHARS]
    except (ValueError, KeyError, TypeError):
        return ""
