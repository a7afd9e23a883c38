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
from app.api import errors as api_errors
from app.api import models, ops, transcriptions
from app.api.auth import KeyRing
from app.api.middleware import Gate, RequestLog
from app.api.service import Service
from app.engine.engine import Engine, detached
from app.errors import StartupError
from app.loading import build_engine, slots_for
from app.settings import Settings

log = logging.getLogger("app")


def create_app(
    settings: Settings,
    *,
    build: Callable[[Settings], Engine] = build_engine,
    on_fatal: Callable[[str], None] | None = None,
    on_ready: Callable[[], None] | None = None,
    on_critical: Callable[[str], None] | None = None,
) -> FastAPI:
    """The worker as an ASGI application.

    Args:
        settings: the whole configuration.
        build: makes the engine; called once, on a thread, after the server listens.
        on_fatal: told in one line why the model cannot be loaded; without it the line is logged.
        on_ready: called once the model is warm.
        on_critical: told, from any thread, why this process can serve no more.
    """
    service = Service(
        admission=Admission(
            slots=slots_for(settings, "cpu"),  # until the model says which device it runs on
            max_queue=settings.max_queue_size,
            fail_fast=settings.fail_fast_when_busy,
            retry_after_s=settings.busy_retry_after_s,
        ),
        worker_id=settings.worker_id,
        max_upload_bytes=settings.max_upload_bytes,
        language_style=settings.verbose_json_language,
        strict_models=settings.strict_models,
    )

    async def load() -> None:
        try:
            await _open(service, settings, build)
        except StartupError as exc:
            if on_fatal is None:
                log.error("cannot start", extra={"fields": {"reason": str(exc)}})  # noqa: TRY400 - one line says it
            else:
                on_fatal(str(exc))
        else:
            if on_critical is not None:
                service.engine.on_critical(on_critical)
            if on_ready is not None:
                on_ready()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(load())
        yield
        service.admission.drain()
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)
        if service.loaded is not None:
            await service.loaded.close()

    app = FastAPI(
        title="Speech to text",
        description="OpenAI-compatible transcription on your own machine.",
        version="0.1.0",
        lifespan=lifespan,
        redirect_slashes=False,  # a redirected POST loses its body in most clients: an honest 404 instead
        middleware=[
            Middleware(RequestLog),
            Middleware(
                Gate,
                keys=KeyRing(settings.keys),
                max_upload_bytes=settings.max_upload_bytes,
                refusal=service.admission.refusal,
            ),
        ],
    )
    app.state.service = service
    api_errors.install(app)
    for router in (transcriptions.router, models.router, ops.router):
        app.include_router(router)
    return app


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
    log.info("ready", extra={"fields": facts})
