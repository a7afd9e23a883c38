"""Limits on the transcription port: size of an upload, rate and number of requests."""

from __future__ import annotations

import asyncio

from tests.cluster.front import assert_envelope, front, until
from tests.cluster.ports import free_ports
from tests.cluster.stub_worker import stub_worker


async def test_an_upload_over_the_limit_gets_413_in_json(run_dir):
    """The limit is that of the workers and 1 MiB for the form; the answer is an OpenAI error body."""
    ports = free_ports(1)
    async with stub_worker(ports[0]) as worker, front(run_dir, ports, env={"MAX_UPLOAD_BYTES": "1024"}) as nginx:
        worker.release.set()
        assert (await nginx.post(b"x" * (1024 + 2**20))).status_code == 200
        assert_envelope(await nginx.post(b"x" * (1025 + 2**20)), 413, "request_too_large")


async def test_too_many_requests_of_one_key_get_429(run_dir):
    """Requests above the rate get 429 in JSON with Retry-After, for that key only; health is never limited."""
    ports = free_ports(1)
    env = {"NGINX_LIMIT_RATE": "1", "NGINX_LIMIT_BURST": "2"}
    async with stub_worker(ports[0]) as worker, front(run_dir, ports, env=env) as nginx:
        worker.release.set()
        answers = [await nginx.post(authorization="Bearer one") for _ in range(6)]
        assert [answer.status_code for answer in answers[:3]] == [200, 200, 200]
        limited = [answer for answer in answers if answer.status_code != 200]
        assert len(limited) >= 2
        for answer in limited:
            assert_envelope(answer, 429, "rate_limit_exceeded")
            assert answer.headers["retry-after"] == "1"
        assert (await nginx.post(authorization="Bearer two")).status_code == 200
        assert {(await nginx.client.get("/health")).status_code for _ in range(10)} == {200}


async def test_guessing_keys_is_limited_by_address(run_dir):
    """A new key with every request does not help: the address has its own limit."""
    ports = free_ports(1)
    env = {"NGINX_LIMIT_RATE": "1", "NGINX_LIMIT_BURST": "1"}
    async with stub_worker(ports[0]) as worker, front(run_dir, ports, env=env) as nginx:
        worker.release.set()
        codes = [(await nginx.post(authorization=f"Bearer guess{n}")).status_code for n in range(40)]
        assert set(codes) == {200, 429}


async def test_too_many_connections_of_one_address_get_429(run_dir):
    """Requests in flight above the limit get 429, not the 503 of a busy server."""
    ports = free_ports(1)
    env = {"NGINX_LIMIT_CONNECTIONS": "2", "MAX_CONCURRENT_TRANSCRIPTIONS": "8"}
    async with stub_worker(ports[0]) as worker, front(run_dir, ports, env=env) as nginx:
        worker.slots = 8
        requests = [asyncio.create_task(nginx.post()) for _ in range(5)]
        await until(lambda: sum(request.done() for request in requests) == 3)
        worker.release.set()
        codes = sorted(answer.status_code for answer in await asyncio.gather(*requests))
        assert codes == [200, 200, 429, 429, 429]


async def test_long_tokens_are_counted_and_not_logged(run_dir):
    """A token of more than 255 bytes is limited, too; one with the same beginning counts apart; neither is logged."""
    ports = free_ports(1)
    env = {"NGINX_LIMIT_CONNECTIONS": "2", "MAX_CONCURRENT_TRANSCRIPTIONS": "8"}
    async with stub_worker(ports[0]) as worker, front(run_dir, ports, env=env) as nginx:
        worker.slots = 8
        one, two = (f"Bearer {'header' * 40}.{signature * 100}" for signature in ("one", "two"))
        requests = [asyncio.create_task(nginx.post(authorization=one)) for _ in range(5)]
        await until(lambda: sum(request.done() for request in requests) == 3)
        other = asyncio.create_task(nginx.post(authorization=two))
        await until(lambda: worker.active == 3)
        worker.release.set()
        codes = sorted(answer.status_code for answer in await asyncio.gather(*requests))
        assert codes == [200, 200, 429, 429, 429]
        assert (await other).status_code == 200
        assert "header" * 10 not in nginx.log.read_text()
        assert "oneone" not in nginx.log.read_text()


async def test_trusted_networks_are_not_limited(run_dir):
    """Requests from a trusted network are limited neither by key nor by address."""
    ports = free_ports(1)
    env = {
        "NGINX_LIMIT_RATE": "1",
        "NGINX_LIMIT_BURST": "1",
        "NGINX_TRUSTED_NETWORKS": "127.0.0.0/8 10.0.0.0/8",
    }
    async with stub_worker(ports[0]) as worker, front(run_dir, ports, env=env) as nginx:
        worker.release.set()
        assert {(await nginx.post()).status_code for _ in range(20)} == {200}


async def test_queues_count_as_slots_unless_workers_fail_fast(run_dir):
    """With FAIL_FAST_WHEN_BUSY=false nginx passes as many more requests as may wait."""
    ports = free_ports(1)
    env = {"FAIL_FAST_WHEN_BUSY": "false", "MAX_QUEUE_SIZE": "2"}
    async with stub_worker(ports[0]) as worker, front(run_dir, ports, env=env) as nginx:
        worker.slots = 8
        requests = [asyncio.create_task(nginx.post()) for _ in range(5)]
        await until(lambda: sum(request.done() for request in requests) == 2)
        worker.release.set()
        codes = sorted(answer.status_code for answer in await asyncio.gather(*requests))
        assert codes == [200, 200, 200, 503, 503]
