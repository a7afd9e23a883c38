from __future__ import annotations

import asyncio
from datetime import datetime

import httpx

from app.engine.fake import FakeEngine
from app.http.app import create_app
from app.ops.version import VERSION
from tests.clients import (
    MODEL_PART,
    MULTIPART,
    Exchange,
    Worker,
    body_of,
    part,
    settings_for_test,
    tone_wav,
    until,
    worker,
)
from tests.fakes import HeldEngine


async def test_health_names_everything(open_worker: Worker):
    """One page of facts with the types that probes and Vexa's scripts expect."""
    answer = await open_worker.client.get("/health")
    body = answer.json()
    assert answer.status_code == 200
    assert datetime.fromisoformat(body.pop("timestamp")).tzinfo is None
    assert body.pop("uptime_s") >= 0
    assert body == {
        "status": "healthy",
        "state": "ready",
        "version": VERSION,
        "worker_id": "1",
        "model": "fake",
        "device": "cpu",
        "gpu_available": False,
        "compute_type": "int8",
        "compute_type_asked": "int8",
        "replicas": 1,
        "threads": 1,
        "max_batch": 1,
        "slots": 8,
        "active": 0,
        "queued": 0,
        "last_inference_age_s": None,
    }


async def test_health_before_the_model_is_there():
    """The same keys, with nulls, and 503."""
    app = create_app(settings_for_test(worker_id="w7"), build=lambda _: FakeEngine())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://worker") as client:
        answer = await client.get("/health")
        root = await client.get("/")
    body = answer.json()
    assert answer.status_code == 503
    assert (body["status"], body["state"], body["worker_id"]) == ("unhealthy", "initializing", "w7")
    assert (body["model"], body["device"], body["gpu_available"]) == (None, None, False)
    assert root.json()["status"] == "initializing"


async def test_age_of_the_last_inference(open_worker: Worker):
    """A number once something was transcribed."""
    await open_worker.transcribe()
    assert (await open_worker.client.get("/health")).json()["last_inference_age_s"] >= 0


async def test_busy_worker_is_alive_ready_and_says_how_busy():
    """All slots taken and one waiting: counted in /health, everything still 200."""
    engine = HeldEngine()
    async with worker(engine, max_concurrent_transcriptions=1, fail_fast_when_busy=False) as running:
        exchanges = [Exchange(running.app, [(b"content-type", MULTIPART)]) for _ in range(2)]
        tasks = []
        for exchange in exchanges:
            exchange.feed(body_of(MODEL_PART, part('name="file"', tone_wav())))
            tasks.append(asyncio.create_task(exchange.run()))
        await until(lambda: running.state.admission.queued == 1)
        health = await running.client.get("/health")
        probes = [(await running.client.get(f"/health/{name}")).status_code for name in ("live", "ready")]
        engine.go.set()
        await asyncio.gather(*tasks)
        idle = await running.client.get("/health")
    assert health.status_code == 200
    assert (health.json()["active"], health.json()["queued"], health.json()["slots"]) == (1, 1, 1)
    assert probes == [200, 200]
    assert (idle.json()["active"], idle.json()["queued"]) == (0, 0)


async def test_draining_worker_is_alive_but_not_ready(open_worker: Worker):
    """Proxies look elsewhere while the last requests finish."""
    open_worker.state.admission.drain()
    answers = [await open_worker.client.get(f"/health{path}") for path in ("/live", "/ready", "")]
    assert [answer.status_code for answer in answers] == [200, 503, 503]
    assert answers[1].json() == {"status": "draining"}
    assert answers[2].json()["status"] == "unhealthy"


async def test_probes_may_use_head(open_worker: Worker):
    """Some load balancers do."""
    for path in ("/health", "/health/live", "/health/ready"):
        assert (await open_worker.client.head(path)).status_code == 200
