"""Health routes and metrics. They read the state that the loops keep, and ask neither Redis nor the database."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from app.collector.api.state import services_of
from app.contracts.collector import iso_z
from app.ops.version import VERSION

router = APIRouter(tags=["health"])


@router.get("/health/live", summary="Is the process alive?")
async def live() -> JSONResponse:
    """200 while the event loop runs."""
    return JSONResponse({"status": "live"})


@router.get("/health/ready", summary="Does the collector store and serve?")
async def ready(request: Request) -> JSONResponse:
    """503 while the database is away, entries wait for too long, or a loop makes no progress."""
    state = services_of(request).health
    obstacles = state.obstacles()
    body: dict[str, Any] = {
        "status": "unready" if obstacles else "ready",
        "redis": state.redis,
        "database": state.database,
        "lag_s": state.lag_s,
        "reasons": list(obstacles),
    }
    return JSONResponse(body, status_code=503 if obstacles else 200)


@router.get("/health", summary="Details of this collector")
async def health(request: Request) -> JSONResponse:
    """Redis, the database and the stream; 503 with the same body while the collector is not ready."""
    services = services_of(request)
    state = services.health
    obstacles = state.obstacles()
    body: dict[str, Any] = {
        "status": "unhealthy" if obstacles or state.redis != "healthy" else "healthy",
        "version": VERSION,
        "redis": state.redis,
        "database": state.database,
        "stream": services.options.stream,
        "timestamp": iso_z(services.clock.now_ms()),
        "lag_s": state.lag_s,
        "warnings": list(state.warnings),
    }
    return JSONResponse(body, status_code=503 if obstacles else 200)


@router.get("/metrics", summary="Metrics for Prometheus", response_class=PlainTextResponse)
async def read_metrics(request: Request) -> Response:
    """No label holds a value that a client sent."""
    body, media_type = services_of(request).metrics.render(request.headers.get("accept", ""))
    return Response(body, media_type=media_type)
