"""Kill and freeze processes of the cluster, and measure how long it takes to recover. Async."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping

import aiohttp

from app.core.errors import StartupError
from tests.chaos.disturbances import Disturbance, Disturbances
from tests.chaos.metrics import value_of
from tests.chaos.plan import FIRST_FAULT_S, QUIET_END_S, Fault, Plan
from tests.chaos.processes import children_in
from tests.cluster.real import RealCluster, children_of, running

RECOVERY_S = 90.0  # the longest wait for everything to work again
POLL_S = 0.2
OK = 200


class Injector:
    """Carries out a plan, one fault at a time: the next one comes when the cluster has recovered."""

    def __init__(
        self,
        cluster: RealCluster,
        session: aiohttp.ClientSession,
        faults: Disturbances,
        *,
        show: Callable[[str], None],
    ) -> None:
        self._cluster = cluster
        self._session = session
        self._faults = faults
        self._show = show

    async def run(self, plan: Plan, duration_s: float) -> None:
        """Inject faults until shortly before the end."""
        began_s = time.monotonic()
        await asyncio.sleep(FIRST_FAULT_S)
        while (elapsed_s := time.monotonic() - began_s) < duration_s - QUIET_END_S:
            fault = plan.next(elapsed_s)
            victims = await self._victims(fault)
            if not victims:  # it ended by itself meanwhile, and starts again
                await asyncio.sleep(POLL_S)
                continue
            disturbance = await self._inject(fault, victims)
            recovery_s = disturbance.recovery_s
            took = "NOT RECOVERED" if recovery_s is None else f"recovered in {recovery_s:.1f} s"
            self._show(f"{elapsed_s:6.0f} s  {disturbance.name} ({disturbance.victim}): {took}")
            await asyncio.sleep(fault.wait_s)

    async def _inject(self, fault: Fault, victims: Mapping[str, int]) -> Disturbance:
        began_s = time.monotonic()
        disturbance = Disturbance(fault.role, fault.action, " ".join(victims), began_s, began_s)
        self._faults.all.append(disturbance)
        pids = tuple(victims.values())
        if fault.action == "kill":
            _send(pids, signal.SIGKILL)
        else:
            _send(pids, signal.SIGSTOP)
            try:
                await asyncio.sleep(fault.stop_s)
            finally:
                _send(pids, signal.SIGCONT)
        disturbance.released_s = time.monotonic()
        killed = frozenset(pids) if fault.action == "kill" else frozenset[int]()
        while time.monotonic() < disturbance.released_s + RECOVERY_S:
            if await self._has_recovered(killed):
                disturbance.recovered_s = time.monotonic()
                break
            await asyncio.sleep(POLL_S)
        return disturbance

    async def _victims(self, fault: Fault) -> dict[str, int]:
        """Return the names and ids of the processes that a fault hits; none if they do not run now."""
        if fault.role == "nginx":
            master = await asyncio.to_thread(self._nginx)
            if fault.member == 0:
                return {"master": master}
            others = children_of(master)
            return {"worker process": others[0]} if others else {}
        pids = children_in(await asyncio.to_thread(self._cluster.status))
        if fault.role == "workers":
            return {name: pid for name, pid in pids.items() if name.startswith("worker-")}
        name = f"{fault.role}-{fault.member}"
        return {each: pids[each] for each in (name, fault.role) if each in pids}

    async def _has_recovered(self, killed: frozenset[int]) -> bool:
        """Is every process there again, reachable through nginx, and nothing left that waits for Redis?"""
        try:
            status = await asyncio.to_thread(self._cluster.status)
            # The supervisor may not have seen yet that a process has ended: it is another one that counts.
            nginx = await asyncio.to_thread(self._nginx)
            present = {*children_in(status).values(), nginx, *children_of(nginx)}
            if not status["ready"] or present & killed or not all(map(running, present)):
                return False
            gateways = [port for name, port in status["ports"].items() if name.startswith("gateway-")]
            answers = await asyncio.gather(
                *(self._answers(path) for path in ("/lb-status", "/health", "/collector/health/ready")),
                *(self._has_published(port) for port in gateways),
            )
        except (StartupError, OSError, ValueError):
            return False
        return all(answers)

    async def _answers(self, path: str) -> bool:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self._session.get(self._cluster.url + path, timeout=aiohttp.ClientTimeout(total=3)) as response:
                return response.status == OK
        return False

    async def _has_published(self, port: int) -> bool:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            return await value_of(self._session, port, "wsgw_publish_backlog") == 0
        return False

    def _nginx(self) -> int:
        return int((self._cluster.run_dir / "nginx.pid").read_text())


def _send(pids: tuple[int, ...], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
