"""The cluster before and after the load: expected texts, and what is left over. Async (aiohttp)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable
from statistics import mean

import aiohttp

from app.core.errors import StartupError
from tests.chaos.caller import Caller
from tests.chaos.metrics import samples_of
from tests.chaos.outcome import Idle
from tests.chaos.processes import processes_of, read_process, temporary_files
from tests.chaos.uploads import Upload
from tests.cluster.real import RealCluster

DRAIN_S = 90.0
SETTLE_S = 5.0  # for connections and threads that are kept for a moment
POLL_S = 0.5
CROWD = 8  # as many as all slots and places in the queue, so that every worker has its threads
MUST_BE_0 = {
    "worker": ("whisper_in_flight", "whisper_queue_depth"),
    "gateway": (
        "wsgw_sessions_active",
        "wsgw_publish_backlog",
        "wsgw_publish_dropped_total",
        "wsgw_upstream_in_flight",
    ),
    "collector": (
        "collector_pending",
        "collector_lag_entries",
        "collector_dead_letters_total",
        "collector_conflicts_total",
        "collector_trimmed_pending_total",
    ),
}
DRAINED = ("whisper_in_flight", "whisper_queue_depth", "wsgw_sessions_active", "wsgw_publish_backlog")


async def expect(caller: Caller, uploads: Iterable[Upload]) -> dict[str, float]:
    """Transcribe each upload alone, and remember its text; return the mean seconds by kind.

    Raises:
        ConnectionError: one is not transcribed.
    """
    took_s: dict[str, list[float]] = {}
    for upload in uploads:
        began_s = time.monotonic()
        caller.expected[upload.name] = await caller.text_when_idle(upload)
        took_s.setdefault(upload.kind, []).append(time.monotonic() - began_s)
    return {kind: mean(seconds) for kind, seconds in took_s.items()}


async def changed(caller: Caller, uploads: Iterable[Upload]) -> list[str]:
    """Transcribe each upload alone once more; return those whose text has changed."""
    return [each.name for each in uploads if await caller.text_when_idle(each) != caller.expected[each.name]]


async def use_every_thread(caller: Caller, upload: Upload) -> None:
    """Send as many requests at once as the cluster takes, so that it looks before the load as after it."""
    await asyncio.gather(*(caller.status_when_idle(upload) for _ in range(CROWD)))


async def idle_state(cluster: RealCluster, session: aiohttp.ClientSession) -> Idle:
    """Look at an idle cluster."""
    await asyncio.sleep(SETTLE_S)
    gauges = await _gauges(cluster, session)
    pids = await asyncio.to_thread(processes_of, cluster)
    readings = {name: read_process(pid, at_s=0.0, requests=0) for name, pid in pids.items()}
    present = {name: reading for name, reading in readings.items() if reading is not None}
    return Idle(
        files=temporary_files(cluster),
        descriptors={name: reading.descriptors for name, reading in present.items()},
        threads={name: reading.threads for name, reading in present.items()},
        rss_mb={name: reading.rss_mb for name, reading in present.items()},
        gauges=gauges,
    )


async def wait_until_drained(cluster: RealCluster, session: aiohttp.ClientSession) -> float | None:
    """Wait until nothing is in work; return the seconds that it took, None if it did not happen in time."""
    began_s = time.monotonic()
    while (waited_s := time.monotonic() - began_s) < DRAIN_S:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, StartupError):
            gauges = await _gauges(cluster, session)
            if not any(value for name, value in gauges.items() if name.endswith(DRAINED)):
                return waited_s
        await asyncio.sleep(POLL_S)
    return None


async def _gauges(cluster: RealCluster, session: aiohttp.ClientSession) -> dict[str, float]:
    """Return the values that must be 0 when idle, by process and name."""
    ports: dict[str, int] = (await asyncio.to_thread(cluster.status))["ports"]
    found: dict[str, float] = {}
    for member, port in ports.items():
        wanted = MUST_BE_0.get(member.rpartition("-")[0], ())
        if not wanted:
            continue
        for (name, _), value in (await samples_of(session, port)).items():
            if name in wanted:
                key = f"{member} {name}"
                found[key] = found.get(key, 0.0) + value
    return found
