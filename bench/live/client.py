"""One simulated client: sends in real time and records when each message arrives."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from bench.live.material import RATE, Material

CHUNK = 4096  # the stock client's frame
CLOSE_WITHIN_S = 180.0
NORMAL_CLOSE = 1000


@dataclass
class ClientRecord:
    """What one client sent and received.

    Attributes:
        started_s, ended_s: when the first sample was due and END_OF_AUDIO was sent (monotonic).
        messages: (arrival, message) of every message.
    """

    uid: str
    material: Material
    started_s: float = 0.0
    ended_s: float = 0.0
    connected_s: float = 0.0
    closed_s: float = 0.0
    close_code: int | None = None
    error: str | None = None
    messages: list[tuple[float, dict[str, Any]]] = field(default_factory=list)


async def play(
    url: str, material: Material, *, speed: float, language: str | None, delay_s: float = 0.0
) -> ClientRecord:
    """Stream the material until the server closes. Never raises: a failure is a result."""
    record = ClientRecord(uid=str(uuid.uuid4()), material=material)
    await asyncio.sleep(delay_s)
    begun = time.monotonic()
    try:
        async with connect(url, compression=None, max_size=2**24, open_timeout=20) as socket:
            await socket.send(json.dumps(_handshake(record.uid, language)))
            ready = asyncio.Event()
            listener = asyncio.create_task(_listen(socket, record, ready))
            async with asyncio.timeout(20):
                await ready.wait()
            record.connected_s = time.monotonic() - begun
            if record.error is None:
                await _send(socket, record, speed)
                async with asyncio.timeout(CLOSE_WITHIN_S):
                    await listener
            record.close_code = socket.close_code
            listener.cancel()
    except Exception as error:  # noqa: BLE001  a failed client is a row of the report
        record.error = record.error or f"{type(error).__name__}: {error}"
    record.closed_s = time.monotonic()
    if record.error is None and record.close_code != NORMAL_CLOSE:
        record.error = f"closed with {record.close_code}"
    return record


async def _send(socket: ClientConnection, record: ClientRecord, speed: float) -> None:
    audio = (record.material.pcm / 32768.0).astype("<f4")
    record.started_s = time.monotonic()
    for start in range(0, len(audio), CHUNK):
        chunk = audio[start : start + CHUNK]
        due_s = record.started_s + (start + len(chunk)) / RATE / speed
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        await socket.send(chunk.tobytes())
    record.ended_s = time.monotonic()
    await socket.send(b"END_OF_AUDIO")


async def _listen(socket: ClientConnection, record: ClientRecord, ready: asyncio.Event) -> None:
    async for frame in socket:
        message = json.loads(frame)
        record.messages.append((time.monotonic(), message))
        if message.get("message") == "SERVER_READY":
            ready.set()
        elif message.get("status") in {"WAIT", "ERROR"}:
            record.error = f"{message['status']}: {message.get('message')}"
            ready.set()
    if not ready.is_set():
        record.error = "closed before READY"
        ready.set()


def _handshake(uid: str, language: str | None) -> dict[str, Any]:
    return {
        "uid": uid,
        "language": language,
        "task": "transcribe",
        "model": "small",
        "use_vad": True,
        "send_last_n_segments": 10,
        "stats": True,
        "word_timestamps": True,
    }
