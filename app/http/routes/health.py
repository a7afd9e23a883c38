"""Health routes for people, probes and Vexa: liveness, readiness, and details; and the metrics.

`live` fails only when the event loop is stuck, `ready` while the model loads or the process drains. A busy
worker is ready: taking it out of rotation would move its load to the others until all are out.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from app.contracts.health import HealthBody, LiveBody, ReadyBody, State
from app.http.state import WorkerState, state_of
from app.ops.version import VERSION

router = APIRouter(tags=["health"])


@router.get("/health/live", summary="Is the process alive?", responses={200: {"model": LiveBody}})
async def live() -> JSONResponse:
    """200 while the event loop runs."""
    return JSONResponse({"status": "live"})


@router.get(
    "/health/ready",
    summary="Does the worker accept work?",
    responses={200: {"model": ReadyBody}, 503: {"model": ReadyBody, "description": "Loading or stopping."}},
)
async def ready(request: Request) -> JSONResponse:
    """200 from the end of the warm-up inference until the process drains, also while busy."""
    state = _state(state_of(request))
    return JSONResponse({"status": state}, status_code=200 if state == "ready" else 503)


@router.get(
    "/health",
    summary="Details of this worker",
    responses={200: {"model": HealthBody}, 503: {"model": HealthBody, "description": "Loading or stopping."}},
)
async def health(request: Request) -> JSONResponse:
    """Details of the worker; 503 with the same body while it accepts no work."""
    worker = state_of(request)
    state = _state(worker)
    engine = worker.loaded
    age_s = engine.last_inference_age_s if engine else None
    body: HealthBody = {
        "status": "healthy" if state == "ready" else "unhealthy",
        "state": state,
        "version": VERSION,
        "worker_id": worker.worker_id,
        "timestamp": datetime.now(UTC).replace(tzinfo=None).isoformat(),
        "model": worker.model_name if engine else None,
        "device": engine.info.device if engine else None,
        "gpu_available": engine is not None and engine.info.device == "cuda",
        "compute_type": engine.info.compute_type if engine else None,
        "compute_type_asked": engine.info.compute_type_asked if engine else None,
        "replicas": engine.info.replicas if engine else None,
        "threads": engine.info.threads if engine else None,
        "max_batch": engine.info.max_batch if engine else None,
        "slots": worker.admission.slots,
        "active": worker.admission.active,
        "queued": worker.admission.queued,
        "uptime_s": round(time.monotonic() - worker.started, 3),
        "last_inference_age_s": None if age_s is None else round(age_s, 3),
    }
    return JSONResponse(body, status_code=200 if state == "ready" else 503)


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=PlainTextResponse,
    responses={200: {"content": {"application/openmetrics-text": {"schema": {"type": "string"}}}}},
)
async def read_metrics(request: Request) -> Response:
    """Requests, times and load, as text or as OpenMetrics; no label holds a value that a client sent."""
    body, media_type = state_of(request).metrics.render(request.headers.get("accept", ""))
    return Response(body, headers={"Content-Type": media_type})


def _state(worker: WorkerState) -> State:
    if worker.loaded is not None and worker.loaded.critical:
        return "critical"
    if worker.admission.draining:
        return "draining"
    return "ready" if worker.admission.ready else "initializing"
