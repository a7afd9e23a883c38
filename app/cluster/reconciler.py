"""What the supervisor should do next: pure decisions, time is an argument.

The supervisor tells what it saw (a member is ready, is alive, has exited) and carries out what `decide`
returns, in order. Each action is returned once. So every rule (backoff, hang, drain, scaling) is tested with a
number for time.

    WAITING --Start--> STARTING --ready--> READY --Stop--> DRAINING --exit--> gone
       ^                  |                  |
       +---- exit --------+------ exit ------+     after 0.5, 1, 2, ... 30 s

A member stays routed while it restarts: nginx is refused at once, asks the next one, and needs no reload.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

Kind = Literal["worker", "gateway"]


class Phase(Enum):
    """Where a member stands in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """One process of the cluster, by its place: it keeps name and port across restarts."""

    kind: Kind
    number: int

    @property
    def name(self) -> str:
        """Return the name shown before its log lines."""
        return f"{self.kind}-{self.number}"


@dataclass(frozen=True, slots=True)
class Start:
    """Start the member's process."""

    member: Member


@dataclass(frozen=True, slots=True)
class Stop:
    """Ask the member to drain and exit (SIGTERM)."""

    member: Member


@dataclass(frozen=True, slots=True)
class Kill:
    """End the member at once (SIGKILL); `why` is for the log."""

    member: Member
    why: str


@dataclass(frozen=True, slots=True)
class Route:
    """Let the balancer know exactly these members."""

    members: tuple[Member, ...]


Action = Start | Stop | Kill | Route


@dataclass(frozen=True, slots=True)
class SupervisorTimeouts:
    """The supervisor's patience, in seconds.

    Attributes:
        first_backoff_s: wait before the first restart; doubles with every failure in a row.
        max_backoff_s: longest wait between restarts.
        stable_s: a member that was ready for this long starts again with the first backoff.
        start_timeout_s: a member that is not ready by then is killed and restarted (a model may be loading).
        hang_s: a ready member that has not answered for this long is killed and restarted.
        worker_grace_s, gateway_grace_s: a draining member of that kind is killed after this.
    """

    first_backoff_s: float = 0.5
    max_backoff_s: float = 30.0
    stable_s: float = 60.0
    start_timeout_s: float = 600.0
    hang_s: float = 120.0
    worker_grace_s: float = 65.0
    gateway_grace_s: float = 30.0

    def grace_s(self, kind: Kind) -> float:
        """Return the patience with a draining member of that kind."""
        return self.worker_grace_s if kind == "worker" else self.gateway_grace_s


@dataclass(slots=True)
class _State:
    """What is known of one member."""

    phase: Phase
    since_s: float
    alive_s: float
    failures: int = 0
    retry_at_s: float = 0.0
    routed: bool = False
    killed: bool = False


@dataclass(slots=True)
class Reconciler:
    """The wanted size of the cluster and the state of each member."""

    policy: SupervisorTimeouts = field(default_factory=SupervisorTimeouts)
    _wanted: dict[Kind, int] = field(default_factory=lambda: {"worker": 0, "gateway": 0})
    _states: dict[Member, _State] = field(default_factory=dict)
    _routed: tuple[Member, ...] = ()
    _in_effect: tuple[Member, ...] = ()

    def scale(self, kind: Kind, count: int) -> None:
        """Want `count` members of that kind from now on."""
        self._wanted[kind] = count

    def wanted(self, kind: Kind) -> int:
        """Return the wanted number of members of that kind."""
        return self._wanted[kind]

    def phase(self, member: Member) -> Phase | None:
        """Return the member's phase; None if it is not there."""
        state = self._states.get(member)
        return state.phase if state else None

    def phases(self) -> dict[str, str]:
        """Return each member's phase by name, in order."""
        return {member.name: self._states[member].phase.value for member in sorted(self._states)}

    def settled(self) -> bool:
        """Return whether every wanted member is ready, known to the balancer, and no other is left."""
        present = {member for member, state in self._states.items() if state.phase is Phase.READY and state.routed}
        return present == self._targets() == set(self._states) and self._in_effect == self._routed

    def empty(self) -> bool:
        """Return whether no member is left."""
        return not self._states

    def saw_routed(self, members: tuple[Member, ...]) -> None:
        """Take note that the balancer sends requests to exactly these."""
        self._in_effect = members

    def saw_ready(self, member: Member, now_s: float) -> None:
        """Take note that the member answered that it is ready."""
        state = self._states.get(member)
        if state is None:
            return
        state.alive_s = now_s
        if state.phase is Phase.STARTING:
            state.phase, state.since_s = Phase.READY, now_s

    def saw_alive(self, member: Member, now_s: float) -> None:
        """Take note that the member answered at all."""
        state = self._states.get(member)
        if state is not None:
            state.alive_s = now_s

    def saw_exit(self, member: Member, now_s: float) -> None:
        """Take note that the member's process has ended, for whatever reason."""
        state = self._states.get(member)
        if state is None:
            return
        if state.phase is Phase.DRAINING or member not in self._targets():
            del self._states[member]
            return
        if state.phase is Phase.READY and now_s - state.since_s >= self.policy.stable_s:
            state.failures = 0
        wait_s = min(self.policy.first_backoff_s * 2**state.failures, self.policy.max_backoff_s)
        state.failures += 1
        state.phase, state.since_s, state.retry_at_s = Phase.WAITING, now_s, now_s + wait_s
        state.killed = False

    def decide(self, now_s: float) -> list[Action]:
        """Return what to do now, in this order: start, route, stop, kill."""
        starts = self._starts(now_s)
        routes = self._route()
        return [*starts, *routes, *self._stops(now_s), *self._kills(now_s)]

    def _targets(self) -> set[Member]:
        return {Member(kind, number) for kind, count in self._wanted.items() for number in range(1, count + 1)}

    def _starts(self, now_s: float) -> list[Action]:
        for member in self._targets() - set(self._states):
            self._states[member] = _State(Phase.WAITING, now_s, now_s, retry_at_s=now_s)
        due = [
            member
            for member in sorted(self._states)
            if self._states[member].phase is Phase.WAITING and self._states[member].retry_at_s <= now_s
        ]
        actions: list[Action] = []
        for member in due:
            if member not in self._targets():
                continue
            state = self._states[member]
            state.phase, state.since_s, state.alive_s = Phase.STARTING, now_s, now_s
            actions.append(Start(member))
        return actions

    def _route(self) -> list[Action]:
        targets = self._targets()
        for member, state in self._states.items():
            state.routed = member in targets and (state.routed or state.phase is Phase.READY)
        routed = tuple(member for member in sorted(self._states) if self._states[member].routed)
        # When the last one goes, the balancer keeps the old list: it answers "busy" for them by itself.
        if routed == self._routed or not any(member.kind == "worker" for member in routed):
            return []
        self._routed = routed
        return [Route(routed)]

    def _stops(self, now_s: float) -> list[Action]:
        actions: list[Action] = []
        for member in sorted(set(self._states) - self._targets()):
            state = self._states[member]
            if state.phase is Phase.WAITING:
                del self._states[member]
            elif state.phase is not Phase.DRAINING:
                state.phase, state.since_s = Phase.DRAINING, now_s
                actions.append(Stop(member))
        return actions

    def _kills(self, now_s: float) -> list[Action]:
        actions: list[Action] = []
        for member in sorted(self._states):
            state = self._states[member]
            why = self._overdue(member, state, now_s)
            if why and not state.killed:
                state.killed = True
                actions.append(Kill(member, why))
        return actions

    def _overdue(self, member: Member, state: _State, now_s: float) -> str:
        if state.phase is Phase.STARTING and now_s - state.since_s >= self.policy.start_timeout_s:
            return f"not ready after {self.policy.start_timeout_s:g} s"
        if state.phase is Phase.READY and now_s - state.alive_s >= self.policy.hang_s:
            return f"no answer for {self.policy.hang_s:g} s"
        grace_s = self.policy.grace_s(member.kind)
        if state.phase is Phase.DRAINING and now_s - state.since_s >= grace_s:
            return f"not drained after {grace_s:g} s"
        return ""
