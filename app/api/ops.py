"""Health for people, probes and Vexa: alive, ready, and a page of facts.

`live` fails only when the loop is stuck, `ready` while the model loads or the process drains. A busy
worker is ready: taking it out of rotation would push its load onto the others until all are out.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from app.api.service import Service, service_of

router = APIRouter(tags=["health"])


@router.get("/health/live", summary="Is the process alive?")
@router.head("/health/live", include_in_schema=False)
async def live() -> JSONResponse:
    """200 whenever the event loop turns."""
    return JSONResponse({"status": "live"})


@router.get("/health/ready", summary="May it be sent work?")
@router.head("/health/ready", include_in_schema=False)
async def ready(request: Request) -> JSONResponse:
    """200 once the warm-up inference returned and until the process drains, also while busy."""
    state = _state(service_of(request))
    return JSONResponse({"status": state}, status_code=200 if state == "ready" else 503)


@router.get("/health", summary="Everything about this worker")
@router.head("/health", include_in_schema=False)
async def health(request: Request) -> JSONResponse:
    """Facts about the worker; 503 with the same body while it cannot serve."""
    service = service_of(request)
    state = _state(service)
    engine = service.loaded
    age_s = engine.last_inference_age_s if engine else None
    body = {
        "status": "healthy" if state == "ready" else "unhealthy",
        "state": state,
        "worker_id": service.worker_id,
        "timestamp": datetime.now(UTC).replace(tzinfo=None).isoformat(),
        "model": engine.info.model if engine else None,
        "device": engine.info.device if engine else None,
        "gpu_available": engine is not None and engine.info.device == "cuda",
        "compute_type": engine.info.compute_type if engine else None,
        "compute_type_asked": engine.info.compute_type_asked if engine else None,
        "replicas": engine.info.replicas if engine else None,
        "threads": engine.info.threads if engine else None,
        "max_batch": engine.info.max_batch if engine else None,
        "slots": service.admission.slots,
        "active": service.admission.active,
        "queued": service.admission.queued,
        "uptime_s": round(time.monotonic() - service.started, 3),
        "last_inference_age_s": None if age_s is None else round(age_s, 3),
    }
    return JSONResponse(body, status_code=200 if state == "ready" else 503)


@router.get("/", summary="What this is")
async def root(request: Request) -> JSONResponse:
    """The service's name and where to go from here."""
    service = service_of(request)
    engine = service.loaded
    return JSONResponse(
        {
            "service": "speech-to-text",
            "worker_id": service.worker_id,
            "model": engine.info.model if engine else None,
            "device": engine.info.device if engine else None,
            "status": "ready" if service.admission.ready else "initializing",
            "endpoints": {"transcribe": "/v1/audio/transcriptions", "health": "/health", "docs": "/docs"},
        }
    )


def _state(service: Service) -> str:
    if service.loaded is not None and service.loaded.critical:
        return "critical"
    if service.admission.draining:
        return "draining"
    return "ready" if service.admission.ready else "initializing"
