"""Ways to reach the worker in tests: an HTTP client, a raw ASGI caller, a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import threading
import time
import wave
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Self, cast

import httpx
import numpy as np
import uvicorn
from fastapi import FastAPI
from starlette.types import Message, Scope

from app.engine.engine import Engine
from app.engine.fake import FakeEngine
from app.http.app import create_app
from app.http.connection import ConnectionLimits, connection_class
from app.http.request.receive import UploadLimits
from app.http.state import WorkerState
from app.ops.tracing import NO_TRACER, Tracer
from app.settings.worker import WorkerSettings

PATH = "/v1/audio/transcriptions"
MODEL = {"model": "whisper-1"}
BOUNDARY = b"----FormBoundarym4x0"
MULTIPART = b"multipart/form-data; boundary=" + BOUNDARY


def settings_for_test(**overrides: Any) -> WorkerSettings:
    """Settings with the fake model, untouched by any `.env`."""
    return WorkerSettings(_env_file=None, **{"model_size": "fake", **overrides})


def tone_wav(seconds: float = 2.0) -> bytes:
    """A 440 Hz tone as 16 kHz mono s16 WAV, for which the fake engine writes one word a second."""
    n_samples = round(seconds * 16_000)
    samples = (8000 * np.sin(np.arange(n_samples) * 2 * np.pi * 440 / 16_000)).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        writer.writeframes(samples.tobytes())
    return file.getvalue()


def upload(data: bytes | None = None) -> dict[str, tuple[str, bytes, str]]:
    """The `files` of an HTTP client: one WAV."""
    return {"file": ("audio.wav", tone_wav() if data is None else data, "audio/wav")}


def part(disposition: str | bytes, data: str | bytes, *more_headers: str) -> bytes:
    """One part of a multipart body, written out."""
    raw = disposition.encode() if isinstance(disposition, str) else disposition
    headers = b"".join(f"{line}\r\n".encode() for line in more_headers)
    body = data.encode() if isinstance(data, str) else data
    return (
        b"--" + BOUNDARY + b"\r\nContent-Disposition: form-data; " + raw + b"\r\n" + headers + b"\r\n" + body + b"\r\n"
    )


def body_of(*parts: bytes) -> bytes:
    """A whole multipart body."""
    return b"".join(parts) + b"--" + BOUNDARY + b"--\r\n"


FILE_PART = part('name="file"; filename="audio.wav"', tone_wav())
MODEL_PART = part('name="model"', "whisper-1")


@dataclass(slots=True)
class Worker:
    """A running application and a client of it."""

    app: FastAPI
    client: httpx.AsyncClient

    @property
    def state(self) -> WorkerState:
        """What its routes share."""
        return cast("WorkerState", self.app.state.worker)

    async def post(self, body: bytes, *, content_type: bytes = MULTIPART, **headers: str) -> httpx.Response:
        """Send a body written out by hand."""
        raw = [(b"content-type", content_type), *((key.encode(), value.encode()) for key, value in headers.items())]
        return await self.client.post(PATH, content=body, headers=raw)

    async def transcribe(self, **fields: str) -> httpx.Response:
        """Send the tone with these fields beside the model."""
        return await self.client.post(PATH, files=upload(), data={**MODEL, **fields})


@asynccontextmanager
async def worker(engine: Engine | None = None, **overrides: Any) -> AsyncIterator[Worker]:
    """An application whose engine is warm, between its start and its end; `tracer` records its requests."""
    tracer: Tracer = overrides.pop("tracer", NO_TRACER)
    ready = asyncio.Event()
    loaded = FakeEngine() if engine is None else engine
    app = create_app(settings_for_test(**overrides), build=lambda _: loaded, on_ready=ready.set, tracer=tracer)
    async with app.router.lifespan_context(app):
        await asyncio.wait_for(ready.wait(), 10)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://worker") as client:
            yield Worker(app, client)


@dataclass(slots=True)
class Exchange:
    """One raw ASGI request: feed it messages, see what was read and what was answered."""

    app: FastAPI
    headers: Sequence[tuple[bytes, bytes]] = ()
    path: str = PATH
    method: str = "POST"
    query: bytes = b""
    n_received: int = 0
    sent: list[Message] = field(default_factory=list)
    inbox: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)

    def feed(self, body: bytes, *, more: bool = False) -> None:
        """Let a piece of the body arrive."""
        self.inbox.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def hang_up(self) -> None:
        """Let the client go."""
        self.inbox.put_nowait({"type": "http.disconnect"})

    async def run(self) -> None:
        """Serve the request to its end."""
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": self.query,
            "root_path": "",
            "headers": list(self.headers),
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8000),
            "state": {},
        }
        await self.app(scope, self._receive, self._send)

    @property
    def status(self) -> int:
        """The status that was answered."""
        return cast("int", self.sent[0]["status"])

    @property
    def answered(self) -> dict[str, str]:
        """The headers that were answered."""
        return {key.decode("latin-1"): value.decode("latin-1") for key, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        """The body that was answered."""
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    async def _receive(self) -> Message:
        message = await self.inbox.get()
        self.n_received += 1
        return message

    async def _send(self, message: Message) -> None:
        self.sent.append(message)


async def until(condition: Callable[[], bool], *, timeout_s: float = 5.0) -> None:
    """Let the loop turn until the condition holds."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.001)


@contextmanager
def live_server(
    engine: Engine | None = None,
    *,
    connection_limits: ConnectionLimits = ConnectionLimits(),  # noqa: B008 - frozen
    upload_limits: UploadLimits = UploadLimits(),  # noqa: B008 - frozen
    **overrides: Any,
) -> Iterator[tuple[str, int]]:
    """The application behind a real socket on a loopback port, in a thread, with the connections of the worker."""
    loaded = FakeEngine() if engine is None else engine
    ready = threading.Event()
    app = create_app(
        settings_for_test(**overrides), build=lambda _: loaded, upload_limits=upload_limits, on_ready=ready.set
    )
    http = connection_class(connection_limits)
    server = uvicorn.Server(
        uvicorn.Config(app, http=http, log_config=None, access_log=False, timeout_graceful_shutdown=1)
    )
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert ready.wait(10)
            yield listener.getsockname()
        finally:
            server.should_exit = True
            thread.join(10)
            assert not thread.is_alive()


class Wire:
    """A client that writes and reads bytes itself."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=10)
        self._unread = b""

    def __enter__(self) -> Self:
        """For `with`: hang up at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, *lines: str, body: bytes = b"") -> None:
        """Send a request's head, and what there is of its body."""
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def read(self) -> tuple[int, dict[str, str], bytes]:
        """Read one answer that has a Content-Length."""
        while b"\r\n\r\n" not in self._unread:
            self._more()
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        while len(self._unread) < length:
            self._more()
        body, self._unread = self._unread[:length], self._unread[length:]
        return int(status.split(" ")[1]), headers, body

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        self._unread += data


def poll(condition: Callable[[], bool], *, timeout_s: float = 10.0) -> None:
    """Ask a live server again and again until the condition holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)
