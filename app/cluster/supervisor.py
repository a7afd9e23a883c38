"""Keep a cluster running: apply the reconciler's actions, route, and drain in order.

The reconciler makes every decision. This file starts, signals and waits.
"""

from __future__ import annotations

import asyncio
import os
import signal
import traceback
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from app.cluster import preflight, redis_probe
from app.cluster.balancer import Balancer
from app.cluster.layout import Layout
from app.cluster.members import Members
from app.cluster.mtail import Mtail
from app.cluster.probe import json_of
from app.cluster.process import ShowLine
from app.cluster.reconciler import Action, Kill, Kind, Member, Phase, Reconciler, Route, Start, Stop
from app.cluster.targets_file import TargetsFile
from app.core.errors import StartupError

TICK_S = 0.1
BALANCER_RETRY_S = 1.0
CATCH_UP_S = 10.0  # for the collector to store what the gateways published last; Redis keeps what it does not
NAME = "cluster"
STORES: tuple[Kind, ...] = ("collector", "redis")  # in the order of the drain


class Supervisor:
    """One cluster, from its start to its end."""

    def __init__(
        self,
        layout: Layout,
        reconciler: Reconciler,
        balancer: Balancer,
        *,
        environment: Mapping[str, str],
        show_line: ShowLine,
    ) -> None:
        self._layout = layout
        self._reconciler = reconciler
        self._balancer = balancer
        self._show_line = show_line
        self._members = Members(
            layout, reconciler, environment=environment, show_line=show_line, log=self._log, on_exit=self._member_exited
        )
        self._mtail = Mtail(layout, environment=environment, show_line=show_line, log=self._log)
        self._targets = TargetsFile(layout, self._log)
        self._slots = layout.slots
        self._routed: tuple[Member, ...] = ()
        self._routing_error: StartupError | None = None
        self._start_error: StartupError | None = None
        self._serving = False
        self._stopping = asyncio.Event()
        self._aborted: signal.Signals | None = None

    def handle_signal(self, number: signal.Signals) -> None:
        """Drain at the first signal, end at once at the second."""
        if self._stopping.is_set():
            self._aborted = number
            return
        self._log(f"{number.name}: draining; a second signal ends at once")
        self._stopping.set()

    def status(self) -> dict[str, object]:
        """Return what runs, for the control socket."""
        return {
            "workers": self._reconciler.wanted("worker"),
            "gateways": self._reconciler.wanted("gateway"),
            "collector": self._reconciler.wanted("collector") > 0,
            "ready": self._reconciler.settled(),
            "members": self._reconciler.phases(),
            "pids": self._members.pids(),
            "ports": self._members.ports(),
            "url": self._layout.url,
            "mtail": self._mtail.status(),
        }

    async def scale(self, kind: Kind, count: int) -> None:
        """Run `count` members of that kind; return when all of them serve and no other is left.

        Raises:
            StartupError: the number or a port it needs cannot be used, the cluster is draining, or nginx refuses the
                change, which is then tried again.
        """
        self._refuse_if_stopping()
        preflight.check_scale(self._layout, kind, current=self._reconciler.wanted(kind), wanted=count)
        self._routing_error = None
        self._reconciler.scale(kind, count)
        self._log(f"scaling {kind}s to {count}")
        await self._until(
            lambda: self._reconciler.settled() or self._routing_error is not None or self._stopping.is_set()
        )
        if self._routing_error is not None:
            raise self._routing_error
        if not self._reconciler.settled():
            self._refuse_if_stopping()

    async def run(self, *, workers: int, gateways: int, on_ready: Callable[[], None]) -> int:
        """Run the cluster until a signal; return the exit code.

        Every task of the supervisor is in one task group: an unexpected exception in any of them is a bug that is
        logged, drains the cluster and gives exit code 70 (EX_SOFTWARE). 128 + n: ended at once by a second signal n.

        Raises:
            StartupError: the cluster could not start; nothing is left running.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                ticker = tasks.create_task(self._tick_forever(tasks))
                counting = tasks.create_task(self._mtail.run())
                try:
                    await self._serve(tasks, workers=workers, gateways=gateways, on_ready=on_ready)
                except StartupError as exc:
                    self._start_error = exc
                for task in (ticker, counting):
                    task.cancel()
                await asyncio.wait([ticker, counting])
                await self._members.kill()
        except ExceptionGroup as bugs:
            await self._drain_after_bug(bugs)
            return os.EX_SOFTWARE
        finally:
            # After a clean drain nothing is left to end.
            await self._members.kill()
            await self._balancer.end()
            await self._mtail.end()
        if self._start_error is not None:
            raise self._start_error
        return 0 if self._aborted is None else 128 + self._aborted

    async def _serve(
        self, tasks: asyncio.TaskGroup, *, workers: int, gateways: int, on_ready: Callable[[], None]
    ) -> None:
        await self._mtail.wait_started()
        self._reconciler.scale("redis", self._layout.redis_servers)
        await self._until(lambda: self._reconciler.settled() or self._stopping.is_set())
        # The gateways' readiness may depend on transcription, so workers come before them.
        self._reconciler.scale("collector", self._layout.collectors)
        self._reconciler.scale("worker", workers)
        await self._until(lambda: self._reconciler.settled() or self._stopping.is_set())
        self._reconciler.scale("gateway", gateways)
        await self._until(lambda: self._reconciler.settled() or self._stopping.is_set())
        if not self._stopping.is_set():
            self._serving = True
            on_ready()
            await self._until(self._stopping.is_set)
        await self._drain(tasks)

    async def _drain(self, tasks: asyncio.TaskGroup) -> None:
        """Stop the gateways, then what stores their text, then nginx, then the workers.

        To finish their streams the gateways take all others, and nginx would wait for the collector's live clients.
        """
        self._reconciler.scale("gateway", 0)
        await self._until(partial(self._gone, "gateway"))
        await self._catch_up()
        for kind in STORES:
            self._reconciler.scale(kind, 0)
            await self._until(partial(self._gone, kind))
        quitting = tasks.create_task(self._balancer.quit(grace_s=self._layout.shutdown_grace_s))
        await self._until(quitting.done)
        quitting.cancel()
        self._reconciler.scale("worker", 0)
        await self._until(self._reconciler.empty)
        if self._aborted is None:
            self._log("drained")

    async def _drain_after_bug(self, bugs: ExceptionGroup) -> None:
        """Drain in the same order without the reconciler, which may be what failed. A signal ends the drain."""
        for line in "".join(traceback.format_exception(bugs)).splitlines():
            self._log(line)
        self._log("unexpected error, see the traceback above (please report it): draining; a signal ends at once")
        self._stopping.set()
        drain = asyncio.create_task(self._drain_directly())
        while not drain.done() and self._aborted is None:
            await asyncio.wait([drain], timeout=TICK_S / 2)
        drain.cancel()
        await asyncio.wait([drain])
        if not drain.cancelled() and (error := drain.exception()) is not None:
            self._log(f"the drain failed, too ({error!r}): ending everything at once")

    async def _drain_directly(self) -> None:
        timeouts = self._reconciler.timeouts
        for kind in ("gateway", *STORES):
            await self._members.drain(kind, grace_s=timeouts.grace_s(kind))
        await self._balancer.quit(grace_s=self._layout.shutdown_grace_s)
        await self._members.drain("worker", grace_s=timeouts.grace_s("worker"))
        self._log("drained")

    def _gone(self, kind: Kind) -> bool:
        return not self._members.any(kind)

    async def _catch_up(self) -> None:
        """Wait until the collector has stored what was published, but not for long: Redis keeps the rest."""
        transcripts, loop = self._layout.transcripts, asyncio.get_running_loop()
        if transcripts is None or not (self._members.any("collector") and self._members.any("redis")):
            return
        deadline_s = loop.time() + CATCH_UP_S
        while (left := await asyncio.to_thread(redis_probe.unread, transcripts)) != 0 and self._aborted is None:
            if left is None or loop.time() >= deadline_s:
                self._log("not everything is stored yet: Redis keeps the rest, and the next start stores it")
                return
            await asyncio.sleep(TICK_S)

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait for the condition, a second signal, or an error of the start, which is raised."""
        while not condition() and self._aborted is None:
            if self._start_error is not None:
                raise self._start_error
            await asyncio.sleep(TICK_S / 2)

    async def _tick_forever(self, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        balancer_retry_at_s = 0.0
        while True:
            for action in self._reconciler.decide(loop.time()):
                await self._attempt(self._apply(action, tasks))
            if self._balancer_needs_retry() and balancer_retry_at_s <= loop.time():
                ended = self._balancer.child is None
                self._log("nginx has ended: starting it again" if ended else "applying nginx's configuration again")
                await self._attempt(self._route())
                balancer_retry_at_s = loop.time() + BALANCER_RETRY_S
            self._targets.update(self._reconciler.members(), self._mtail.address)
            await asyncio.sleep(TICK_S)

    async def _attempt(self, work: Awaitable[None]) -> None:
        """Await it; an error is reported and does not prevent the next action."""
        try:
            await work
        except StartupError as exc:
            self._report(exc)
        except OSError as exc:
            self._report(StartupError(f"a process could not be started: {exc}"))

    def _report(self, error: StartupError) -> None:
        """Log the error of a cluster that serves or drains; a cluster that is starting ends with its first error."""
        if self._serving or self._stopping.is_set():
            self._log(str(error))
        elif self._start_error is None:
            self._start_error = error

    async def _apply(self, action: Action, tasks: asyncio.TaskGroup) -> None:
        match action:
            case Start(member):
                await self._members.start(member, tasks)
            case Route(members):
                self._routed = members
                await self._route()
            case Stop(member):
                self._members.signal(member, signal.SIGTERM)
            case Kill(member, reason):
                self._log(f"{member.name}: {reason}; killed")
                self._members.signal(member, signal.SIGKILL)

    async def _route(self) -> None:
        try:
            await self._learn_slots(self._routed)
            await self._balancer.route(self._routed, slots=self._slots)
        except (StartupError, OSError) as exc:
            self._routing_error = StartupError(str(exc))
            raise
        self._routing_error = None
        self._reconciler.mark_routed(self._routed)

    def _balancer_needs_retry(self) -> bool:
        failed = self._balancer.child is None or self._routing_error is not None
        return failed and self._serving and not self._stopping.is_set()

    async def _learn_slots(self, members: tuple[Member, ...]) -> None:
        """Read from the first ready worker how many requests it serves at once, unless the settings give it."""
        worker = next(member for member in members if member.kind == "worker")
        if self._slots == 0:
            health = await asyncio.to_thread(json_of, "127.0.0.1", self._layout.port_of(worker), "/health")
            if health is None or not isinstance(health.get("slots"), int):
                raise StartupError(f"/health of {worker.name} does not give its number of slots")
            self._slots = health["slots"]

    def _member_exited(self, member: Member, code: int, last_line: str) -> None:
        draining = self._reconciler.phase(member) is Phase.DRAINING
        self._reconciler.mark_exited(member, asyncio.get_running_loop().time())
        reason = f"signal {-code}" if code < 0 else f"exit code {code}"
        if not draining:
            self._log(f"{member.name} has ended ({reason})")
        if not self._serving and not self._stopping.is_set():
            error = last_line.removeprefix("error: ")
            self._report(StartupError(f"{member.name} could not start ({reason}): {error}"))

    def _refuse_if_stopping(self) -> None:
        if self._stopping.is_set():
            raise StartupError("the cluster is draining")

    def _log(self, line: str) -> None:
        self._show_line(NAME, line)
