from __future__ import annotations

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.chaos.stored import stored_finals

PAGE = {
    "segments": [{"session_uid": "u", "start": 0.0, "end": 1.0, "text": "one", "completed": True}],
    "next_cursor": None,
}


async def test_a_reader_over_its_rate_waits_and_asks_again():
    """Hundreds of meetings are more requests than nginx allows at once: a 429 is obeyed, and nothing is left out."""
    answers = iter(
        [web.json_response(PAGE), web.Response(status=429, headers={"Retry-After": "0"}), web.json_response(PAGE)]
    )

    async def answer(_: web.Request) -> web.Response:
        return next(answers)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        found = await stored_finals(session, str(server.make_url("")).rstrip("/"), ["room-1", "room-2"])
    assert [each.text for each in found] == ["one", "one"]
