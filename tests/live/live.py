"""A gateway and clients in one process, with in-memory sockets for virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from app.contracts.whisperlive import END_OF_AUDIO
from app.live.admission import Caller, StreamLimits
from app.live.gateway import Gateway
from app.live.metrics import GatewayMetrics
from app.live.policy.stream_policy import StreamPolicy
from app.live.remote import RemoteTranscriber
from app.live.scheduler import Scheduler
from app.live.session.connection import Disconnected, SessionLimits
from app.live.session.recorder import Recording
from app.ops.tracing import NO_TRACER, Tracer
from tests.live import tones
from tests.live.backend import Backend

URL = "http://service/v1/audio/transcriptions"
LOCAL = Caller()  # a client on the gateway's own machine, without a key
CHUNK = 4096  # what the stock client sends


@asynccontextmanager
async def gateway(
    backend: Backend,
    *,
    policy: StreamPolicy | None = None,
    limits: SessionLimits | None = None,
    admission: StreamLimits | None = None,
    slots: int = 8,
    timeout_s: float = 30.0,
    recording: Recording | None = None,
    tracer: Tracer = NO_TRACER,
) -> AsyncIterator[Gateway]:
    """A gateway whose service is `backend`, without sockets."""
    async with httpx.AsyncClient(transport=backend.transport()) as client:
        metrics = GatewayMetrics()
        remote = RemoteTranscriber(client, url=URL, api_key="k", timeout_s=timeout_s, on_answer=metrics.answered)
        yield Gateway(
            policy=policy or StreamPolicy(),
            limits=limits or SessionLimits(),
            admission=admission or StreamLimits(),
            remote=remote,
            scheduler=Scheduler(slots),
            metrics=metrics,
            recording=recording,
            tracer=tracer,
        )


@dataclass
class MemorySocket:
    """A client's end and the gateway's end of one connection.

    Attributes:
        deaf: the client no longer reads.
    """

    to_gateway: asyncio.Queue[str | bytes | None] = field(default_factory=asyncio.Queue)
    received: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    closed: tuple[int, str] | None = None
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    aborted: bool = False
    deaf: bool = False
    left: bool = False

    async def receive(self):
        """For the gateway: the next message of the client."""
        message = await self.to_gateway.get()
        if message is None:
            raise Disconnected
        return message

    async def send(self, text):
        """For the gateway: a message to the client."""
        if self.left or self.closed:
            raise Disconnected
        if self.deaf:
            await asyncio.sleep(1e9)
        self.received.append((asyncio.get_running_loop().time(), json.loads(text)))

    async def close(self, code, reason):
        """For the gateway: an orderly close."""
        self.closed = self.closed or (code, reason)
        self.gone.set()
        self.to_gateway.put_nowait(None)

    async def wait_closed(self):
        """For the gateway: return when the connection is closed."""
        await self.gone.wait()

    def abort(self):
        """For the gateway: a dropped connection."""
        self.aborted = True
        self.gone.set()
        self.to_gateway.put_nowait(None)

    # The client's side.

    def say(self, message) -> None:
        """Send a message."""
        self.to_gateway.put_nowait(message)

    def leave(self) -> None:
        """Close without END_OF_AUDIO."""
        self.left = True
        self.gone.set()
        self.to_gateway.put_nowait(None)

    @property
    def messages(self):
        """Everything received, in order."""
        return [message for _, message in self.received]

    @property
    def warnings(self):
        """The texts of the warnings."""
        return [m["message"] for m in self.messages if m.get("status") == "WARNING"]

    @property
    def completed(self) -> list[dict[str, Any]]:
        """The completed segments, without repetitions, in order."""
        kept: dict[tuple[str, str, str], dict[str, Any]] = {}
        for message in self.messages:
            for segment in message.get("segments", []):
                if segment["completed"]:
                    kept.setdefault((segment["start"], segment["end"], segment["text"]), segment)
        return list(kept.values())

    @property
    def words(self) -> list[str]:
        """The final words, in order."""
        return tones.plain("".join(segment["text"] for segment in self.completed))


def handshake(**fields) -> str:
    """A browser's handshake, changed by `fields`."""
    return json.dumps(
        {"uid": "u-1", "language": "en", "task": "transcribe", "model": "small", "use_vad": True} | fields
    )


async def play(socket: MemorySocket, pcm: np.ndarray, *, speed: float = 1.0, chunk: int = CHUNK) -> None:
    """Send float32 audio at `speed` times real time."""
    for start in range(0, len(pcm), chunk):
        piece = pcm[start : start + chunk]
        socket.say(piece.astype("<f4").tobytes())
        await asyncio.sleep(len(piece) / tones.RATE / speed)


async def stream(
    gate: Gateway,
    recording: tones.Recording,
    *,
    speed: float = 1.0,
    end: bool = True,
    caller: Caller = LOCAL,
    **fields,
) -> MemorySocket:
    """One whole client: handshake, audio, END_OF_AUDIO, until the gateway closes."""
    socket = MemorySocket()
    served = asyncio.create_task(gate.serve(socket, caller))
    socket.say(handshake(**fields))
    await play(socket, recording.pcm, speed=speed)
    if end:
        socket.say(END_OF_AUDIO)
    else:
        socket.leave()
    await served
    return socket
