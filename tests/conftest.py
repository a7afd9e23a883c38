"""What tests share: a clean environment and a worker with the fake engine."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.settings.worker import WorkerSettings
from tests.clients import Worker, worker


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
