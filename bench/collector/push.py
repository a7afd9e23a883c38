"""Five hundred WebSocket clients follow a hundred meetings at 60 finals each second."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from bench.collector import streams
from bench.collector.collector import running
from bench.collector.generator import Generator, client
from bench.collector.numbers import milliseconds
from bench.collector.places import Places
from bench.collector.words import Talk
from bench.usage import cpu_s, rss_bytes

CLIENTS = 500
MEETINGS = 100
RATE = 60.0
SECONDS = 60.0
MIB = 2**20


async def measure(places: Places) -> dict[str, Any]:
    """From the `ts` of a frame, which is made right after the commit, until a client has read it; and from XADD."""
    talks = [Talk(meeting, int(time.time() * 1000)) for meeting in range(1, MEETINGS + 1)]
    generator = Generator(places.redis.url, talks)
    redis = client(places.redis.url)
    received: list[tuple[str, float, float]] = []  # word, when it was read (monotonic), seconds since its commit
    async with running(places.environment()) as collector, AsyncExitStack() as stack:
        await generator.start()
        await streams.settled(redis)
        sockets = [
            await stack.enter_async_context(connect(f"ws://127.0.0.1:{collector.port}/ws")) for _ in range(CLIENTS)
        ]
        for number, socket in enumerate(sockets):
            meeting = number % MEETINGS + 1
            wanted = {"platform": "google_meet", "native_id": str(meeting), "meeting_id": meeting}
            await socket.send(json.dumps({"action": "subscribe", "meetings": [wanted]}))
            answer = json.loads(await socket.recv())
            if answer["type"] != "subscribed":
                raise RuntimeError(f"not subscribed: {answer}")
        readers = [asyncio.create_task(_read(socket, received)) for socket in sockets]
        began_s, began_cpu_s = time.monotonic(), cpu_s(collector.pid)
        await generator.talk(rate=RATE, seconds=SECONDS)
        used = (cpu_s(collector.pid) - began_cpu_s) / (time.monotonic() - began_s)
        await asyncio.sleep(2)
        result = {
            "clients": CLIENTS,
            "finals": generator.oracle.count,
            "expected": generator.oracle.count * CLIENTS // MEETINGS,
            "received": len(received),
            "after_commit": milliseconds([since_s for _, _, since_s in received]),
            "after_xadd": milliseconds([at - generator.oracle.written_s[word] for word, at, _ in received]),
            "cpu_share_of_a_core": round(used, 3),
            "rss_mib": round(rss_bytes(collector.pid) / MIB, 1),
        }
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    await generator.close()
    await redis.aclose()
    return result


async def _read(socket: ClientConnection, received: list[tuple[str, float, float]]) -> None:
    async for message in socket:
        at, unix_s = time.monotonic(), time.time()
        frame = json.loads(message)
        for segment in frame.get("confirmed", ()):
            since_s = unix_s - datetime.fromisoformat(frame["ts"]).timestamp()
            received.append((segment["text"], at, since_s))
