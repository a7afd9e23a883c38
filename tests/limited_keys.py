"""Workers whose key sk-alice has limits, for tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from app.engine.engine import Engine
from app.http.key_limits.limiter import Usage
from app.ops.keys import digest_of
from tests.clients import MODEL_PART, MULTIPART, Exchange, Worker, body_of, part, tone_wav, until, worker
from tests.fakes import FakeClock, HeldEngine

NEW_YEAR_S = 1_767_225_600  # 2026-01-01T00:00:00Z
ALICE = {"Authorization": "Bearer sk-alice"}
RATE = ("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests")


def keys_file(folder: Path, **limits: object) -> str:
    """A file with the key sk-alice and these limits, and the key sk-bob without any."""
    lines = [f'[[key]]\nname = "alice"\nsha256 = "{digest_of("sk-alice").hex()}"']
    lines += [f"{name} = {json.dumps(value)}" for name, value in limits.items()]
    lines += [f'[[key]]\nname = "bob"\nsha256 = "{digest_of("sk-bob").hex()}"']
    path = folder / "keys.toml"
    path.write_text("\n".join(lines))
    return str(path)


@asynccontextmanager
async def limited(
    folder: Path, engine: Engine | None = None, *, settings: dict[str, Any] | None = None, **limits: object
) -> AsyncIterator[tuple[Worker, FakeClock]]:
    """A worker whose key sk-alice has these limits, a client that sends it, and the clock of the limits."""
    clock = FakeClock(NEW_YEAR_S + 18.25)
    async with worker(engine, api_keys_file=keys_file(folder, **limits), **(settings or {})) as running:
        running.state.keys.limiter._clock = clock
        running.client.headers.update(ALICE)
        yield running, clock


def rate(answer: httpx.Response) -> list[str | None]:
    """OpenAI's headers of an answer: limit, remaining, reset."""
    return [answer.headers.get(name) for name in RATE]


async def usage(running: Worker) -> Usage:
    """What sk-alice has used."""
    key = running.state.keys.ring.find("sk-alice")
    assert key is not None
    return await running.state.keys.limiter.usage(key)


async def send_until_served(running: Worker, engine: HeldEngine) -> tuple[Exchange, asyncio.Task[None]]:
    """An upload of sk-alice that the engine holds."""
    exchange = Exchange(running.app, [(b"content-type", MULTIPART), (b"authorization", b"Bearer sk-alice")])
    exchange.feed(body_of(MODEL_PART, part('name="file"', tone_wav())))
    n_before = len(engine.received)
    task = asyncio.create_task(exchange.run())
    await until(lambda: len(engine.received) > n_before)
    return exchange, task
