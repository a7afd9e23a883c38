"""A real worker process with the demo model, started as its users start it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.e2e.browser import PATIENCE_MS, launch
from tests.e2e.worker import Worker, start


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    """`python main.py` with the demo model, ready."""
    with start(MODEL_SIZE="demo") as running:
        running.wait_ready()
        yield running


# One for each file: while Playwright's synchronous driver runs, no asynchronous test can.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium; each test opens its own tab."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright, launch(playwright) as running:
        yield running
