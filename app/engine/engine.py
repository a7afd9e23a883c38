"""Where the event loop hands requests to threads.

A request is plain blocking code on its own thread; its events come back to the loop one at a time.
The permit belongs to the work: it is released when the thread has finished, which may be long after
the caller has left (a native call cannot be interrupted).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import BinaryIO, Protocol, TypeVar

from app.audio.decode import decode_audio
from app.core.errors import DeviceLost, EngineFailure, InvalidRequest, ShuttingDown, TranscriptionError
from app.core.options import Options
from app.core.transcript import Timings, Transcript, TranscriptBuilder
from app.engine.failures import FailureWatch, is_sticky
from app.engine.idle_memory import IdleMemory
from app.engine.listeners import ErrorKind, Listeners, ignore
from app.engine.stage_times import StageTimes
from app.engine.transcriber import EngineEvent, Transcriber
from app.ops.tuning import release_memory

log = logging.getLogger("app.engine")

Source = bytes | BinaryIO
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """The model that runs, as /health and /v1/models describe it."""

    model: str
    device: str
    compute_type_asked: str
    compute_type: str
    replicas: int = 1
    threads: int = 1
    max_batch: int = 1


class Permit(Protocol):
    """The right to run one request; the engine releases it when the work has ended."""

    def release(self) -> None:
        """Give the permit back; a second call does nothing."""


class Engine(Protocol):
    """What the API needs. `WhisperEngine` and `FakeEngine` implement it."""

    @property
    def info(self) -> EngineInfo:
        """The model that runs and where."""

    @property
    def last_inference_age_s(self) -> float | None:
        """Seconds since a call of the model last succeeded; None before the first."""

    @property
    def critical(self) -> str | None:
        """Why this process can serve no more; None while it can."""

    def listen(self, listeners: Listeners) -> None:
        """Set who is told what happens, instead of those who were told before."""

    def stream(
        self, source: Source, options: Options, permit: Permit, times: StageTimes | None = None
    ) -> AsyncGenerator[EngineEvent | Timings, None]:
        """Events as they become known: AudioInfo, then Segments and Progress, Timings last.

        The first event proves that the audio was decoded. It is AudioInfo, or Progress if a long file begins
        with minutes without speech.

        Takes ownership of `permit` at once, even if the stream is never iterated. Closing or dropping the
        generator, or cancelling the task that iterates it, stops the work at the next window. `times` gets when
        the stages ran, also if the work fails.

        Raises:
            TranscriptionError: why there is no transcript; its message is for the caller.
        """

    async def close(self) -> None:
        """Stop what runs at its next window and free the model."""


async def transcribe(
    engine: Engine,
    source: Source,
    options: Options,
    permit: Permit,
    times: StageTimes | None = None,
    *,
    on_event: Callable[[EngineEvent | Timings], None] = ignore,
) -> Transcript:
    """The whole transcript at once; cancelling stops the work at the next window.

    `on_event` is called with each event as it arrives.
    """
    builder = TranscriptBuilder()
    stream = engine.stream(source, options, permit, times)
    try:
        async for event in stream:
            on_event(event)
            builder.add(event)
    finally:
        await stream.aclose()
    return builder.transcript()


class WhisperEngine:
    """Runs requests on threads, at most one thread per admission slot."""

    def __init__(
        self,
        transcriber: Transcriber,
        info: EngineInfo,
        *,
        slots: int,
        max_audio_s: float,
        failures: FailureWatch | None = None,
    ) -> None:
        self._failures = failures or FailureWatch()
        self._transcriber = transcriber
        self._info = info
        self._listeners = Listeners()
        self._max_audio_s = max_audio_s
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix="request")
        self._idle_memory = IdleMemory(release_memory)
        self._closing = threading.Event()

    @property
    def info(self) -> EngineInfo:
        """The model that runs and where."""
        return self._info

    @property
    def last_inference_age_s(self) -> float | None:
        """Seconds since a call of the model last succeeded; None before the first."""
        return self._transcriber.last_inference_age_s()

    @property
    def critical(self) -> str | None:
        """Why this process can serve no more; None while it can."""
        return self._failures.critical

    def listen(self, listeners: Listeners) -> None:
        """See `Engine.listen`."""
        self._listeners = listeners
        self._transcriber.listen(listeners)
        self._failures.on_error(listeners.failed)
        self._failures.on_critical(listeners.critical)

    def stream(
        self, source: Source, options: Options, permit: Permit, times: StageTimes | None = None
    ) -> AsyncGenerator[EngineEvent | Timings, None]:
        """See `Engine.stream`. The work starts here, not with the first read, so the permit always has a thread."""
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[EngineEvent | Timings | None] = asyncio.Queue()
        abandoned = threading.Event()
        stages = times or StageTimes()

        def put(event: EngineEvent | Timings | None) -> None:
            # the loop may be closed when a thread outlives the shutdown: then nothing reads the queue
            if not loop.is_closed():
                loop.call_soon_threadsafe(events.put_nowait, event)

        def run() -> None:
            for event in self._work(source, options, lambda: abandoned.is_set() or self._closing.is_set(), stages):
                put(event)

        try:
            work = self._threads.submit(run)
        except RuntimeError as exc:  # the threads have been shut down
            permit.release()
            raise ShuttingDown("The server is shutting down. Retry shortly.", retry_after_s=1) from exc
        self._idle_memory.started()
        work.add_done_callback(lambda _: put(None))
        work.add_done_callback(lambda _: release_on_loop(loop, permit))
        work.add_done_callback(lambda _: on_loop(loop, self._idle_memory.ended))
        stream = self._read(events, work, abandoned)
        weakref.finalize(stream, abandoned.set)  # a generator that never began has no `finally`
        return stream

    async def _read(
        self, events: asyncio.Queue[EngineEvent | Timings | None], work: Future[None], abandoned: threading.Event
    ) -> AsyncGenerator[EngineEvent | Timings, None]:
        """The events of `work`; ending early abandons it."""
        try:
            while (event := await events.get()) is not None:
                yield event
            self._raise_failure(work)
        finally:
            abandoned.set()
            work.cancel()
            self._transcriber.sweep()

    def _work(
        self, source: Source, options: Options, cancelled: Callable[[], bool], times: StageTimes
    ) -> Iterator[EngineEvent | Timings]:
        """On a request thread: decode the audio, transcribe it, and report the time of both."""
        started = time.monotonic()
        try:
            with times.stage("decode"):
                pcm = decode_audio(source, max_audio_s=self._max_audio_s, cancelled=cancelled)
        except Exception as exc:
            self._report_failure(exc, "decode")
            raise
        finally:
            self._listeners.decoded(time.monotonic() - started)
        timings = Timings(audio_decode_s=time.monotonic() - started)
        started = time.monotonic()
        try:
            yield from self._transcriber.events(pcm, options, cancelled, times)
        except InvalidRequest:
            raise  # refused before the model began
        except Exception as exc:
            self._listeners.transcribed(time.monotonic() - started)
            self._report_failure(exc, "other")
            raise
        timings = replace(timings, model_s=time.monotonic() - started)
        self._listeners.transcribed(timings.model_s)
        yield timings

    def _report_failure(self, error: Exception, kind: ErrorKind) -> None:
        """Tell of an error that is neither the caller's nor the device's, which `FailureWatch` tells of."""
        if not isinstance(error, TranscriptionError) and not is_sticky(error):
            self._listeners.failed(kind)

    def _raise_failure(self, work: Future[None]) -> None:
        """Raise a TranscriptionError as it is; log any other exception and hide it."""
        error = work.exception()
        if error is None:
            return
        if isinstance(error, TranscriptionError):
            raise error
        log.error("the engine failed", exc_info=error)
        if self._failures.critical is not None:  # not the request's fault: another worker can serve it
            raise DeviceLost("This worker's device failed, it restarts. Retry shortly.", retry_after_s=2) from error
        raise EngineFailure("The server failed to transcribe this audio.") from error

    async def close(self) -> None:
        """Stop every request at its next window; wait for the threads."""
        self._closing.set()
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
        self._idle_memory.close()
        await asyncio.to_thread(self._transcriber.close)


def release_on_loop(loop: asyncio.AbstractEventLoop, permit: Permit) -> None:
    """Release a permit from any thread: permits belong to the event loop."""
    on_loop(loop, permit.release)


def on_loop(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    """Call a function on the event loop from any thread; not if the loop is closed."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(function)


async def in_thread(function: Callable[[], T]) -> T:
    """Run pure but heavy work (rendering hours of text) on a thread, so that the event loop is not blocked."""
    return await asyncio.to_thread(function)


async def in_daemon_thread(function: Callable[[], T]) -> T:
    """Run `function` on a daemon thread: stopping the process must not wait for a load or a download.

    Cancelling returns at once, and the thread's result is dropped.
    """
    done: Future[T] = Future()
    done.set_running_or_notify_cancel()  # from here on only the thread settles it

    def run() -> None:
        try:
            done.set_result(function())
        except BaseException as exc:  # noqa: BLE001 - the top of a thread: passed to the caller that waits
            done.set_exception(exc)

    threading.Thread(target=run, name="detached", daemon=True).start()
    return await asyncio.wrap_future(done)
