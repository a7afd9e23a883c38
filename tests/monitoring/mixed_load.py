"""Every kind of request once or more, against a real cluster with the fake model and a file of keys."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from app.core.pcm import to_pcm16
from app.live.client.client import Line, ListenerCallbacks, LiveClient
from app.live.client.sources import paced
from app.ops.keys import digest_of
from tests.clients import MODEL, tone_wav, upload
from tests.cluster.clients import new_client
from tests.cluster.ports import free_ports
from tests.cluster.real import FAKE, RealCluster, real_cluster
from tests.samples import pcm_of

WORKERS, SLOTS = 2, 2
SPEECH = "en-18.wav"
ALICE, BOB, GATEWAY = "sk-alice", "sk-bob", "sk-gateway"
KEYS = f"""
[[key]]
name = "alice"
sha256 = "{digest_of(ALICE).hex()}"

[[key]]
name = "bob"
sha256 = "{digest_of(BOB).hex()}"
requests_per_minute = 1
"""


@contextmanager
def cluster_with_keys(folder: Path) -> Iterator[RealCluster]:
    """Run two workers, two gateways, a Redis and a collector, whose files are in that folder."""
    keys = folder / "keys.toml"
    keys.write_text(KEYS)
    env = {**FAKE, "API_KEYS_FILE": str(keys), "API_KEYS": GATEWAY, "REMOTE_TRANSCRIBER_API_KEY": GATEWAY}
    redis_port, collector_port = free_ports(2)
    words = ("--gateways", "2", "--collector", "--data", str(folder))
    ports = ("--redis-port", str(redis_port), "--collector-port", str(collector_port))
    with real_cluster(WORKERS, env, program=("-m", "app", "cluster", *words, *ports)) as cluster:
        yield cluster


async def mixed_load(cluster: RealCluster) -> None:
    """Send files in both tiers, a stream, bad input, more than a key may send, two live streams, and a burst."""
    async with new_client() as client:
        statuses = await asyncio.gather(
            send(client, cluster, ALICE),
            send(client, cluster, ALICE, transcription_tier="realtime"),
            send(client, cluster, ALICE, stream="true"),
        )
        assert set(statuses) == {200}
        assert await send(client, cluster, ALICE, audio=b"no audio") == 400
        # The minute may change between two of them.
        assert 429 in [await send(client, cluster, BOB) for _ in range(3)]
        for texts in await asyncio.gather(talk(cluster, "one"), talk(cluster, "two")):
            assert texts
        await burst(client, cluster)


async def send(
    client: httpx.AsyncClient, cluster: RealCluster, key: str, *, audio: bytes | None = None, **fields: str
) -> int:
    """Send a file with that key; return the status."""
    body = tone_wav(1.0) if audio is None else audio
    answer = await client.post(
        cluster.transcriptions,
        headers={"Authorization": f"Bearer {key}"},
        data={**MODEL, **fields},
        files=upload(body),
    )
    return answer.status_code


async def talk(cluster: RealCluster, meeting: str) -> list[str]:
    """Say one sentence in that meeting; return what became final."""
    lines: list[Line] = []
    handshake: dict[str, Any] = {"uid": meeting, "language": "en", "task": "transcribe", "model": "any"}
    client = LiveClient(
        f"ws://127.0.0.1:{cluster.live_port}/ws",
        handshake={**handshake, "platform": "google_meet", "meeting_id": meeting},
        events=ListenerCallbacks(line=lines.append),
        key=ALICE,
    )
    await client.run(paced(to_pcm16(pcm_of(SPEECH))))
    return [line.text for line in lines if line.completed]


async def burst(client: httpx.AsyncClient, cluster: RealCluster) -> None:
    """Send one file more than there are slots, to workers that are stopped until nginx has refused one."""
    pids = [cluster.pid(f"worker-{number + 1}") for number in range(WORKERS)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        sent = [asyncio.create_task(send(client, cluster, ALICE)) for _ in range(WORKERS * SLOTS + 1)]
        first, waiting = await asyncio.wait(sent, return_when=asyncio.FIRST_COMPLETED)
        assert {each.result() for each in first} == {503}
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    # A request of a gateway may have taken one of the slots.
    assert set(await asyncio.gather(*waiting)) <= {200, 503}
