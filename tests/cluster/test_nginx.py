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
from tests.spans import SPAN_ID, TRACE_ID, TRACEPARENT

PATH = "/v1/audio/transcriptions"


class Cluster:
    """Three stub workers of one slot each behind nginx."""

    def __init__(self, nginx: Front, workers: list[StubWorker]) -> None:
        self.nginx = nginx
        self.workers = workers

    def set_modes(self, mode: Mode) -> None:
        """Set the mode of every worker."""
        for worker in self.workers:
            worker.mode = mode

    def release(self) -> None:
        """Let all waiting and later requests be served."""
        for worker in self.workers:
            worker.release.set()

    async def until_active(self, count: int) -> None:
        """Wait until that many requests are in progress."""
        await until(lambda: sum(worker.active for worker in self.workers) == count)


@pytest.fixture(params=[NGINX, NEWER_NGINX], ids=["installed", "newer"])
async def cluster(run_dir, request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    """Give three stub workers of one slot each behind nginx, in Debian's and in the container image's version."""
    async with AsyncExitStack() as stack:
        ports = free_ports(3)
        workers = [await stack.enter_async_context(stub_worker(port)) for port in ports]
        yield Cluster(await stack.enter_async_context(front(run_dir, ports, nginx=request.param)), workers)


async def test_a_burst_gets_200_or_busy_and_the_next_requests_succeed(cluster):
    """Nine requests on three slots: three are served, six get 503, and no worker is ejected."""
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


async def test_uploads_of_refused_clients_do_not_reach_the_workers(cluster):
    """While every slot is in use, further uploads end at nginx."""
    requests = [asyncio.create_task(cluster.nginx.post()) for _ in range(3)]
    await cluster.until_active(3)
    refused = await asyncio.gather(*(cluster.nginx.post(b"x" * 400_000) for _ in range(5)))
    assert {answer.status_code for answer in refused} == {503}
    assert [size for worker in cluster.workers for _, size in worker.seen] == [5, 5, 5]
    cluster.release()
    await asyncio.gather(*requests)


async def test_a_busy_workers_503_goes_to_a_free_one(cluster):
    """A request that a worker refuses is sent to the next one; the client gets 200."""
    cluster.workers[0].mode = cluster.workers[1].mode = "busy"
    cluster.release()
    answers = [await cluster.nginx.post() for _ in range(6)]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["text"] for answer in answers} == {f"from {cluster.workers[2].port}"}


async def test_when_all_are_busy_the_client_gets_a_workers_answer(cluster):
    """The last 503 is passed on unchanged, with its Retry-After, and no worker is ejected for it."""
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
async def test_the_request_of_a_killed_worker_is_repeated(cluster, size):
    """If the connection breaks during the work, another worker gets the request, whatever the size of its body."""
    request = asyncio.create_task(cluster.nginx.post(b"x" * size))
    await cluster.until_active(1)
    victim = next(worker for worker in cluster.workers if worker.active)
    victim.killed = True
    cluster.release()
    answer = await request
    assert answer.status_code == 200
    assert answer.json()["text"] != f"from {victim.port}"


async def test_a_worker_that_is_down_is_skipped(run_dir):
    """Although it always has the fewest connections, every request succeeds."""
    gone, here = free_ports(2)
    async with stub_worker(here) as worker, front(run_dir, [gone, here]) as nginx:
        worker.release.set()
        assert [(await nginx.post()).status_code for _ in range(5)] == [200] * 5
        assert (await nginx.client.get("/health")).status_code == 200


async def test_without_any_worker_the_client_gets_503(run_dir):
    """In JSON with Retry-After, for transcription and for health."""
    async with front(run_dir, free_ports(3)) as nginx:
        answer = await nginx.post()
        assert_envelope(answer, 503, "server_is_overloaded")
        assert answer.headers["retry-after"] == "1"
        assert (await nginx.client.get("/health")).status_code == 503


async def test_a_file_that_crashes_workers_reaches_three_at_most(run_dir):
    """Of five workers three get the request, two never do."""
    async with AsyncExitStack() as stack:
        ports = free_ports(5)
        workers = [await stack.enter_async_context(stub_worker(port)) for port in ports]
        nginx = await stack.enter_async_context(front(run_dir, ports))
        for worker in workers:
            worker.mode = "die"
        assert (await nginx.post()).status_code == 503
        assert sum(len(worker.seen) for worker in workers) == 3


async def test_a_request_that_got_500_is_not_repeated(cluster):
    """One worker gets it, and its answer is passed on unchanged."""
    cluster.set_modes("fail")
    answer = await cluster.nginx.post()
    assert (answer.status_code, answer.json()) == (500, {"error": {"message": "broken"}})
    assert sum(len(worker.seen) for worker in cluster.workers) == 1


async def test_a_frozen_worker_holds_only_its_own_slots(cluster):
    """Requests stuck in one worker take its slots; the others serve all other requests."""
    frozen = asyncio.create_task(cluster.nginx.post())
    await cluster.until_active(1)
    for worker in cluster.workers:
        if not worker.active:
            worker.release.set()
    assert [(await cluster.nginx.post()).status_code for _ in range(8)] == [200] * 8
    cluster.release()
    assert (await frozen).status_code == 200


async def test_health_answers_while_every_slot_is_in_use(cluster):
    """A busy cluster is healthy: health checks need no slot."""
    requests = [asyncio.create_task(cluster.nginx.post()) for _ in range(3)]
    await cluster.until_active(3)
    assert (await cluster.nginx.client.get("/health")).json() == {"status": "healthy"}
    assert (await cluster.nginx.client.get("/health/ready")).status_code == 200
    cluster.release()
    await asyncio.gather(*requests)


async def test_events_arrive_as_they_are_sent(cluster):
    """The first server-sent event arrives before the worker has written the second."""
    cluster.set_modes("stream")
    async with cluster.nginx.client.stream("POST", PATH, content=b"audio") as response:
        events = response.aiter_lines()
        assert await asyncio.wait_for(anext(events), 5) == "data: 1"
        cluster.release()
        assert [line async for line in events if line] == ["data: 2"]


async def test_a_client_that_disconnects_frees_its_slot(cluster):
    """When the client disconnects, nginx closes the worker's connection."""
    request = asyncio.create_task(cluster.nginx.post())
    await cluster.until_active(1)
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    cluster.release()
    await cluster.until_active(0)
    assert [(await cluster.nginx.post()).status_code for _ in range(3)] == [200] * 3


async def test_lb_status_has_what_vexa_looks_for(cluster):
    """Plain text: the first line says that it is active, the second names the upstream."""
    answer = await cluster.nginx.client.get("/lb-status")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain")
    first, second = answer.text.splitlines()
    assert "Load Balancer Status: Active" in first
    assert "transcription_workers" in second


async def test_an_upload_that_cannot_be_stored_gets_503(cluster):
    """A temporary folder that is full or not writable: 503 with Retry-After; small bodies still pass."""
    cluster.release()
    (cluster.nginx.run_dir / "body").chmod(0)
    answer = await cluster.nginx.post(b"x" * 400_000)
    assert_envelope(answer, 503, "insufficient_storage")
    assert answer.headers["retry-after"] == "5"
    assert (await cluster.nginx.post()).status_code == 200


async def test_workers_get_the_clients_address_and_not_its_claims(cluster):
    """X-Forwarded-For is that of the connection; the request id is kept only if it is harmless."""
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
    """One JSON object per request, with the workers tried; it holds neither the query nor a key."""
    cluster.workers[0].mode = cluster.workers[1].mode = "busy"
    cluster.release()
    await cluster.nginx.client.post(
        PATH, params={"api_key": "hunter2"}, content=b"x", headers={"Authorization": "Bearer hunter2"}
    )
    await until(lambda: '"POST"' in cluster.nginx.log.read_text())  # written after the answer was sent
    lines = [line for line in cluster.nginx.log.read_text().splitlines() if '"POST"' in line]
    record = json.loads(lines[-1])
    assert (record["uri"], record["status"]) == (PATH, 200)
    assert record["upstream_status"].split(", ")[-1] == "200"
    assert "hunter2" not in cluster.nginx.log.read_text()


async def test_internal_pages_answer_private_networks(cluster):
    """From this machine nginx shows its counters; the list of allowed networks ends with `deny all`."""
    assert "Active connections" in (await cluster.nginx.client.get("/nginx-status")).text
    config = (cluster.nginx.run_dir / "nginx.conf").read_text()
    for place in ("location = /nginx-status", "location ~ ^/(metrics|docs|redoc|openapi"):
        block = config.split(place, 1)[1].split("}", 1)[0]
        assert block.split(";")[-2].strip() == "deny all"


@pytest.mark.parametrize(
    "path", ["/metrics", "/metrics/", "//metrics", "/docs/", "//docs", "/redoc/", "/openapi.json/"]
)
async def test_internal_pages_are_denied_in_every_spelling(run_dir, path):
    """Additional slashes do not bypass the list of allowed networks."""
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
    """Request smuggling and oversized headers get an OpenAI error body, and no worker gets the request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", cluster.nginx.port)
    writer.write(request_bytes)
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert "application/json" in head
    writer.close()
    assert [worker.seen for worker in cluster.workers] == [[], [], []]


async def test_an_aborted_upload_reaches_no_worker(cluster):
    """A client resets its connection in the middle of its body: nginx drops the upload, and no worker gets it."""
    _, writer = await asyncio.open_connection("127.0.0.1", cluster.nginx.port)
    writer.write(f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n".encode() + b"x" * 1000)
    await writer.drain()
    writer.get_extra_info("socket").setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER 0: close with a reset
    writer.close()
    cluster.release()
    assert (await cluster.nginx.post()).status_code == 200
    assert sorted(size for worker in cluster.workers for _, size in worker.seen) == [5]
    assert not any((cluster.nginx.run_dir / "body").rglob("[0-9]*"))


@pytest.mark.parametrize(
    ("header", "trace_id"),
    [
        (TRACEPARENT, TRACE_ID),
        (f"cc-{TRACE_ID}-{SPAN_ID}-01-later", TRACE_ID),
        (None, ""),
        (f"00-{'0' * 32}-{SPAN_ID}-01", ""),
        (f"00-{TRACE_ID}-{'0' * 16}-01", ""),
        (f"ff-{TRACE_ID}-{SPAN_ID}-01", ""),
        (TRACEPARENT.upper(), ""),
        (f"{TRACEPARENT}-later", ""),
        (f'{TRACEPARENT}","status":200', ""),
        (f"x{TRACEPARENT}", ""),
    ],
)
async def test_the_trace_is_passed_on_and_logged_if_it_is_well_formed(
    cluster: Cluster, header: str | None, trace_id: str
):
    """The worker gets the headers as they came; the log has the id of a valid one, and nothing of another."""
    cluster.set_modes("echo")
    state = {"tracestate": "vendor=1", "baggage": "a=b"}
    seen = (await cluster.nginx.post(b"audio", **state, **({} if header is None else {"traceparent": header}))).json()
    assert (seen.get("traceparent"), seen["tracestate"], seen["baggage"]) == (header, "vendor=1", "a=b")
    await until(lambda: '"POST"' in cluster.nginx.log.read_text())
    (record,) = [json.loads(line) for line in cluster.nginx.log.read_text().splitlines() if '"POST"' in line]
    assert (record["trace_id"], record["status"]) == (trace_id, 200)
