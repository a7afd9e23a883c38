"""A real cluster that stores transcripts: live clients, a real Redis, a real collector, nginx in front."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import websockets

from app.collector.store.store import Store
from tests.cluster.ports import free_ports
from tests.cluster.real import FAKE, RealCluster, real_cluster, start_and_fail, wait_until
from tests.samples import pcm_of

ROOM = ("google_meet", "abc-defg-hij")
SPEECH = "en-18.wav"
WORDS_S = 3  # the fake model recognizes one word per second


@contextmanager
def storing(folder: Path) -> Iterator[RealCluster]:
    """Run one worker, one gateway, a Redis and a collector, whose files are in that folder."""
    redis_port, collector_port = free_ports(2)
    words = ("--gateways", "1", "--collector", "--data", str(folder))
    ports = ("--redis-port", str(redis_port), "--collector-port", str(collector_port))
    with real_cluster(1, FAKE, program=("-m", "app", "cluster", *words, *ports)) as cluster:
        yield cluster


async def say(cluster: RealCluster, uid: str) -> None:
    """Send a few seconds of audio to the meeting, and wait for the end of the stream."""
    async with websockets.connect(f"ws://127.0.0.1:{cluster.live_port}/ws") as client:
        hello = {"uid": uid, "language": "en", "task": "transcribe", "model": "any"}
        await client.send(json.dumps({**hello, "platform": ROOM[0], "meeting_id": ROOM[1]}))
        assert "SERVER_READY" in str(await client.recv())
        await client.send(pcm_of(SPEECH)[: WORDS_S * 16_000].tobytes())
        await client.send(b"END_OF_AUDIO")
        async for _ in client:
            pass


async def stored(folder: Path) -> list[str]:
    """Return the final texts of the meeting, read from the database beside the collector."""
    store = await Store.open(f"sqlite:///{folder / 'collector.db'}", migrate="off")
    try:
        meeting = await store.meeting(1, *ROOM)
        if meeting is None:
            return []
        page = await store.segments(meeting.id, limit=None, drafts=False)
        return [segment.text for segment in page.items]
    finally:
        await store.close()


async def until_stored(folder: Path, words: int) -> list[str]:
    """Wait until the meeting has that many words."""
    async with asyncio.timeout(30):
        while len(" ".join(texts := await stored(folder)).split()) < words:
            await asyncio.sleep(0.1)
    return texts


@pytest.mark.parametrize("victim", ["redis-1", "collector-1"])
async def test_what_is_said_is_stored_although_a_process_dies(tmp_path, victim):
    """Each is started again after kill -9, and what is said then is stored beside what was said before."""
    folder = tmp_path / "data"
    with storing(folder) as cluster:
        status = cluster.status()
        assert set(status["members"]) == {"collector-1", "gateway-1", "redis-1", "worker-1"}
        await say(cluster, "one")
        assert await until_stored(folder, WORDS_S) == ["word0000 word0001 word0002"]
        os.kill(cluster.pid(victim), signal.SIGKILL)
        wait_until(lambda: f"{victim} has ended (signal 9)" in cluster.log.read_text())
        wait_until(lambda: cluster.status()["ready"])
        await say(cluster, "two")
        assert await until_stored(folder, 2 * WORDS_S) == ["word0000 word0001 word0002"] * 2
        assert cluster.stop() == 0
        assert "not everything is stored" not in cluster.log.read_text()
    # The cluster's own folder is gone, and what is stored is not.
    assert not cluster.run_dir.exists()
    assert len(await stored(folder)) == 2


async def test_the_collector_is_behind_nginx_and_goes_on_where_it_stopped(tmp_path):
    """Page and health are below /collector/, transcripts at their own path; the next cluster has what is stored."""
    folder = tmp_path / "data"
    with storing(folder) as cluster:
        await say(cluster, "one")
        await until_stored(folder, WORDS_S)
        assert httpx.get(f"{cluster.url}/collector/health").json()["database"] == "healthy"
        said = httpx.get(f"{cluster.url}/transcripts/{'/'.join(ROOM)}", params={"format": "txt"}).text
        assert said.rstrip().endswith("Unknown: word0000 word0001 word0002")
        page = httpx.get(f"{cluster.url}/collector/", headers={"Accept": "text/html"})
        assert page.headers["content-type"].startswith("text/html")
        assert f"transcripts: {cluster.url}/collector/, stored in {folder}" in cluster.log.read_text()
    with storing(folder) as cluster:
        assert await stored(folder) == ["word0000 word0001 word0002"]
        # The password of the cluster's Redis is new; nobody has to know it.
        assert cluster.status()["members"]["redis-1"] == "ready"


def test_a_missing_redis_is_one_line(tmp_path):
    """The line names the package; nothing is started."""
    code, lines = start_and_fail(
        "--collector", "--data", str(tmp_path), env={**FAKE, "PATH": "/nowhere", "TMPDIR": str(tmp_path)}
    )
    assert code == 1
    assert len(lines) == 1
    assert lines[0].startswith("error: --collector needs Redis, and redis-server was not found: install the Debian")
