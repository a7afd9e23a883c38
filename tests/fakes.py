"""Engines that tests control."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Sequence

from app.core.options import Options
from app.core.transcript import AudioInfo, Progress, Segment, Timings
from app.engine.engine import EngineInfo, Permit, Source
from app.engine.listeners import Listeners
from app.engine.stage_times import StageTimes
from app.engine.transcriber import EngineEvent


class FakeClock:
    """A clock that a test advances."""

    def __init__(self, now_s: float = 0.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        """Now."""
        return self.now_s

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds


class HeldEngine:
    """Holds every request until `go`; records the options, and how many requests were cancelled."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.received: list[Options] = []
        self.n_left = 0
        self.closed = False

    info = EngineInfo(model="held", device="cpu", compute_type_asked="int8", compute_type="int8")
    last_inference_age_s: float | None = None
    critical: str | None = None

    def listen(self, listeners: Listeners) -> None:
        """Nobody is told anything."""

    async def stream(
        self,
        source: Source,
        options: Options,
        permit: Permit,
        times: StageTimes | None = None,
    ) -> AsyncGenerator[EngineEvent | Timings, None]:
        """See `Engine.stream`."""
        self.received.append(options)
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


class SteppedEngine(HeldEngine):
    """Yields one event for each `step`; `said` counts the events."""

    def __init__(self, *events: EngineEvent | Timings | Exception) -> None:
        super().__init__()
        self._events = events
        self._may_go_on = asyncio.Semaphore(0)
        self.said = 0

    def step(self, n_events: int = 1) -> None:
        """Allow so many further events."""
        for _ in range(n_events):
            self._may_go_on.release()

    async def stream(
        self,
        source: Source,
        options: Options,
        permit: Permit,
        times: StageTimes | None = None,
    ) -> AsyncGenerator[EngineEvent | Timings, None]:
        """See `Engine.stream`."""
        self.received.append(options)
        try:
            for event in self._events:
                await self._may_go_on.acquire()
                self.said += 1
                if isinstance(event, Exception):
                    raise event
                yield event
        except (asyncio.CancelledError, GeneratorExit):
            self.n_left += 1
            raise
        finally:
            permit.release()


class BrokenEngine(HeldEngine):
    """Fails on every request as no engine should: with an exception that is not ours."""

    async def stream(
        self,
        source: Source,
        options: Options,
        permit: Permit,
        times: StageTimes | None = None,
    ) -> AsyncGenerator[EngineEvent | Timings, None]:
        """Raise after the first event."""
        try:
            yield AudioInfo("en", 1.0, 1.0)
            raise RuntimeError("CUDA failed with error: sk-secret in /srv/secret")
        finally:
            permit.release()


class SpeakingEngine(HeldEngine):
    """Says the given segments, each when it is told to `speak`; serves one request after the other.

    Args:
        said: start, end and text of each segment; the same for every request.
        total_s: how long the audio is said to be.
    """

    def __init__(self, said: Sequence[tuple[float, float, str]], *, total_s: float) -> None:
        super().__init__()
        self._said = said
        self._total_s = total_s
        self._turns = threading.Semaphore(0)

    def speak(self, times: int = 1) -> None:
        """Allow the next segments; from any thread."""
        self._turns.release(times)

    async def stream(
        self,
        source: Source,
        options: Options,
        permit: Permit,
        times: StageTimes | None = None,
    ) -> AsyncGenerator[EngineEvent | Timings, None]:
        """See `Engine.stream`."""
        self.received.append(options)
        try:
            yield AudioInfo(options.language or "en", 1.0, self._total_s)
            for number, (start, end, text) in enumerate(self._said):
                while not self._turns.acquire(blocking=False):
                    await asyncio.sleep(0.005)
                yield Segment(number, 0, start, end, text, (), -0.1, 1.0, 0.0, 0.0, None)
                yield Progress(end, self._total_s)
            yield Timings()
        finally:
            permit.release()
