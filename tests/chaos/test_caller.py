from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.chaos.caller import Caller
from tests.chaos.disturbances import Disturbance, Disturbances
from tests.chaos.tally import Row, Tally
from tests.chaos.uploads import TRANSCRIPTIONS, Upload

FILE = Upload("file", "a file", TRANSCRIPTIONS, "audio/wav", b"audio", "json")
BUSY = 503, {"Retry-After": "0"}, b""
RIGHT = 200, dict[str, str](), b'{"text": "one"}'
BROKEN = None

Planned = tuple[int, dict[str, str], bytes] | None


@asynccontextmanager
async def calling(
    answers: Sequence[Planned], faults: Disturbances | None = None
) -> AsyncIterator[tuple[Caller, Tally]]:
    """A caller of a server that gives these answers in order; None breaks the connection."""
    planned = iter(answers)

    async def answer(request: web.Request) -> web.Response:
        given = next(planned)
        if given is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        status, headers, body = given
        return web.Response(status=status, headers=headers, body=body)

    app = web.Application()
    app.router.add_post(TRANSCRIPTIONS, answer)
    tally = Tally()
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        caller = Caller(session, str(server.make_url("")).rstrip("/"), tally, faults or Disturbances())
        caller.expected[FILE.name] = "one"
        yield caller, tally


async def outcome(answers: Sequence[Planned], faults: Disturbances | None = None) -> Row:
    """What the caller counted."""
    async with calling(answers, faults) as (caller, tally):
        await caller.transcribe(FILE)
        return tally.of("file")


def killed(role: str) -> Disturbances:
    """A process of that role was killed just now."""
    now_s = time.monotonic()
    return Disturbances([Disturbance(role, "kill", role, now_s - 1, now_s - 1)])


async def test_a_busy_service_is_asked_again():
    """Each refusal counts, and the request is one that was retried."""
    assert await outcome([BUSY, BUSY, RIGHT]) == Row(sent=1, ok=1, retried=1, refused=2)


@pytest.mark.parametrize(
    "answer",
    [
        (200, {}, b'{"text": "two"}'),
        (200, {}, b'{"text": "on'),
        (503, {}, b""),
        (503, {"Retry-After": "soon"}, b""),
        (500, {"Retry-After": "0"}, b""),
        (400, {}, b""),
    ],
    ids=["another text", "cut off", "no Retry-After", "no number", "500", "400"],
)
async def test_any_other_answer_is_wrong(answer):
    """A 503 must say when to come back."""
    assert await outcome([answer]) == Row(sent=1, wrong=1)


async def test_a_broken_connection_needs_an_explanation():
    """Without one the request is unanswered; if nginx was killed it is sent again, a killed worker is no excuse."""
    assert await outcome([BROKEN]) == Row(sent=1, unanswered=1)
    assert await outcome([BROKEN], killed("worker")) == Row(sent=1, unanswered=1)
    assert await outcome([BROKEN, RIGHT], killed("nginx")) == Row(sent=1, ok=1, retried=1, broken=1)


@pytest.mark.parametrize(
    ("answer", "counted"),
    [
        ((400, {}, b'{"error": {"message": "no audio"}}'), Row(sent=1, ok=1)),
        ((400, {}, b"no"), Row(sent=1, wrong=1)),
        ((500, {}, b'{"error": {"message": "no audio"}}'), Row(sent=1, wrong=1)),
        ((200, {}, b'{"text": ""}'), Row(sent=1, wrong=1)),
    ],
    ids=["4xx with a message", "without one", "500", "200"],
)
async def test_bad_input_must_be_refused_with_a_message(answer, counted):
    """Neither a text nor a fault of the server is right."""
    async with calling([answer]) as (caller, tally):
        await caller.refuse(FILE)
        assert tally.of("file") == counted


async def test_an_idle_cluster_must_transcribe():
    """Otherwise there is nothing to compare with."""
    async with calling([BUSY]) as (caller, _):
        with pytest.raises(ConnectionError, match="503 on an idle cluster"):
            await caller.text_when_idle(FILE)
