from __future__ import annotations

import httpx
import pytest

from app.collector.api.app import create_app
from app.collector.services import Services
from app.ops.version import VERSION
from tests.collector.fakes import services


@pytest.fixture
def parts() -> Services:
    """Services on a fake store, with a Redis that is never reached."""
    return services()


def client(parts: Services) -> httpx.AsyncClient:
    """A client of the application."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(create_app(parts)), base_url="http://collector")


async def test_live_needs_nothing(parts: Services):
    """200 although neither Redis nor the database was ever reached."""
    async with client(parts) as http:
        assert (await http.get("/health/live")).status_code == 200


async def test_ready_follows_the_state(parts: Services):
    """503 with reasons while the database is unknown or away, 200 once it answered."""
    async with client(parts) as http:
        answer = await http.get("/health/ready")
        assert answer.status_code == 503
        assert answer.json()["reasons"] == ["database: unknown"]
        parts.health.set_database(ok=True)
        parts.health.set_redis(ok=False)
        answer = await http.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "redis": "unhealthy",
        "database": "healthy",
        "lag_s": None,
        "reasons": [],
    }


async def test_health_has_the_body_of_vexa(parts: Services):
    """Status, Redis, database, stream and a time."""
    parts.health.set_database(ok=True)
    parts.health.set_redis(ok=True)
    async with client(parts) as http:
        body = (await http.get("/health")).json()
    assert body == {
        "status": "healthy",
        "version": VERSION,
        "redis": "healthy",
        "database": "healthy",
        "stream": "transcription_segments",
        "timestamp": "2026-02-15T09:20:03.000Z",
        "lag_s": None,
        "warnings": [],
    }


async def test_metrics_are_prometheus_text(parts: Services):
    """The registry of this application, in its text format."""
    parts.health.tick("consumer")
    async with client(parts) as http:
        answer = await http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'collector_loop_age_seconds{loop="consumer"} 0.0' in answer.text


async def test_metrics_are_openmetrics_on_request(parts: Services):
    """The Accept header of Prometheus is honoured."""
    async with client(parts) as http:
        answer = await http.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
