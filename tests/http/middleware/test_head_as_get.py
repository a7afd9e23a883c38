from __future__ import annotations

import pytest

from tests.clients import Worker


@pytest.mark.parametrize("path", ["/", "/health", "/v1/models", "/metrics", "/docs", "/nowhere"])
async def test_head_is_get_without_its_body(open_worker: Worker, path: str):
    """Status and headers of GET, no byte of body; 405 names both."""
    head, get = await open_worker.client.head(path), await open_worker.client.get(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["content-type"] == get.headers["content-type"]
    refused = await open_worker.client.delete(path)
    assert refused.status_code == 404 or {"GET", "HEAD"} <= set(refused.headers["allow"].split(", "))
