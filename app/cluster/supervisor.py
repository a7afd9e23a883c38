"""Keep a cluster running: watch its processes, carry out the plan, drain in order.

Every decision is `plan`'s. This file starts, asks, signals and waits.
"""

from __future__ import annotations

import asyncio
import http.client
import shutil
import signal
import stat
import sys
from collections.abc import Awaitable, Callable, Mapping

from app.cluster.balancer import Balancer
from app.cluster.folder import make_folder
from app.cluster.layout import Layout
from app.cluster.probe import json_of, port_is_free, status_of
from app.cluster.process import Child, Show
from app.cluster.reconciler import Action, Kill, Kind, Member, Phase, Reconciler, Route, Start, Stop
from app.core.errors import StartupError

TICK_S = 0.1
STARTING_PROBE_S = 0.25
READY_PROBE_S = 2.0
BALANCER_RETRY_S = 1.0
MAX_MEMBERS = 64
MAX_PORT = 65_535
NAME = "cluster"


class Supervisor:
    """One cluster, from its start to its end."""

    def __init__(
        self, layout: Layout, plan: Reconciler, balancer: Balancer, *, environment: Mapping[str, str], show: Show
    ) -> None:
        self._layout = layout
        self._plan = plan
        self._balancer = balancer
        self._environment = environment
        self._show = show
        self._children: dict[Member, Child] = {}
        self._watchers: set[asyncio.Task[None]] = set()
        self._slots = layout.slots
        self._routed: tuple[Member, ...] = ()
        self._refusal: StartupError | None = None
        self._up = False
        self._stopping = asyncio.Event()
        self._aborted: signal.Signals | None = None
        self._failure: StartupError | None = None

    def signalled(self, number: signal.Signals) -> None:
        """Drain at the first signal, end at once at the second."""
        if self._stopping.is_set():
            self._aborted = number
            return
        self._say(f"{number.name}: draining; once more ends at once")
        self._stopping.set()

    def status(self) -> dict[str, object]:
        """Return what runs, for the control socket."""
        return {
            "workers": self._plan.wanted("worker"),
            "gateways": self._plan.wanted("gateway"),
            "ready": self._plan.settled(),
            "members": self._plan.phases(),
            "pids": {member.name: child.pid for member, child in sorted(self._children.items())},
            "ports": {member.name: self._layout.port_of(member) for member in sorted(self._children)},
            "url": self._layout.url,
        }

    async def scale(self, kind: Kind, count: int) -> None:
        """Run `count` members of that kind; return when all of them serve and no other is left.

        Raises:
            StartupError: the number or a port it needs is not to be had, or nginx does not take the change; that is
                tried again.
        """
        _require_count(kind, count)
        if self._stopping.is_set():
            raise StartupError("the cluster is draining")
        self._require_ports(kind, self._plan.wanted(kind) + 1, count)
        if kind == "gateway" and count and not self._plan.wanted(kind):
            self._require_port(self._layout.host, self._layout.live_port)
        self._refusal = None
        self._plan.scale(kind, count)
        self._say(f"scaling {kind}s to {count}")
        await self._until(lambda: self._plan.settled() or self._refusal is not None or self._stopping.is_set())
        if self._refusal is not None:
            raise self._refusal

    def require_room(self, *, workers: int, gateways: int) -> None:
        """Make sure that a cluster of that size could start: nothing has been touched yet.

        Raises:
            StartupError: the number or a port it needs is not to be had.
        """
        _require_count("worker", workers)
        _require_count("gateway", gateways)
        self._require_port(self._layout.host, self._layout.port)
        if gateways:
            self._require_port(self._layout.host, self._layout.live_port)
        self._require_ports("worker", 1, workers)
        self._require_ports("gateway", 1, gateways)

    async def run(self, *, workers: int, gateways: int, on_ready: Callable[[], None]) -> int:
        """Run the cluster until a signal; return the exit code.

        Raises:
            StartupError: it could not start; nothing is left running.
        """
        ticker = asyncio.create_task(self._tick_forever())
        try:
            # The gateways' readiness may depend on transcription.
            self._plan.scale("worker", workers)
            await self._until(lambda: self._plan.settled() or self._stopping.is_set())
            self._plan.scale("gateway", gateways)
            await self._until(lambda: self._plan.settled() or self._stopping.is_set())
            if not self._stopping.is_set():
                self._up = True
                on_ready()
                await self._until(self._stopping.is_set)
            await self._drain()
        finally:
            ticker.cancel()
            await asyncio.gather(ticker, return_exceptions=True)
            await self._end_everything()
        return 0 if self._aborted is None else 128 + self._aborted

    async def _drain(self) -> None:
        """Streams first (their last words need the workers), then the door, then the workers."""
        self._plan.scale("gateway", 0)
        await self._until(lambda: not any(member.kind == "gateway" for member in self._children))
        quitting = asyncio.create_task(self._balancer.quit(patience_s=self._layout.shutdown_grace_s))
        await self._until(quitting.done)
        quitting.cancel()
        self._plan.scale("worker", 0)
        await self._until(self._plan.empty)
        if self._aborted is None:
            self._say("drained")

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait for the condition, an abort, or a failure, which is raised."""
        while not condition() and self._aborted is None:
            if self._failure is not None:
                raise self._failure
            await asyncio.sleep(TICK_S / 2)

    async def _tick_forever(self) -> None:
        loop = asyncio.get_running_loop()
        balancer_retry_at_s = 0.0
        while True:
            for action in self._plan.decide(loop.time()):
                await self._guarded(self._carry_out(action))
            if self._misses_balancer() and balancer_retry_at_s <= loop.time():
                gone = self._balancer.child is None
                self._say("nginx has ended: starting it again" if gone else "nginx is asked again")
                await self._guarded(self._route())
                balancer_retry_at_s = loop.time() + BALANCER_RETRY_S
            await asyncio.sleep(TICK_S)

    async def _guarded(self, work: Awaitable[None]) -> None:
        """Do it; a failure is told and does not keep the next action from being carried out."""
        try:
            await work
        except StartupError as exc:
            self._fail(exc)
        except OSError as exc:
            self._fail(StartupError(f"a process could not be started: {exc}"))

    def _misses_balancer(self) -> bool:
        return self._up and not self._stopping.is_set() and (self._balancer.child is None or self._refusal is not None)

    def _fail(self, failure: StartupError) -> None:
        """End a cluster that is starting; one that serves goes on and says what went wrong."""
        if self._up:
            self._say(str(failure))
        elif self._failure is None:
            self._failure = failure

    async def _carry_out(self, action: Action) -> None:
        match action:
            case Start(member):
                await self._start(member)
            case Route(members):
                self._routed = members
                await self._route()
            case Stop(member):
                self._signal(member, signal.SIGTERM)
            case Kill(member, why):
                self._say(f"{member.name}: {why}; killed")
                self._signal(member, signal.SIGKILL)

    async def _route(self) -> None:
        try:
            await self._learn_slots(self._routed)
            await self._balancer.route(self._routed, slots=self._slots)
        except (StartupError, OSError) as exc:
            self._refusal = StartupError(str(exc))
            raise
        self._refusal = None
        self._plan.saw_routed(self._routed)

    def _signal(self, member: Member, number: signal.Signals) -> None:
        child = self._children.get(member)
        if child is not None:
            child.send(number)

    async def _start(self, member: Member) -> None:
        temp_dir = self._layout.temp_dir(member)
        try:
            await asyncio.to_thread(shutil.rmtree, temp_dir, ignore_errors=True)
            make_folder(self._layout.run_dir)
            temp_dir.mkdir(mode=stat.S_IRWXU)
            child = await Child.start(
                member.name,
                self._layout.command_of(member, sys.executable),
                env=self._layout.environment_of(member, self._environment),
                cwd=self._layout.root,
                show=self._show,
            )
        except OSError:
            # No process, no end of one to watch for: the plan must hear of it to try again.
            self._plan.saw_exit(member, asyncio.get_running_loop().time())
            raise
        self._children[member] = child
        watcher = asyncio.create_task(self._watch(member, child))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)

    async def _watch(self, member: Member, child: Child) -> None:
        """Ask how the member is until its process ends, then tell the plan."""
        probe = asyncio.create_task(self._probe(member))
        code = await child.wait()
        probe.cancel()
        del self._children[member]
        # What a killed process left in its temporary folder is nobody's.
        await asyncio.to_thread(shutil.rmtree, self._layout.temp_dir(member), ignore_errors=True)
        draining = self._plan.phase(member) is Phase.DRAINING
        self._plan.saw_exit(member, asyncio.get_running_loop().time())
        reason = f"signal {-code}" if code < 0 else f"exit code {code}"
        if not draining:
            self._say(f"{member.name} has ended ({reason})")
        if not self._up and not self._stopping.is_set():
            said = child.last_line.removeprefix("error: ")
            self._fail(StartupError(f"{member.name} could not start ({reason}): {said}"))

    async def _probe(self, member: Member) -> None:
        loop = asyncio.get_running_loop()
        port = self._layout.port_of(member)
        live, ready = ("/health/live", "/health/ready") if member.kind == "worker" else ("/health", "/health")
        while True:
            starting = self._plan.phase(member) is Phase.STARTING
            status = await asyncio.to_thread(status_of, "127.0.0.1", port, ready if starting else live)
            if status == http.client.OK and starting:
                self._plan.saw_ready(member, loop.time())
                self._say(f"{member.name} is ready")
            elif status is not None:
                self._plan.saw_alive(member, loop.time())
            await asyncio.sleep(STARTING_PROBE_S if starting else READY_PROBE_S)

    async def _learn_slots(self, members: tuple[Member, ...]) -> None:
        """Ask the first ready worker how much it does at once, unless the settings say it."""
        worker = next(member for member in members if member.kind == "worker")
        if self._slots == 0:
            health = await asyncio.to_thread(json_of, "127.0.0.1", self._layout.port_of(worker), "/health")
            if health is None or not isinstance(health.get("slots"), int):
                raise StartupError(f"{worker.name} does not say in /health how many slots it has")
            self._slots = health["slots"]

    def _require_ports(self, kind: Kind, first: int, last: int) -> None:
        for number in range(first, last + 1):
            self._require_port("127.0.0.1", self._layout.port_of(Member(kind, number)))

    def _require_port(self, host: str, port: int) -> None:
        if not 0 < port <= MAX_PORT:
            raise StartupError(f"port {port} does not exist: choose ports from 1 to {MAX_PORT}")
        try:
            free = port_is_free(host, port)
        except OSError as exc:
            raise StartupError(f"nothing can listen on {host}: {exc.strerror}") from exc
        if not free:
            raise StartupError(f"port {port} on {host} is in use: stop what listens there, or choose another port")

    async def _end_everything(self) -> None:
        """Kill whatever is left; after a clean drain nothing is."""
        for child in self._children.values():
            child.send(signal.SIGKILL)
        await self._balancer.end()
        await asyncio.gather(*self._watchers, return_exceptions=True)

    def _say(self, line: str) -> None:
        self._show(NAME, line)


def _require_count(kind: Kind, count: int) -> None:
    low = 1 if kind == "worker" else 0
    if not low <= count <= MAX_MEMBERS:
        raise StartupError(f"{count} {kind}s: choose {low} to {MAX_MEMBERS}")
