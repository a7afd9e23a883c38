"""A real worker process with the demo model, started as its users start it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.worker import Worker, start


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    """`python main.py` with the demo model, ready."""
    with start(MODEL_SIZE="demo") as running:
        running.wait_ready()
        yield running
