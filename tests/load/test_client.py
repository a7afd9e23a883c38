from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from tests.load.arithmetic import summarise
from tests.load.client import closed_loop, live, open_loop, target, warm_up
from tests.load.sounds import load

SOUND = load(Path(__file__).resolve().parents[1] / "audio" / "en-00.wav")


class Service:
    """A service with so many slots, each request taking `work_s`."""

    def __init__(self, *, slots: int = 2, work_s: float = 0.02) -> None:
        self.slots = slots
        self.work_s = work_s
        self.active = 0
        self.most_active = 0
        self.keys: set[str | None] = set()

    async def answer(self, request: web.Request) -> web.Response:
        """Answer like a worker that fails fast."""
        self.keys.add(request.headers.get("Authorization"))
        form = await request.post()
        assert form["model"] == "whisper-1"
        if self.active >= self.slots:
            return web.json_response({"error": {}}, status=503, headers={"Retry-After": "0.01"})
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        await asyncio.sleep(self.work_s)
        self.active -= 1
        return web.json_response({"text": "It's easy to get burned."})


@asynccontextmanager
async def serving(service: Service) -> AsyncIterator[str]:
    """Yield the URL of a running service."""
    app = web.Application(client_max_size=2**24)
    app.router.add_post("/v1/audio/transcriptions", service.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        assert site._server is not None
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        yield f"http://127.0.0.1:{port}/v1/audio/transcriptions"
    finally:
        await runner.cleanup()


async def test_a_closed_loop_keeps_its_callers_busy_and_obeys_littles_law():
    """Two callers, two slots, twenty requests: all succeed, never more than two at once."""
    service = Service()
    async with serving(service) as url, target(url, api_key="k", timeout_s=5) as measured:
        await warm_up(measured, [SOUND], 1)
        await closed_loop(measured, [SOUND], clients=2, requests=20, patient=True)
    summary = summarise(measured.samples)
    assert summary.counts == {200: 20}
    assert service.most_active == 2
    assert service.keys == {"Bearer k"}
    assert summary.latency is not None
    assert summary.in_flight == pytest.approx(summary.requests_per_s * summary.latency.mean_s, rel=1e-6)
    assert summary.in_flight <= 2.0
    assert (summary.word_error_rate, summary.changed_texts) == (0.0, 0)


async def test_busy_answers_are_counted_apart():
    """Six callers on two slots: the refused requests are counted, and none fails."""
    async with serving(Service()) as url, target(url, api_key="", timeout_s=5) as measured:
        await closed_loop(measured, [SOUND], clients=6, requests=60, patient=False)
    summary = summarise(measured.samples)
    assert summary.total == 60
    assert summary.ok + summary.busy == 60
    assert summary.busy > 0


async def test_an_open_loop_does_not_wait_for_answers():
    """Five callers due at once are all sent at once; those beyond the slots are refused."""
    service = Service(slots=3, work_s=0.2)
    async with serving(service) as url, target(url, api_key="", timeout_s=5) as measured:
        await open_loop(measured, [SOUND], due_s=[0.0] * 5)
    assert service.most_active == 3
    assert summarise(measured.samples).counts == {200: 3, 503: 2}


async def test_a_changed_text_is_noticed():
    """A text under load that differs from the idle service's is counted."""
    async with serving(Service()) as url, target(url, api_key="", timeout_s=5) as measured:
        measured.idle_texts["en-00.wav"] = "something else"
        await closed_loop(measured, [SOUND], clients=1, requests=2, patient=True)
    assert summarise(measured.samples).changed_texts == 2


async def test_a_broken_service_is_no_answer_not_a_crash():
    """Without a service each request has status 0, and the warm-up raises an error that says so."""
    async with target("http://127.0.0.1:9/none", api_key="", timeout_s=1) as measured:
        await closed_loop(measured, [SOUND], clients=1, requests=2, patient=True)
        assert summarise(measured.samples).counts == {0: 2}
        with pytest.raises(ConnectionError, match="no answer"):
            await warm_up(measured, [SOUND], 1)


async def test_live_streams_are_transcribed_completely():
    """One speaker for three seconds on a fast service: everything is transcribed, including the end."""
    async with serving(Service()) as url, target(url, api_key="", timeout_s=5) as measured:
        (stream,) = await live(measured, [SOUND], clients=1, duration_s=3.0, dice=random.Random(0))
    assert stream.transcribed_s + stream.lost_s == pytest.approx(3.0, abs=0.01)
    assert stream.lost_s < 0.1
    assert summarise(measured.samples).counts == {200: len(measured.samples)}
