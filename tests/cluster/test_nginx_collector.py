"""The routes of the transcript collector."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.front import NEWER_NGINX, NGINX, Front, assert_envelope, front, until
from tests.cluster.ports import free_ports
from tests.cluster.stub_worker import StubWorker, stub_worker

ROUTES = ("/transcripts/google_meet/abc-defg-hij", "/meetings", "/meetings/129", "/search", "/collector/")
BROWSER_KEY = "k3y-of-a-browser"


@dataclass(frozen=True, slots=True)
class Deployment:
    """One worker and one collector, both stubs, behind nginx."""

    nginx: Front
    worker: StubWorker
    collector: StubWorker


@asynccontextmanager
async def deployment(run_dir: Path, *, nginx: str = NGINX, outside: bool = False) -> AsyncIterator[Deployment]:
    """Run one until the block ends; every answer of both is what they were sent."""
    ports = free_ports(2)
    env = {"NGINX_COLLECTOR_ADDRESS": f"127.0.0.1:{ports[1]}"}
    async with (
        stub_worker(ports[0]) as worker,
        stub_worker(ports[1]) as collector,
        front(run_dir, ports[:1], env=env, nginx=nginx, outside=outside) as running,
    ):
        worker.mode = collector.mode = "echo"
        yield Deployment(running, worker, collector)


def paths(seen: Sequence[tuple[str, int]]) -> list[str]:
    """The paths of a stub's requests."""
    return [path for path, _ in seen]


@pytest.mark.parametrize("nginx", [NGINX, NEWER_NGINX], ids=["installed", "newer"])
async def test_stored_transcripts_are_read_from_the_collector(run_dir, nginx):
    """Its routes go there with their query, everything below /collector/ without that prefix, the rest to workers."""
    wanted = {
        "/transcripts/google_meet/a?since_seq=4&format=srt": "/transcripts/google_meet/a?since_seq=4&format=srt",
        "/meetings?limit=2": "/meetings?limit=2",
        "/search?q=a%20b": "/search?q=a%20b",
        "/ws/authorize-subscribe": "/ws/authorize-subscribe",
        "/collector/": "/",
        "/collector/app.css": "/app.css",
        "/collector/transcripts/zoom/a%2Fb?raw=true": "/transcripts/zoom/a/b?raw=true",
        "/collector/health/ready": "/health/ready",
    }
    async with deployment(run_dir, nginx=nginx) as running:
        for path in wanted:
            assert (await running.nginx.client.get(path)).status_code == 200
        for path in ("/", "/meetingsabc", "/v1/models", "/health"):
            await running.nginx.client.get(path)
        assert paths(running.collector.seen) == list(wanted.values())
        assert paths(running.worker.seen) == ["/", "/meetingsabc", "/v1/models", "/health"]


async def test_the_collectors_page_has_a_folder(run_dir):
    """Its relative addresses need the slash at the end, so the address without it leads there, on any public port."""
    async with deployment(run_dir) as running:
        answer = await running.nginx.client.get("/collector")
        assert (answer.status_code, answer.headers["location"]) == (301, "/collector/")


async def test_live_transcripts_switch_protocols(run_dir):
    """A WebSocket reaches the collector at /ws and below /collector/, with the client's true address."""
    async with deployment(run_dir) as running:
        for path in ("/ws?api_key=k", "/collector/ws"):
            reader, writer = await asyncio.open_connection("127.0.0.1", running.nginx.port)
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n".encode()
            )
            assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).startswith(b"HTTP/1.1 101 ")
            assert await asyncio.wait_for(reader.readexactly(2), 5) == b"hi"
            writer.close()
        assert paths(running.collector.seen) == ["/ws?api_key=k", "/ws"]
        seen = (await running.nginx.client.get("/ws", headers={"X-Forwarded-For": "6.6.6.6"})).json()
        assert seen["x-forwarded-for"] == "127.0.0.1"


async def test_the_collector_can_compare_a_browsers_origin(run_dir):
    """Without keys only its own page may connect, so Host has the public port, as Origin does."""
    async with deployment(run_dir) as running:
        for path in ("/collector/ws", "/collector/meetings", "/meetings"):
            seen = (await running.nginx.client.get(path, headers={"Origin": "http://any"})).json()
            assert (seen["host"], seen["origin"]) == (f"127.0.0.1:{running.nginx.port}", "http://any"), path


async def test_server_sent_events_are_passed_on_at_once(run_dir):
    """The first event arrives while the answer is not complete."""
    async with deployment(run_dir) as running:
        running.collector.mode = "stream"
        path = "/transcripts/google_meet/abc/stream"
        async with running.nginx.client.stream("GET", path) as answer:
            lines = answer.aiter_lines()
            assert await asyncio.wait_for(anext(lines), 5) == "data: 1"
            running.collector.release.set()
            assert [line async for line in lines if line] == ["data: 2"]


async def test_without_a_collector_nginx_starts_and_says_so(run_dir):
    """404 in the collector's form of an error; the workers' routes are as before."""
    worker = free_ports(1)[0]
    async with stub_worker(worker) as stub, front(run_dir, [worker]) as nginx:
        for path in (*ROUTES, "/ws", "/collector/metrics"):
            answer = await nginx.client.get(path)
            assert answer.status_code == 404
            assert answer.json() == {"detail": "No collector runs here, so no transcripts are stored."}
        assert stub.seen == []
        assert (await nginx.client.get("/health")).status_code == 200


async def test_a_collector_that_is_down_is_a_503(run_dir):
    """With Retry-After, in JSON, for reading and for live clients."""
    worker, nobody = free_ports(2)
    env = {"NGINX_COLLECTOR_ADDRESS": f"127.0.0.1:{nobody}"}
    async with stub_worker(worker), front(run_dir, [worker], env=env) as nginx:
        for path in (*ROUTES, "/ws"):
            answer = await nginx.client.get(path)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert answer.json()["detail"].startswith("The collector does not answer")


async def test_a_container_that_does_not_exist_is_a_503(run_dir):
    """Compose names the collector always; without its profile the name is unknown, and nginx starts all the same."""
    env = {
        "NGINX_RESOLVE": "1", "NGINX_COLLECTOR_ADDRESS": "collector.invalid:8001",
        "NGINX_RESOLVER_ADDRESS": "127.0.0.1:9",
    }  # fmt: skip
    async with front(run_dir, free_ports(1), env=env, nginx=NEWER_NGINX) as nginx:
        answer = await nginx.client.get("/meetings")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_keys_in_queries_are_in_no_log(run_dir):
    """Whether the collector answers, is down, or the client exceeds a limit: neither log has the query."""
    worker, nobody = free_ports(2)
    env = {"NGINX_COLLECTOR_ADDRESS": f"127.0.0.1:{nobody}", "NGINX_LIMIT_BURST": "1", "NGINX_LIMIT_RATE": "1"}
    async with deployment(run_dir) as running:
        await running.nginx.client.get(f"/ws?api_key={BROWSER_KEY}")
        log = running.nginx.log
        await until(lambda: '"uri":"/ws","status":200' in log.read_text())
        served = log.read_text()
    async with stub_worker(worker), front(run_dir, [worker], env=env) as nginx:
        statuses = set()
        for path in (*ROUTES, "/ws", "/transcripts/a/b/stream", "/collector/ws", "/collector/metrics"):
            statuses |= {(await nginx.client.get(f"{path}?api_key={BROWSER_KEY}")).status_code for _ in range(3)}
        await until(lambda: nginx.log.read_text().count('"uri":"/metrics"') == 3)
        refused = nginx.log.read_text()
    assert statuses == {429, 503}
    assert '"uri":"/transcripts/google_meet/abc-defg-hij","status":503' in refused
    assert '"uri":"/ws","status":429' in refused
    assert BROWSER_KEY not in served + refused


async def test_what_shows_internals_stays_private(run_dir):
    """Metrics and the API documentation answer private networks only; what is for other services, nobody."""
    async with deployment(run_dir) as running:
        for path in ("/collector/metrics", "/collector/docs", "/collector/openapi.json"):
            assert (await running.nginx.client.get(path)).status_code == 200
        assert (await running.nginx.client.get("/collector/internal/transcripts/1")).status_code == 404
        assert paths(running.collector.seen) == ["/metrics", "/docs", "/openapi.json"]
    async with deployment(run_dir, outside=True) as running:
        for path in ("/collector/metrics", "/collector//metrics", "/collector/%6detrics", "/collector/docs/assets/a"):
            assert_envelope(await running.nginx.client.get(path), 403, "forbidden")
        assert running.collector.seen == []


async def test_a_large_body_is_refused_unread(run_dir):
    """Clients of the collector write names and notes: more than 1 MiB is 413 in its form of an error."""
    async with deployment(run_dir) as running:
        answer = await running.nginx.client.patch("/meetings/google_meet/abc", content=b"a" * (2**20 + 1))
        assert (answer.status_code, answer.json()) == (413, {"detail": "The body is larger than 1 MiB."})
        assert running.collector.seen == []


async def test_the_true_address_reaches_the_collector(run_dir):
    """Headers about the address are replaced."""
    async with deployment(run_dir) as running:
        claims = {"X-Forwarded-For": "6.6.6.6", "X-Real-IP": "6.6.6.6", "Forwarded": "for=6.6.6.6"}
        seen = (await running.nginx.client.get("/meetings", headers=claims)).json()
        assert seen["x-real-ip"] == "127.0.0.1"
        assert "6.6.6.6" not in json.dumps(seen)
