from __future__ import annotations

import pytest

from tests.clients import MODEL, PATH, upload, worker

OBSIDIAN = "app://obsidian.md"
PREFLIGHT = {
    "origin": OBSIDIAN,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-stainless-lang",
}


async def test_no_origin_is_allowed_unless_one_is_named():
    """By default no page of another origin may read an answer."""
    async with worker() as running:
        preflight = await running.client.options(PATH, headers=PREFLIGHT)
        answer = await running.client.post(PATH, files=upload(), data=MODEL, headers={"origin": OBSIDIAN})
    assert preflight.status_code == 405
    assert answer.status_code == 200
    assert not any(name.startswith("access-control") for name in (*preflight.headers, *answer.headers))


@pytest.mark.parametrize("origins", [OBSIDIAN, f"https://a.example, {OBSIDIAN}/", "*"])
async def test_preflight_needs_no_key(origins: str):
    """Browsers send it without one; every header that an SDK adds is allowed."""
    async with worker(cors_origins=origins, api_keys="k") as running:
        answer = await running.client.options(PATH, headers=PREFLIGHT)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] in (OBSIDIAN, "*")
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "authorization" in answer.headers["access-control-allow-headers"]
    assert answer.headers["x-request-id"].startswith("req_")


async def test_errors_are_readable_by_the_page():
    """401, 400, 404 and a bug: each with allow-origin, and the request's id exposed."""
    async with worker(cors_origins=OBSIDIAN, api_keys="k") as running:

        async def bug() -> None:
            raise RuntimeError

        running.app.add_api_route("/bug", bug)
        key, page = {"authorization": "Bearer k"}, {"origin": OBSIDIAN}
        answers = [
            await running.client.post(PATH, headers=page),
            await running.client.post(PATH, files=upload(b"x"), data=MODEL, headers=page | key),
            await running.client.get("/v1/nowhere", headers=page | key),
            await running.client.get("/bug", headers=page),
            await running.client.post(PATH, files=upload(), data={**MODEL, "stream": "true"}, headers=page | key),
        ]
    assert [answer.status_code for answer in answers] == [401, 400, 404, 500, 200]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == OBSIDIAN
        assert "x-request-id" in answer.headers["access-control-expose-headers"]
    assert answers[3].headers["x-should-retry"] == "false"


async def test_other_pages_get_the_envelope_and_no_permission():
    """A refused preflight has the error envelope and no permission."""
    async with worker(cors_origins="https://a.example") as running:
        preflight = await running.client.options(PATH, headers=PREFLIGHT)
        answer = await running.client.post(PATH, files=upload(), data=MODEL, headers={"origin": OBSIDIAN})
    assert (preflight.status_code, preflight.json()["error"]["type"]) == (400, "invalid_request_error")
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers
