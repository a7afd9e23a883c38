from __future__ import annotations

import asyncio
import re
import threading
import time

import httpx
import pytest
from fastapi import FastAPI

from app.core.errors import StartupError
from app.engine.engine import Engine
from app.engine.fake import FakeEngine
from app.engine.listeners import Listeners
from app.http.app import create_app
from app.settings.worker import WorkerSettings
from tests.clients import PATH, settings_for_test, upload, worker
from tests.fakes import HeldEngine


def client_of(app: FastAPI) -> httpx.AsyncClient:
    """An HTTP client of the application."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://worker")


async def test_listens_first_loads_beside_and_becomes_ready():
    """While the model loads: alive, not ready, uploads refused with Retry-After. Afterwards: 200."""
    may_load, ready = threading.Event(), asyncio.Event()

    def build(_: WorkerSettings) -> Engine:
        assert may_load.wait(10)
        return FakeEngine()

    app = create_app(settings_for_test(), build=build, on_ready=ready.set)
    async with app.router.lifespan_context(app), client_of(app) as client:
        live, before, health = [await client.get(f"/health{path}") for path in ("/live", "/ready", "")]
        early = await client.post(PATH, files=upload(), data={"model": "whisper-1"})
        models = await client.get("/v1/models")
        may_load.set()
        await asyncio.wait_for(ready.wait(), 10)
        after = await client.get("/health/ready")
        served = await client.post(PATH, files=upload(), data={"model": "whisper-1"})
    assert (live.status_code, before.status_code, health.status_code) == (200, 503, 503)
    assert before.json() == {"status": "initializing"}
    assert (early.status_code, early.json()["error"]["code"]) == (503, "model_loading")
    assert int(early.headers["retry-after"]) >= 1
    assert (models.status_code, models.json()["error"]["code"]) == (503, "model_loading")
    assert (after.status_code, after.json()) == (200, {"status": "ready"})
    assert served.status_code == 200


async def test_build_is_called_once_with_the_settings_and_off_the_loop():
    """One load for each process, on a thread that cannot keep the process alive."""
    seen: list[tuple[WorkerSettings, threading.Thread]] = []

    def build(settings: WorkerSettings) -> Engine:
        seen.append((settings, threading.current_thread()))
        return FakeEngine()

    ready = asyncio.Event()
    settings = settings_for_test()
    app = create_app(settings, build=build, on_ready=ready.set)
    async with app.router.lifespan_context(app):
        await asyncio.wait_for(ready.wait(), 10)
    ((given, thread),) = seen
    assert given is settings
    assert thread is not threading.main_thread()
    assert thread.daemon


async def fatal_message(error: BaseException) -> str:
    """The message that `on_fatal` gets when the build function raises."""
    told: asyncio.Queue[str] = asyncio.Queue()

    def build(_: WorkerSettings) -> Engine:
        raise error

    app = create_app(settings_for_test(model_size="tiny"), build=build, on_fatal=told.put_nowait)
    async with app.router.lifespan_context(app), client_of(app) as client:
        message = await asyncio.wait_for(told.get(), 10)
        assert (await client.get("/health/ready")).status_code == 503
        assert (await client.post(PATH)).status_code == 503
    assert told.empty()
    return message


async def test_model_that_cannot_be_loaded_is_reported_once():
    """The line of a StartupError arrives as it is; the worker never becomes ready."""
    assert await fatal_message(StartupError("MODEL_SIZE=tiny: no such model")) == "MODEL_SIZE=tiny: no such model"


@pytest.mark.parametrize("error", [RuntimeError("Unable to open\nfile"), MemoryError()])
async def test_any_other_failure_of_the_load_is_fatal_in_one_line(error: BaseException):
    """For an unexpected exception the message names the setting; its text is only logged."""
    message = await fatal_message(error)
    assert message == f"MODEL_SIZE=tiny: loading failed ({type(error).__name__}); see the log"


async def test_failure_without_listener_is_logged(caplog: pytest.LogCaptureFixture):
    """Without an `on_fatal` callback the reason is logged."""

    def build(_: WorkerSettings) -> Engine:
        raise StartupError("MODEL_SIZE=tiny: no such model")

    app = create_app(settings_for_test(), build=build)
    async with app.router.lifespan_context(app):
        async with asyncio.timeout(10):
            while not caplog.records:
                await asyncio.sleep(0.001)
    (line,) = caplog.records
    assert line.levelname == "ERROR"
    assert line.__dict__["fields"] == {"reason": "MODEL_SIZE=tiny: no such model"}


async def test_stopping_does_not_wait_for_a_load():
    """A download that takes minutes does not delay the end of the process."""
    stuck = threading.Event()

    def build(_: WorkerSettings) -> Engine:
        stuck.wait(30)
        return FakeEngine()

    app = create_app(settings_for_test(), build=build)
    started = time.monotonic()
    async with app.router.lifespan_context(app):
        pass
    loop = asyncio.get_running_loop()
    assert not getattr(loop, "_default_executor", None)  # asyncio.run waits for whatever runs there
    assert time.monotonic() - started < 20
    stuck.set()


async def test_end_drains_and_closes_the_engine():
    """After the lifespan nothing is admitted and the engine has been closed."""
    engine = HeldEngine()
    async with worker(engine) as running:
        assert not engine.closed
    assert engine.closed
    assert running.state.admission.draining
    async with client_of(running.app) as client:
        answer = await client.post(PATH, files=upload(), data={"model": "whisper-1"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "shutting_down")
        assert (await client.get("/health/ready")).json() == {"status": "draining"}


@pytest.mark.parametrize(("asked", "slots"), [(0, 8), (1, 1), (7, 7)])
async def test_slots_are_the_setting_or_the_default_of_the_device(asked: int, slots: int):
    """MAX_CONCURRENT_TRANSCRIPTIONS, or the default for a CPU."""
    async with worker(max_concurrent_transcriptions=asked) as running:
        assert (await running.client.get("/health")).json()["slots"] == slots


class TellingEngine(HeldEngine):
    """Keeps its listeners, for the test to call."""

    listeners = Listeners()

    def listen(self, listeners: Listeners) -> None:
        """See `Engine.listen`."""
        self.listeners = listeners


async def test_what_the_engine_tells_is_counted_and_passed_on():
    """Calls of the model, skipped windows and suppressed segments are in the metrics; a failure reaches the caller."""
    engine, failures, ready = TellingEngine(), list[str](), asyncio.Event()
    app = create_app(settings_for_test(), build=lambda _: engine, on_ready=ready.set, on_critical=failures.append)
    async with app.router.lifespan_context(app), client_of(app) as client:
        await asyncio.wait_for(ready.wait(), 10)
        engine.listeners.batch("generate", 4)
        engine.listeners.skipped()
        engine.listeners.suppressed("silence")
        engine.listeners.waited(0.5)
        engine.listeners.busy(0, 2.0)
        engine.listeners.decoded(0.1)
        engine.listeners.transcribed(3.0)
        engine.listeners.speech(7.0)
        engine.listeners.fallback("repetition")
        engine.listeners.failed("oom")
        engine.listeners.critical("the device is lost")
        metrics = (await client.get("/metrics")).text
    assert failures == ["the device is lost"]
    assert re.search(r"whisper_batch_size_sum\{[^}]*\} 4\.0", metrics)
    assert re.search(r"whisper_skipped_windows_total(\{[^}]*\})? 1\.0", metrics)
    assert re.search(r"whisper_suppressed_segments_total\{[^}]*silence[^}]*\} 1\.0", metrics)
    for line in (
        "whisper_batch_wait_seconds_sum 0.5",
        'whisper_model_busy_seconds_total{replica="0"} 2.0',
        "whisper_decode_seconds_sum 0.1",
        "whisper_inference_seconds_sum 3.0",
        "whisper_speech_seconds_total 7.0",
        'whisper_fallbacks_total{reason="repetition"} 1.0',
        'whisper_engine_errors_total{kind="oom"} 1.0',
    ):
        assert f"\n{line}\n" in metrics


async def test_openapi_document_is_served():
    """The document names the route; the alias for Vexa's base URLs stays out of it."""
    async with worker() as running:
        document = (await running.client.get("/openapi.json")).json()
    assert PATH in document["paths"]
    assert "/v1/v1/audio/transcriptions" not in document["paths"]
