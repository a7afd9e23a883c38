from __future__ import annotations

import re

from tests.collector.api.said import client
from tests.collector.fakes import services


async def test_the_documentation_needs_no_internet():
    """Every file that the page names is served here, below any path of a proxy."""
    async with client(services(keys=("k",), needs_key=True)) as http:
        page = await http.get("/docs")
        named = re.findall(r'(?:href|src)="([^"]+)"', page.text)
        assert len(named) == 3
        for name in named:
            assert not name.startswith(("http", "/"))
            assert (await http.get(f"/{name}")).status_code == 200
    assert "url: 'openapi.json'" in page.text
    assert "'unsafe-inline'" in page.headers["content-security-policy"]
