from __future__ import annotations

import logging

import pytest

from tests.collector.api.said import client
from tests.collector.fakes import FakeStore, services


class BrokenStore(FakeStore):
    """A store with a bug whose message holds what somebody said."""

    async def meetings(self, *args, **kwargs):
        """Fail."""
        raise RuntimeError("INSERT ... 'a secret sentence'")


async def test_a_bug_is_a_500_without_its_text(caplog: pytest.LogCaptureFixture):
    """The client gets a plain text, the log the type and the line of code; neither gets the message."""
    with caplog.at_level(logging.DEBUG):
        async with client(services(store=BrokenStore())) as http:
            answer = await http.get("/meetings")
    assert answer.status_code == 500
    assert answer.json() == {"detail": "The server failed to answer. Please report the x-request-id."}
    line = next(record for record in caplog.records if record.getMessage() == "unhandled exception")
    described = line.__dict__["fields"]
    assert described["error"] == "RuntimeError"
    assert described["at"].startswith("test_unhandled_errors.py:")
    assert (described["request_id"], described["route"]) == (answer.headers["x-request-id"], "/meetings")
    assert "secret" not in answer.text + caplog.text
