"""What tests share: a clean environment and a worker with the fake engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.settings.worker import WorkerSettings
from tests.clients import Worker, worker

TESTS = Path(__file__).resolve().parent
# Other processes, browsers, real time or a model at work: run by `make test`, left out by `make check`.
SLOW = (
    "cluster",
    "commands/test_listen.py",
    "deploy",
    "e2e",
    "engine/test_transcriber.py",
    "engine/whisper/test_determinism.py",
    "http/response/test_openapi.py",
    "live/client/test_client.py",
    "live/test_server.py",
    "load/test_client.py",
    "test_load_test_client.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow tests by where they stand."""
    slow = tuple(TESTS / path for path in SLOW)
    for item in items:
        if any(item.path.is_relative_to(path) for path in slow):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of the person who runs the tests are not the tests' settings."""
    for name in WorkerSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def open_worker() -> AsyncIterator[Worker]:
    """A worker without keys, warm, with the fake engine."""
    async with worker() as running:
        yield running
