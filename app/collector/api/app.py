"""create_app(): the collector's HTTP application."""

from __future__ import annotations

from fastapi import FastAPI

from app.collector.api.routes import health
from app.collector.services import Services


def create_app(services: Services) -> FastAPI:
    """The read API over these parts; it starts no task of its own and closes none of them."""
    app = FastAPI(
        title="Transcripts",
        description="What was said in meetings, stored and live.",
        version="0.1.0",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    app.include_router(health.router)
    return app
