"""Engines that do what a test tells them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

from app.admission import Permit
from app.engine.engine import EngineInfo, Source
from app.engine.transcriber import Event
from app.options import Options
from app.transcript import AudioInfo, Timings


class FakeClock:
    """Seconds that pass when a test says so."""

    def __init__(self, now_s: float = 0.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        """Now."""
        return self.now_s

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds


class HeldEngine:
    """Holds every request until `go`; remembers what it was asked and who left."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.asked: list[Options] = []
        self.n_left = 0
        self.closed = False

    info = EngineInfo(model="held", device="cpu", compute_type_asked="int8", compute_type="int8")
    last_inference_age_s: float | None = None
    critical: str | None = None

    def on_critical(self, tell: Callable[[str], None]) -> None:
        """Nothing to tell."""

    async def stream(
        self,
        source: Source,
        options: Options,
        permit: Permit,
    ) -> AsyncGenerator[Event | Timings, None]:
        """See `Engine.stream`."""
        self.asked.append(options)
        try:
            await self.go.wait()
            yield AudioInfo(options.language or "en", 1.0, 1.0)
        except (asyncio.CancelledError, GeneratorExit):
            self.n_left += 1
            raise
        finally:
            permit.release()

    async def close(self) -> None:
        """Remember it."""
        self.closed = True


class BrokenEngine(HeldEngine):
    """Fails on every request as no engine should: with an exception that is not ours."""

    async def stream(
        self,
        source: Source,
        options: Options,
        permit: Permit,
    ) -> AsyncGenerator[Event | Timings, None]:
        """Raise after the first event."""
        try:
            yield AudioInfo("en", 1.0, 1.0)
            raise RuntimeError("CUDA failed with error: sk-secret in /srv/secret")
        finally:
            permit.release()
