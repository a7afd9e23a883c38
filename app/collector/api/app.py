"""create_app(): the collector's HTTP application."""

from __future__ import annotations

from fastapi import FastAPI

from app.collector.api import errors
from app.collector.api.routes import health, socket, stream
from app.collector.live.service import Live
from app.collector.services import Services


def create_app(services: Services) -> FastAPI:
    """The read API over these parts, none of which it closes; its live push has tasks while there are readers."""
    app = FastAPI(
        title="Transcripts",
        description="What was said in meetings, stored and live.",
        version="0.1.0",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.live = Live(services)
    errors.install(app)
    app.include_router(health.router)
    app.include_router(stream.router)
    app.include_router(socket.router)
    return app
