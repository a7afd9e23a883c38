"""create_app(): the collector's HTTP application."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware

from app.collector.api import errors, openapi
from app.collector.api.middleware.access_log import AccessLog
from app.collector.api.middleware.head_as_get import HeadAsGet
from app.collector.api.middleware.security_headers import SecurityHeaders
from app.collector.api.middleware.unhandled_errors import UnhandledErrors
from app.collector.api.routes import docs, health, internal, meetings, page, search, socket, stream, transcripts
from app.collector.live.service import Live
from app.collector.services import Services
from app.ops.version import VERSION

ROUTERS: Final[tuple[APIRouter, ...]] = (
    meetings.router,
    transcripts.router,
    search.router,
    stream.router,
    socket.router,
    internal.router,
    health.router,
)


def create_app(services: Services) -> FastAPI:
    """The read API over these parts, none of which it closes; its live push has tasks while there are readers."""
    app = FastAPI(
        title="Transcripts",
        description="What was said in meetings, stored and live.",
        version=VERSION,
        docs_url=None,
        redoc_url=None,
        # FastAPI's own telemetry would send query strings and exceptions, which may hold keys and text; see ops/tracing
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        redirect_slashes=False,
        middleware=[  # outermost first
            Middleware(AccessLog, metrics=services.metrics, tracer=services.tracer),
            Middleware(SecurityHeaders),
            Middleware(UnhandledErrors),
            Middleware(HeadAsGet),
        ],
    )
    app.state.services = services
    app.state.live = Live(services)
    errors.install(app)
    for router in ROUTERS:
        app.include_router(router)
    app.include_router(page.create_router(key_required=services.options.needs_key))
    openapi.install(app)
    docs.install(app)
    return app
