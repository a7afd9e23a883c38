from __future__ import annotations

import re

from tests.clients import Worker, worker


async def test_page_needs_nothing_from_elsewhere(open_worker: Worker):
    """Every address in the page is this server's own, and each of its files is there."""
    page = await open_worker.client.get("/docs")
    assert page.status_code == 200
    addresses = re.findall(r"""(?:src|href|url)["']?\s*[=:]\s*["']([^"']+)["']""", page.text)
    assert len(addresses) >= 4
    for address in addresses:
        assert address.startswith("/")
        assert (await open_worker.client.get(address)).status_code == 200


async def test_page_is_open_where_the_api_is_not():
    """The documentation needs no key: it holds no secret, and it is where a key is entered."""
    async with worker(api_keys="k") as running:
        assert (await running.client.get("/docs")).status_code == 200
        assert (await running.client.get("/openapi.json")).status_code == 200


async def test_files_outside_the_page_are_not_served(open_worker: Worker):
    """The mount ends where its directory ends; what is missing has the envelope."""
    for path in ("/docs/assets/../core.py", "/docs/assets/%2e%2e/core.py", "/docs/assets/nothing"):
        answer = await open_worker.client.get(path)
        assert answer.status_code == 404
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
