"""A transcription service that recognises tones, logs its requests, and refuses on demand."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from email.parser import BytesParser
from typing import Any

import httpx
import numpy as np
import uvicorn

from tests.live import tones


@dataclass
class Request:
    """One request as the service received it."""

    at_s: float
    stream: str
    fields: dict[str, list[str]]
    pcm: np.ndarray
    status: int = 200

    @property
    def duration_s(self):
        """Seconds of audio in the request."""
        return len(self.pcm) / tones.RATE


@dataclass
class Backend:
    """Answers requests; `refuse` returns the status to refuse with, or None to serve.

    Attributes:
        delay_s: duration of one request.
        jitter_s: by how much word times vary between answers.
        change: edits the body of an answer.
    """

    refuse: Callable[[Request], int | None] = lambda request: None
    delay_s: float = 0.0
    jitter_s: float = 0.0
    retry_after: str = "1"
    refusal: dict[str, Any] = field(default_factory=lambda: {"error": {"message": "no"}})
    change: Callable[[dict[str, Any], Request], dict[str, Any]] = lambda body, request: body
    log: list[Request] = field(default_factory=list)
    most_in_flight: Counter[str] = field(default_factory=Counter)
    most_at_once: int = 0
    cancelled: int = 0
    _in_flight: Counter[str] = field(default_factory=Counter)

    async def answer(self, headers, body: bytes) -> tuple[int, dict[str, str], dict[str, Any]]:
        """Status, headers and body for one request."""
        request = self._read(headers, body)
        self.log.append(request)
        self._in_flight[request.stream] += 1
        self.most_in_flight[request.stream] = max(self.most_in_flight[request.stream], self._in_flight[request.stream])
        self.most_at_once = max(self.most_at_once, self._in_flight.total())
        try:
            status = self.refuse(request)
            if status is not None:
                request.status = status
                return status, {"Retry-After": self.retry_after}, self.refusal
            await asyncio.sleep(self.delay_s)
            segments = tones.hear(request.pcm, jitter_s=self.jitter_s, seed=len(self.log))
            text = "".join(segment["text"] for segment in segments).strip()
            answer = {
                "task": "transcribe",
                "language": request.fields.get("language", ["en"])[0],
                "language_probability": 0.9,
                "duration": request.duration_s,
                "text": text,
                "segments": segments,
            }
            return 200, {}, self.change(answer, request)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self._in_flight[request.stream] -= 1

    def transport(self) -> httpx.MockTransport:
        """For a client in the same loop, without sockets."""

        async def handle(request: httpx.Request) -> httpx.Response:
            status, headers, body = await self.answer(request.headers, await request.aread())
            return httpx.Response(status, headers=headers, json=body)

        return httpx.MockTransport(handle)

    async def asgi(self, scope, receive, send) -> None:
        """For a real HTTP server."""
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {key.decode(): value.decode() for key, value in scope["headers"]}
        status, extra, answer = await self.answer(headers, body)
        response = httpx.Response(status, headers=extra, json=answer)
        raw = [(key.lower().encode(), value.encode()) for key, value in response.headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": response.content})

    def accepted(self) -> list[Request]:
        """The requests that were served."""
        return [request for request in self.log if request.status == 200]

    def _read(self, headers, body: bytes) -> Request:
        content_type = headers["content-type"].encode()
        message: Any = BytesParser().parsebytes(b"Content-Type: " + content_type + b"\r\n\r\n" + body)
        fields: dict[str, list[str]] = {}
        wav = b""
        for part in message.get_payload():
            name = re.findall(r'name="([^"]+)"', part["Content-Disposition"])[0]
            if name == "file":
                wav = part.get_payload(decode=True)
            else:
                fields.setdefault(name, []).append(part.get_payload(decode=True).decode())
        assert wav[:4] == b"RIFF"
        assert wav[8:16] == b"WAVEfmt "
        pcm = np.frombuffer(wav[44:], dtype="<i2").astype(np.float32) / 32768
        stream = headers.get("x-request-id", "").rsplit("-", 1)[0]
        return Request(_now(), stream, fields, pcm)


def _now() -> float:
    return asyncio.get_running_loop().time()


class HttpServer:
    """The backend on a real port, in its own thread."""

    def __init__(self, backend: Backend) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(backend.asgi, log_level="warning", lifespan="off", interface="asgi3")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1/audio/transcriptions"

    def __enter__(self):
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *exc):
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()
