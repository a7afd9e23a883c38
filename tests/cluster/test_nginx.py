from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.cluster.front import NEWER_NGINX, NGINX, Front, assert_envelope, front, until
from tests.cluster.ports import free_ports
from tests.cluster.stub_worker import Mode, StubWorker, stub_worker

PATH = "/v1/audio/transcriptions"


class Cluster:
    """Three stub workers of one slot each behind nginx."""

    def __init__(self, nginx: Front, workers: list[StubWorker]) -> None:
        self.nginx = nginx
        self.workers = workers

    def set_modes(self, mode: Mode) -> None:
        """Let every worker answer that way."""
        for worker in self.workers:
            worker.mode = mode

    def release(self) -> None:
        """Let every waiting and every later request be served."""
        for worker in self.workers:
            worker.release.set()

    async def until_active(self, count: int) -> None:
        """Wait until that many requests are being worked on."""
        await until(lambda: sum(worker.active for worker in self.workers) == count)


@pytest.fixture(params=[NGINX, NEWER_NGINX], ids=["installed", "newer"])
async def cluster(run_dir, request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    """Give three stub workers of one slot each behind nginx, Debian's and the container image's version."""
    async with AsyncExitStack() as stack:
        ports = free_ports(3)
        workers = [await stack.enter_async_context(stub_worker(port)) for port in ports]
        yield Cluster(await stack.enter_async_context(front(run_dir, ports, nginx=request.param)), workers)


async def test_a_burst_gets_200_or_busy_and_the_next_requests_succeed(cluster):
    """Nine requests over three slots: three are served, six told to retry, nobody ejected."""
    requests = [asyncio.create_task(cluster.nginx.post()) for _ in range(9)]
    await cluster.until_active(3)
    await until(lambda: sum(request.done() for request in requests) == 6)
    cluster.release()
    answers = await asyncio.gather(*requests)
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [503] * 6
    for answer in answers:
        if answer.status_code == 503:
            assert_envelope(answer, 503, "server_is_overloaded")
            assert answer.headers["retry-after"] == "1"
    after = await asyncio.gather(*(cluster.nginx.post() for _ in range(3)))
    assert [answer.status_code for answer in after] == [200, 200, 200]


async def test_refused_clients_cost_the_workers_no_upload(cluster):
    """With every place taken, further uploads end at nginx."""
    requests = [asyncio.create_task(cluster.nginx.post()) for _ in range(3)]
    await cluster.until_active(3)
    refused = await asyncio.gather(*(cluster.nginx.post(b"x" * 400_000) for _ in range(5)))
    assert {answer.status_code for answer in refused} == {503}
    assert [size for worker in cluster.workers for _, size in worker.seen] == [5, 5, 5]
    cluster.release()
    await asyncio.gather(*requests)


async def test_a_busy_workers_503_goes_to_a_free_one(cluster):
    """A worker that says 503 although nginx thought it free costs the client nothing."""
    cluster.workers[0].mode = cluster.workers[1].mode = "busy"
    cluster.release()
    answers = [await cluster.nginx.post() for _ in range(6)]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["text"] for answer in answers} == {f"from {cluster.workers[2].port}"}


async def test_when_all_are_busy_the_workers_own_answer_arrives(cluster):
    """The last try's 503 passes untouched, Retry-After included, and health is not affected by any of it."""
    cluster.set_modes("busy")
    for _ in range(4):
        answer = await cluster.nginx.post()
        assert_envelope(answer, 503, "server_is_overloaded")
        assert answer.json()["error"]["message"] == "busy"
        assert answer.headers["retry-after"] == "1"
    cluster.set_modes("serve")
    cluster.release()
    assert [(await cluster.nginx.post()).status_code for _ in range(3)] == [200, 200, 200]


@pytest.mark.parametrize("size", [5, 400_000])
async def test_a_killed_worker_is_invisible(cluster, size):
    """A connection that breaks in the middle of the work is repeated elsewhere, whatever the body's size."""
    request = asyncio.create_task(cluster.nginx.post(b"x" * size))
    await cluster.until_active(1)
    victim = next(worker for worker in cluster.workers if worker.active)
    victim.killed = True
    cluster.release()
    answer = await request
    assert answer.status_code == 200
    assert answer.json()["text"] != f"from {victim.port}"


async def test_a_refused_connection_costs_nothing(run_dir):
    """A worker that is not there is skipped, although it always has the fewest connections."""
    gone, here = free_ports(2)
    async with stub_worker(here) as worker, front(run_dir, [gone, here]) as nginx:
        worker.release.set()
        assert [(await nginx.post()).status_code for _ in range(5)] == [200] * 5
        assert (await nginx.client.get("/health")).status_code == 200


async def test_with_every_worker_gone_the_client_is_told_to_retry(run_dir):
    """No worker at all is 503 in JSON with Retry-After, for transcription as for health."""
    async with front(run_dir, free_ports(3)) as nginx:
        answer = await nginx.post()
        assert_envelope(answer, 503, "server_is_overloaded")
        assert answer.headers["retry-after"] == "1"
        assert (await nginx.client.get("/health")).status_code == 503


async def test_a_file_that_kills_workers_meets_three_at_most(run_dir):
    """Five workers, a poisonous request: three see it, two never do."""
    async with AsyncExitStack() as stack:
        ports = free_ports(5)
        workers = [await stack.enter_async_context(stub_worker(port)) for port in ports]
        nginx = await stack.enter_async_context(front(run_dir, ports))
        for worker in workers:
            worker.mode = "die"
        assert (await nginx.post()).status_code == 503
        assert sum(len(worker.seen) for worker in workers) == 3


async def test_an_error_of_the_worker_is_not_repeated(cluster):
    """500 is the worker's own word: one try, passed on as it is."""
    cluster.set_modes("fail")
    answer = await cluster.nginx.post()
    assert (answer.status_code, answer.json()) == (500, {"error": {"message": "broken"}})
    assert sum(len(worker.seen) for worker in cluster.workers) == 1


async def test_a_frozen_worker_holds_only_its_own_places(cluster):
    """Requests stuck in one worker take its slots; the others go on serving everybody else."""
    frozen = asyncio.create_task(cluster.nginx.post())
    await cluster.until_active(1)
    for worker in cluster.workers:
        if not worker.active:
            worker.release.set()
    assert [(await cluster.nginx.post()).status_code for _ in range(8)] == [200] * 8
    cluster.release()
    assert (await frozen).status_code == 200


async def test_health_answers_while_every_place_is_taken(cluster):
    """Busy is not unhealthy: health does not compete for places."""
    requests = [asyncio.create_task(cluster.nginx.post()) for _ in range(3)]
    await cluster.until_active(3)
    assert (await cluster.nginx.client.get("/health")).json() == {"status": "healthy"}
    assert (await cluster.nginx.client.get("/health/ready")).status_code == 200
    cluster.release()
    await asyncio.gather(*requests)


async def test_events_arrive_as_they_are_sent(cluster):
    """The first server-sent event is there before the worker has written the second."""
    cluster.set_modes("stream")
    async with cluster.nginx.client.stream("POST", PATH, content=b"audio") as response:
        events = response.aiter_lines()
        assert await asyncio.wait_for(anext(events), 5) == "data: 1"
        cluster.release()
        assert [line async for line in events if line] == ["data: 2"]


async def test_a_hung_up_client_is_gone_for_the_worker(cluster):
    """When the client leaves, nginx closes the worker's connection and the place is free again."""
    request = asyncio.create_task(cluster.nginx.post())
    await cluster.until_active(1)
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    cluster.release()
    await cluster.until_active(0)
    assert [(await cluster.nginx.post()).status_code for _ in range(3)] == [200] * 3


async def test_lb_status_says_what_vexa_looks_for(cluster):
    """The first line holds the words, the second names the upstream; it is plain text."""
    answer = await cluster.nginx.client.get("/lb-status")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain")
    first, second = answer.text.splitlines()
    assert "Load Balancer Status: Active" in first
    assert "transcription_workers" in second


async def test_an_upload_that_cannot_be_stored_is_told_to_retry(cluster):
    """A full or unwritable temporary folder is our trouble: 503 with Retry-After, small bodies still pass."""
    cluster.release()
    (cluster.nginx.run_dir / "body").chmod(0)
    answer = await cluster.nginx.post(b"x" * 400_000)
    assert_envelope(answer, 503, "insufficient_storage")
    assert answer.headers["retry-after"] == "5"
    assert (await cluster.nginx.post()).status_code == 200


async def test_workers_see_the_edge_not_what_the_client_claims(cluster):
    """The address is the connection's own, the request id is kept only if it is harmless."""
    cluster.set_modes("echo")
    seen = (await cluster.nginx.post(**{"X-Forwarded-For": "6.6.6.6", "X-Request-ID": "abc-1"})).json()
    assert (seen["x-forwarded-for"], seen["x-request-id"], seen["x-forwarded-proto"]) == (
        "127.0.0.1",
        "abc-1",
        "http",
    )
    odd = (await cluster.nginx.post(**{"X-Request-ID": 'a b"c'})).json()
    assert len(odd["x-request-id"]) == 32


async def test_the_access_log_is_json_without_keys(cluster):
    """One JSON object a request, with who was tried; neither the query nor a key is in it."""
    cluster.workers[0].mode = cluster.workers[1].mode = "busy"
    cluster.release()
    await cluster.nginx.client.post(
        PATH, params={"api_key": "hunter2"}, content=b"x", headers={"Authorization": "Bearer hunter2"}
    )
    await until(lambda: '"POST"' in cluster.nginx.log.read_text())  # written after the answer has left
    lines = [line for line in cluster.nginx.log.read_text().splitlines() if '"POST"' in line]
    record = json.loads(lines[-1])
    assert (record["uri"], record["status"]) == (PATH, 200)
    assert record["upstream_status"].split(", ")[-1] == "200"
    assert "hunter2" not in cluster.nginx.log.read_text()


async def test_what_tells_of_the_inside_answers_inner_networks(cluster):
    """From this machine nginx shows its counters; the list of allowed networks ends in a refusal."""
    assert "Active connections" in (await cluster.nginx.client.get("/nginx-status")).text
    config = (cluster.nginx.run_dir / "nginx.conf").read_text()
    for place in ("location = /nginx-status", "location ~ ^/(metrics|docs|redoc|openapi"):
        block = config.split(place, 1)[1].split("}", 1)[0]
        assert block.split(";")[-2].strip() == "deny all"


@pytest.mark.parametrize(
    "path", ["/metrics", "/metrics/", "//metrics", "/docs/", "//docs", "/redoc/", "/openapi.json/"]
)
async def test_the_inside_is_denied_in_every_spelling(run_dir, path):
    """Slashes more or less do not lead around the list of allowed networks."""
    async with front(run_dir, free_ports(1), outside=True) as nginx:
        assert (await nginx.client.get(f"http://127.0.0.1:{nginx.port}{path}")).status_code == 403


TWO_LENGTHS = (
    b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
)
HUGE_HEADER = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 40_000 + b"\r\n\r\n"
TRACE = b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [(TWO_LENGTHS, 400), (HUGE_HEADER, 400), (TRACE, 405)],
    ids=["two lengths", "huge header", "trace"],
)
async def test_malformed_requests_end_at_nginx_in_json(cluster, request_bytes, status):
    """What could smuggle or flood is refused in OpenAI's shape, and no worker sees it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", cluster.nginx.port)
    writer.write(request_bytes)
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert "application/json" in head
    writer.close()
    assert [worker.seen for worker in cluster.workers] == [[], [], []]


async def test_an_aborted_upload_reaches_no_worker(cluster):
    """A client that resets its connection in the middle of its body is nginx's business alone."""
    _, writer = await asyncio.open_connection("127.0.0.1", cluster.nginx.port)
    writer.write(f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n".encode() + b"x" * 1000)
    await writer.drain()
    writer.get_extra_info("socket").setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER 0: close with a reset
    writer.close()
    cluster.release()
    assert (await cluster.nginx.post()).status_code == 200
    assert sorted(size for worker in cluster.workers for _, size in worker.seen) == [5]
    assert not any((cluster.nginx.run_dir / "body").rglob("[0-9]*"))
