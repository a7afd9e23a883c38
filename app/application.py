"""create_app(): the one place where engine, slots, routes and middleware are wired together.

The server listens first and loads the model in the background, so a probe always gets an answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware import Middleware

from app.admission import Admission
from app.api import docs, models, openapi, ops, page, transcriptions
from app.api import errors as api_errors
from app.api.auth import KeyRing
from app.api.cors import Cors
from app.api.middleware import Gate, HeadAsGet, LastResort, RequestDetails, RequestLog
from app.api.service import Service
from app.api.unread import Unread
from app.api.uploads import ENVELOPE_BYTES
from app.engine.engine import Engine, detached
from app.errors import StartupError
from app.heartbeat import watch_loop
from app.loading import build_engine, slots_for
from app.metrics import Metrics
from app.settings import Settings

log = logging.getLogger("app")


def log_fatal(message: str) -> None:
    """Say in the log why the model cannot be loaded."""
    log.error("cannot start", extra={"fields": {"reason": message}})


def create_app(
    settings: Settings,
    *,
    build: Callable[[Settings], Engine] = build_engine,
    on_fatal: Callable[[str], None] = log_fatal,
    on_ready: Callable[[], None] | None = None,
    on_critical: Callable[[str], None] | None = None,
) -> FastAPI:
    """The worker as an ASGI application.

    Args:
        settings: the whole configuration.
        build: makes the engine; called once, on a thread, after the server listens.
        on_fatal: told in one line why the model cannot be loaded.
        on_ready: called once the model is warm.
        on_critical: told, from any thread, why this process can serve no more.
    """
    admission = Admission(
        slots=slots_for(settings, "cpu"),  # until the model says which device it runs on
        max_queue=settings.max_queue_size,
        fail_fast=settings.fail_fast_when_busy,
        retry_after_s=settings.busy_retry_after_s,
    )
    service = Service(
        admission=admission,
        worker_id=settings.worker_id,
        max_upload_bytes=settings.max_upload_bytes,
        language_style=settings.verbose_json_language,
        strict_models=settings.strict_models,
        metrics=_metrics(admission),
    )

    async def load() -> None:
        try:
            await _open(service, settings, build)
        except StartupError as exc:
            on_fatal(str(exc))
        else:
            if on_critical is not None:
                service.engine.on_critical(on_critical)
            if on_ready is not None:
                on_ready()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tasks = asyncio.create_task(load()), asyncio.create_task(watch_loop(service.metrics.tell_loop_lag))
        yield
        service.admission.drain()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if service.loaded is not None:
            await service.loaded.close()

    app = FastAPI(
        title="Speech to text",
        description="OpenAI-compatible transcription on your own machine.",
        version="0.1.0",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirected POST loses its body in most clients: an honest 404 instead
        middleware=_middleware(settings, service),
    )
    app.state.service = service
    api_errors.install(app)
    for router in (transcriptions.router, models.router, ops.router):
        app.include_router(router)
    app.include_router(page.create_router(key_required=bool(settings.keys), max_upload_bytes=settings.max_upload_bytes))
    openapi.install(app)
    docs.install(app)
    return app


def _middleware(settings: Settings, service: Service) -> list[Middleware]:
    """From the outside in: what happens to a request before its body is read."""
    cors = [Middleware(Cors, origins=settings.origins)] if settings.origins else []
    return [
        Middleware(Unread, max_body_bytes=settings.max_upload_bytes + ENVELOPE_BYTES),
        Middleware(RequestLog, on_done=lambda details: _count(service.metrics, details)),
        *cors,
        Middleware(LastResort),
        Middleware(
            Gate,
            keys=KeyRing(settings.keys),
            max_upload_bytes=settings.max_upload_bytes,
            refusal=service.admission.refusal,
        ),
        Middleware(HeadAsGet),
    ]


def _metrics(admission: Admission) -> Metrics:
    metrics = Metrics()
    metrics.observe_state(
        in_flight=lambda: admission.active,
        slots=lambda: admission.slots,
        queue_depth=lambda: admission.queued,
        ready=lambda: admission.ready,
        draining=lambda: admission.draining,
    )
    return metrics


def _count(metrics: Metrics, details: RequestDetails) -> None:
    facts = details.facts
    outcome = facts.outcome(details.status)
    metrics.count_request(
        details.path, status=details.status, outcome=outcome, lane=facts.lane, seconds=details.seconds
    )
    if facts.info is not None and facts.timings is not None:
        metrics.count_transcription(facts.info, facts.timings, lane=facts.lane)


async def _open(service: Service, settings: Settings, build: Callable[[Settings], Engine]) -> None:
    """Load the engine on a thread, then open the doors.

    Raises:
        StartupError: the model cannot be loaded.
    """
    try:
        engine = await detached(lambda: build(settings))
    except StartupError:
        raise
    except Exception as exc:
        log.exception("a bug while loading the model")
        raise StartupError(
            f"MODEL_SIZE={settings.model_size}: loading failed ({type(exc).__name__}); see the log"
        ) from exc
    service.loaded = engine
    service.admission.open(slots=slots_for(settings, engine.info.device))
    facts = {
        "model": engine.info.model,
        "device": engine.info.device,
        "compute_type": engine.info.compute_type,
        "replicas": engine.info.replicas,
        "threads": engine.info.threads,
        "max_batch": engine.info.max_batch,
        "slots": service.admission.slots,
    }
    engine.on_batch(service.metrics.count_batch)
    service.metrics.name_model(
        model=engine.info.model, device=engine.info.device, compute_type=engine.info.compute_type
    )
    log.info("ready", extra={"fields": facts})
