"""create_app(): wires the engine, admission, routes and middleware together.

The server listens first and loads the model in the background, so health probes are always answered.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware import Middleware

from app.core.errors import StartupError
from app.engine.build import build_engine, slots_for
from app.engine.engine import Engine, in_daemon_thread
from app.engine.listeners import Listeners, ignore
from app.http.admission import Admission
from app.http.key_limits.worker_keys import WorkerKeys
from app.http.metrics import WorkerMetrics
from app.http.middleware.access_log import AccessLog, RequestDetails
from app.http.middleware.cors import Cors
from app.http.middleware.drain_body import DrainBody
from app.http.middleware.gate import Gate
from app.http.middleware.head_as_get import HeadAsGet
from app.http.middleware.unhandled_errors import UnhandledErrors
from app.http.request.multipart import ENVELOPE_BYTES
from app.http.request.receive import UploadBudget, UploadLimits
from app.http.response import errors as api_errors
from app.http.response import openapi
from app.http.routes import docs, health, models, page, transcriptions, usage
from app.http.state import WorkerState
from app.ops.loop_lag import watch_loop_lag
from app.ops.tracing import NO_TRACER, Tracer
from app.ops.version import VERSION
from app.settings.worker import WorkerSettings

log = logging.getLogger("app")


def log_fatal(message: str) -> None:
    """Log why the model cannot be loaded."""
    log.error("cannot start", extra={"fields": {"reason": message}})


def create_app(
    settings: WorkerSettings,
    *,
    build: Callable[[WorkerSettings], Engine] = build_engine,
    upload_limits: UploadLimits = UploadLimits(),  # noqa: B008 - frozen
    on_fatal: Callable[[str], None] = log_fatal,
    on_ready: Callable[[], None] | None = None,
    on_critical: Callable[[str], None] = ignore,
    tracer: Tracer = NO_TRACER,
) -> FastAPI:
    """The worker as an ASGI application.

    Args:
        settings: the whole configuration.
        build: creates the engine; called once, on a thread, after the server listens.
        upload_limits: what unfinished uploads may take.
        on_fatal: called with one line if the model cannot be loaded.
        on_ready: called once the model is warm.
        on_critical: called with the reason, from any thread, when this process cannot serve any more.
        tracer: records the requests; closed by whoever made it.

    Raises:
        StartupError: API_KEYS_FILE cannot be used.
    """
    metrics = WorkerMetrics(revision=settings.build_revision)
    admission = Admission(
        slots=slots_for(settings, "cpu"),  # until the device of the model is known
        max_queue=settings.max_queue_size,
        fail_fast=settings.fail_fast_when_busy,
        retry_after_s=settings.busy_retry_after_s,
        on_waited=metrics.count_queue_wait,
    )
    worker = WorkerState(
        admission=admission,
        worker_id=settings.worker_id,
        max_upload_bytes=settings.max_upload_bytes,
        language_style=settings.verbose_json_language,
        strict_models=settings.strict_models,
        served_model_name=settings.served_model_name,
        metrics=metrics,
        keys=WorkerKeys(
            settings.keys,
            file=settings.api_keys_file,
            redis_url=settings.redis_url.get_secret_value(),
            on_named=metrics.keys.follow,
        ),
        uploads=UploadBudget(upload_limits),
    )
    observe_state(worker)

    async def load() -> None:
        try:
            await _open(worker, settings, build, on_critical)
        except StartupError as exc:
            on_fatal(str(exc))
        else:
            if on_ready is not None:
                on_ready()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        running = load(), watch_loop_lag(worker.metrics.set_loop_lag), worker.keys.keep_up_to_date()
        tasks = [asyncio.create_task(each) for each in running]
        yield
        worker.admission.drain()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if worker.loaded is not None:
            await worker.loaded.close()

    app = FastAPI(
        title="Speech to text",
        description="OpenAI-compatible transcription on your own machine.",
        version=VERSION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        # FastAPI's own telemetry would send query strings and exceptions, which may hold keys and text; see ops/tracing
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        redirect_slashes=False,  # most clients drop the body of a redirected POST: they get a 404 instead
        middleware=_middleware(settings, worker, tracer),
    )
    app.state.worker = worker
    api_errors.install(app)
    for router in (transcriptions.router, models.router, usage.router, health.router):
        app.include_router(router)
    app.include_router(
        page.create_router(key_required=settings.key_required, max_upload_bytes=settings.max_upload_bytes)
    )
    openapi.install(app)
    docs.install(app)
    return app


def _middleware(settings: WorkerSettings, worker: WorkerState, tracer: Tracer) -> list[Middleware]:
    """The middleware, outermost first."""
    cors = [Middleware(Cors, origins=settings.origins)] if settings.origins else []
    return [
        Middleware(DrainBody, max_body_bytes=settings.max_upload_bytes + ENVELOPE_BYTES),
        Middleware(AccessLog, on_done=lambda details: _count(worker.metrics, details), tracer=tracer),
        *cors,
        Middleware(UnhandledErrors),
        Middleware(
            Gate,
            keys=worker.keys.ring,
            max_upload_bytes=settings.max_upload_bytes,
            refusal=worker.admission.refusal,
            limiter=worker.keys.limiter,
        ),
        Middleware(HeadAsGet),
    ]


def observe_state(worker: WorkerState) -> None:
    """Have each scrape read the state."""
    admission = worker.admission

    def without_progress_s() -> float:
        model_s = worker.loaded.last_inference_age_s if worker.loaded else None
        slots_s = admission.use.without_progress_s
        return slots_s if model_s is None else min(slots_s, model_s)

    worker.metrics.observe_state(
        in_flight=lambda: admission.active,
        slots=lambda: admission.slots,
        queue_depth=lambda: admission.queued,
        ready=lambda: admission.ready,
        draining=lambda: admission.draining,
        slot_s=lambda: admission.use.slot_s,
        without_progress_s=without_progress_s,
    )


def _count(metrics: WorkerMetrics, details: RequestDetails) -> None:
    record = details.record
    outcome = record.outcome(details.status)
    metrics.count_request(
        details.path,
        status=details.status,
        outcome=outcome,
        tier=record.tier,
        seconds=details.seconds,
        trace_id=record.trace_id,
    )
    if record.info is not None and record.timings is not None:
        metrics.count_transcription(record.info, record.timings)
    metrics.keys.count(record)


async def _open(
    worker: WorkerState,
    settings: WorkerSettings,
    build: Callable[[WorkerSettings], Engine],
    on_critical: Callable[[str], None],
) -> None:
    """Load the engine on a thread, then start admitting requests.

    Raises:
        StartupError: the model cannot be loaded.
    """
    started_s = time.monotonic()
    try:
        engine = await in_daemon_thread(lambda: build(settings))
    except StartupError:
        raise
    except Exception as exc:
        log.exception("loading the model failed")
        raise StartupError(
            f"MODEL_SIZE={settings.model_size}: loading failed ({type(exc).__name__}); see the log"
        ) from exc
    loaded_s = time.monotonic()
    worker.loaded = engine
    worker.admission.open(slots=slots_for(settings, engine.info.device))
    record = {
        "model": engine.info.model,
        "device": engine.info.device,
        "compute_type": engine.info.compute_type,
        "replicas": engine.info.replicas,
        "threads": engine.info.threads,
        "max_batch": engine.info.max_batch,
        "slots": worker.admission.slots,
    }
    engine.listen(_listeners(worker.metrics, on_critical))
    worker.metrics.set_model(
        model=worker.model_name,
        device=engine.info.device,
        compute_type=engine.info.compute_type,
        replicas=engine.info.replicas,
        load_s=loaded_s - started_s,
    )
    log.info("ready", extra={"fields": record})


def _listeners(metrics: WorkerMetrics, on_critical: Callable[[str], None]) -> Listeners:
    return Listeners(
        critical=on_critical,
        batch=metrics.count_batch,
        skipped=metrics.count_skipped,
        suppressed=metrics.count_suppressed,
        waited=metrics.count_batch_wait,
        busy=metrics.count_busy,
        decoded=metrics.count_decoding,
        transcribed=metrics.count_inference,
        speech=metrics.count_speech,
        fallback=metrics.count_fallback,
        failed=metrics.count_engine_error,
    )
