from __future__ import annotations

import pytest

from tests.collector.api.said import client
from tests.collector.fakes import services


@pytest.mark.parametrize("path", ["/meetings", "/nothing", "/meetings?limit=0", "/docs", "/", "/metrics"])
async def test_every_answer_limits_what_a_browser_does(path: str):
    """No sniffing, no framing, no referrer, no shared cache, and no other origin may read it."""
    async with client(services()) as http:
        headers = (await http.get(path, headers={"Origin": "http://elsewhere.example"})).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] in {"private, no-cache", "no-cache"}
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "access-control-allow-origin" not in headers
