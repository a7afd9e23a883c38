"""The promises of the cluster, on three real workers behind the real nginx."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from tests.cluster.clients import audio, files_below, new_client, post, post_all
from tests.cluster.real import AUDIO, RealCluster, children_of, real_cluster

log = logging.getLogger(__name__)

SHORT = ("en-00", "en-02", "en-10", "en-11")
MANIFEST = {"en-00": "It's easy to get burned."}
BACK_S = 15.0
SLOTS = 6
UNUSED_PORT = 9  # the discard port, on which nothing listens


@pytest.fixture(scope="module")
def running() -> Iterator[RealCluster]:
    """Give one cluster of three workers with two slots each, shared by all tests of this file."""
    with real_cluster(3) as cluster:
        yield cluster


@pytest.fixture
def cluster(running: RealCluster) -> RealCluster:
    """Give the cluster, recovered from what the test before did to it."""
    running.wait_ready(3)
    return running


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """Give an HTTP client."""
    async with new_client() as each:
        yield each


async def texts_at_rest(cluster: RealCluster, client: httpx.AsyncClient) -> dict[bytes, str]:
    """Return each sample's text from an idle cluster."""
    texts = {}
    for name in SHORT:
        answer = await post(client, cluster.transcriptions, audio(name))
        assert answer.status == 200
        assert answer.body["text"]
        assert name not in MANIFEST or answer.body["text"] == MANIFEST[name]
        texts[audio(name)] = answer.body["text"]
    return texts


async def until_active(cluster: RealCluster, number: int | None = None) -> int:
    """Wait until a worker (the given one, or any) has an active request; return its number."""
    ports = cluster.status()["ports"]
    candidates = [number] if number else [1, 2, 3]
    async with new_client() as client:
        for _ in range(500):
            for each in candidates:
                health = (await client.get(f"http://127.0.0.1:{ports[f'worker-{each}']}/health")).json()
                if health["active"]:
                    return each
            await asyncio.sleep(0.01)
    raise AssertionError("no worker ever took the request")


async def seconds_until_serving(cluster: RealCluster, number: int) -> float:
    """Return how long it takes until that worker, addressed directly, transcribes again."""
    begun_s = time.monotonic()
    async with new_client() as client:
        while time.monotonic() - begun_s < 4 * BACK_S:
            port = (await asyncio.to_thread(cluster.status))["ports"].get(f"worker-{number}", UNUSED_PORT)
            try:
                answer = await post(client, f"http://127.0.0.1:{port}/v1/audio/transcriptions", audio("en-00"))
            except httpx.TransportError:
                await asyncio.sleep(0.05)
                continue
            if answer.status == 200:
                return time.monotonic() - begun_s
            await asyncio.sleep(0.05)
    raise AssertionError("the worker never came back")


async def test_a_burst_is_served_or_asked_to_retry_and_has_no_after_effect(cluster, client):
    """30 at once on 6 slots: only 200 and 503 with Retry-After; 2 s later every request succeeds; no text differs."""
    texts = await texts_at_rest(cluster, client)
    wavs = [list(texts)[n % len(texts)] for n in range(30)]
    answers = await post_all(cluster.transcriptions, wavs)
    assert {answer.status for answer in answers} == {200, 503}
    served = sum(answer.status == 200 for answer in answers)
    assert SLOTS <= served < 30
    for wav, answer in zip(wavs, answers, strict=True):
        if answer.status == 200:
            assert answer.body["text"] == texts[wav]
        else:
            assert answer.headers["retry-after"] == "1"
            assert answer.body["error"]["code"] == "server_is_overloaded"
    await asyncio.sleep(2)
    after = await post_all(cluster.transcriptions, wavs[:SLOTS])
    assert [answer.status for answer in after] == [200] * SLOTS
    assert [answer.body["text"] for answer in after] == [texts[wav] for wav in wavs[:SLOTS]]


async def test_a_killed_workers_request_is_answered_and_the_worker_comes_back(cluster, client):
    """SIGKILL during a request: that client gets 200, the worker serves again within 15 s, no file is left behind."""
    wav = audio("en-18", "en-19", "en-10")
    request = asyncio.create_task(post(client, cluster.transcriptions, wav))
    victim = await until_active(cluster)
    pid = cluster.pid(f"worker-{victim}")
    os.kill(pid, signal.SIGKILL)
    back = asyncio.create_task(seconds_until_serving(cluster, victim))
    answer = await request
    assert answer.status == 200
    assert answer.body["text"]
    back_s = await back
    log.info("back and serving %.1f s after kill -9", back_s)
    # The promise is for a machine with idle cores; one on which the start took longer is given more time.
    assert back_s < max(BACK_S, 2 * cluster.start_s)
    assert cluster.pid(f"worker-{victim}") != pid
    cluster.wait_ready(3)
    # .ses belongs to onnxruntime in the folder of a running worker; the killed worker's folder was emptied.
    files = {path.name for path in files_below(cluster.run_dir)} - {".ses"}
    assert files == {"nginx.conf", "nginx.pid", "prometheus-targets.json"}


async def test_a_frozen_worker_holds_no_more_than_its_slots(cluster, client):
    """SIGSTOP of one worker: the others serve all other requests; after SIGCONT the stuck ones get 200, too."""
    pid = cluster.pid("worker-1")
    os.kill(pid, signal.SIGSTOP)
    try:
        wav = audio("en-00")
        requests = [asyncio.create_task(post(client, cluster.transcriptions, wav)) for _ in range(SLOTS)]
        done: set[asyncio.Task[object]] = set()
        for _ in range(600):
            done = {request for request in requests if request.done()}
            if len(done) >= SLOTS - 2:
                break
            await asyncio.sleep(0.05)
        assert [request.result().status for request in requests if request in done] == [200] * (SLOTS - 2)
        for _ in range(4):
            answer = await asyncio.wait_for(post(client, cluster.transcriptions, wav), 30)
            assert answer.status == 200
        assert (await client.get(f"{cluster.url}/health")).status_code == 200
        assert sum(not request.done() for request in requests) <= 2
    finally:
        os.kill(pid, signal.SIGCONT)
    assert {answer.status for answer in await asyncio.gather(*requests)} == {200}
    assert cluster.pid("worker-1") == pid, "a short freeze must not cause a restart"
    assert (await post(client, cluster.transcriptions, wav)).status == 200


async def test_a_stopped_worker_finishes_and_others_take_over(cluster, client):
    """SIGTERM under constant load: every answer is 200, and the worker exits with 0."""
    stop = asyncio.Event()
    statuses: list[int] = []

    async def keep_posting() -> None:
        while not stop.is_set():
            statuses.append((await post(client, cluster.transcriptions, audio("en-00"))).status)

    clients = [asyncio.create_task(keep_posting()) for _ in range(3)]
    victim = await until_active(cluster)
    os.kill(cluster.pid(f"worker-{victim}"), signal.SIGTERM)
    for _ in range(400):
        if f"worker-{victim} has ended (exit code 0)" in cluster.log.read_text():
            break
        await asyncio.sleep(0.05)
    else:
        raise AssertionError("the worker did not drain with exit code 0")
    await asyncio.sleep(1)
    stop.set()
    await asyncio.gather(*clients)
    assert len(statuses) >= 6
    assert set(statuses) == {200}


async def test_scaling_while_running_loses_nothing(cluster, client):
    """3 -> 1 -> 3 workers under load: every request is answered with 200."""
    stop = asyncio.Event()
    statuses: list[int] = []

    async def keep_posting() -> None:
        while not stop.is_set():
            statuses.append((await post(client, cluster.transcriptions, audio("en-00"))).status)
            await asyncio.sleep(0.05)

    posting = [asyncio.create_task(keep_posting()) for _ in range(2)]
    down = await asyncio.to_thread(cluster.order, "scale", "1")
    assert (down["workers"], list(down["members"].values())) == (1, ["ready"])
    up = await asyncio.to_thread(cluster.order, "scale", "3")
    assert (up["workers"], list(up["members"].values())) == (3, ["ready"] * 3)
    stop.set()
    await asyncio.gather(*posting)
    assert set(statuses) == {200}


async def test_a_thousand_at_once_are_all_answered(cluster):
    """Only 200, 503 and 429, one answer per request, 503s within a second, and no descriptor stays open."""
    before = descriptors(cluster)
    answers = await flood(cluster.port, 1000)
    counts = {status: sum(code == status for code, _ in answers) for status in sorted({code for code, _ in answers})}
    busy_s = sorted(took_s for code, took_s in answers if code == 503)
    p99_s = busy_s[int(len(busy_s) * 0.99)] if busy_s else 0.0
    log.info("1000 at once: %s, busy p99 %.0f ms", counts, p99_s * 1000)
    assert set(counts) <= {200, 429, 503}
    assert sum(counts.values()) == 1000
    assert counts.get(200, 0) >= SLOTS
    assert counts.get(503, 0) > 0
    assert p99_s < 1.0
    await asyncio.sleep(2)
    async with new_client() as client:
        assert [(await post(client, cluster.transcriptions, audio("en-00"))).status for _ in range(3)] == [200] * 3
    for _ in range(100):
        # nginx keeps up to 32 + 8 idle connections to the workers for reuse; nothing else may remain.
        if all(descriptors(cluster)[pid] <= before[pid] + 40 for pid in before):
            break
        await asyncio.sleep(0.1)
    else:
        raise AssertionError(f"descriptors grew from {before} to {descriptors(cluster)}")
    async with new_client() as client:
        status = (await client.get(f"{cluster.url}/nginx-status")).text
    assert "Active connections: 1 " in status, status


async def flood(port: int, count: int) -> list[tuple[int, float]]:
    """Send that many requests at once over plain sockets; return status and seconds of each.

    A full HTTP client would take longer for its own work than the cluster for an answer.
    """
    boundary = "flood"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    ).encode() + (AUDIO / "en-00.wav").read_bytes() + f"\r\n--{boundary}--\r\n".encode()  # fmt: skip
    head = (
        "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary={boundary}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    connected = asyncio.Barrier(count)

    async def one() -> tuple[int, float]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await connected.wait()
        begun_s = time.perf_counter()
        writer.write(head + body)
        line = await reader.readline()
        took_s = time.perf_counter() - begun_s
        rest = await reader.read()
        json.loads(rest.split(b"\r\n\r\n", 1)[1])
        writer.close()
        return int(line.split()[1]), took_s

    return list(await asyncio.gather(*(one() for _ in range(count))))


def descriptors(cluster: RealCluster) -> dict[int, int]:
    """Return how many descriptors each worker and each nginx process holds open."""
    pids = list(cluster.status()["pids"].values())
    master = int((cluster.run_dir / "nginx.pid").read_text())
    every = [*pids, master, *children_of(master)]
    return {pid: len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in every}
