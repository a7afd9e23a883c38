"""Decide what the supervisor does next. Pure: time is an argument.

The supervisor reports what it observed (`mark_ready`, `mark_alive`, `mark_exited`, `mark_routed`) and applies the
actions that `decide` returns, in order. Each action is returned once. Every rule (backoff, hang, drain, scaling) is
therefore tested with a number for time.

    WAITING --Start--> STARTING --ready--> READY --Stop--> DRAINING --exit--> gone
       ^                  |                  |
       +---- exit --------+------ exit ------+     after 0.5, 1, 2, ... 30 s

A member stays routed while it restarts: nginx's connection is refused at once, it tries the next member, and it
needs no reload.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, get_args

Kind = Literal["worker", "gateway", "collector", "redis"]


class Phase(Enum):
    """The state of a member's process."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """One process of the cluster, by its number: it keeps its name and port across restarts."""

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
    """End the member at once (SIGKILL); `reason` is for the log."""

    member: Member
    reason: str


@dataclass(frozen=True, slots=True)
class Route:
    """Have the load balancer send requests to exactly these members."""

    members: tuple[Member, ...]


Action = Start | Stop | Kill | Route


@dataclass(frozen=True, slots=True)
class SupervisorTimeouts:
    """How long the supervisor waits, in seconds.

    Attributes:
        first_backoff_s: wait before the first restart; doubles with every consecutive failure.
        max_backoff_s: longest wait before a restart.
        stable_s: a member that was ready for this long is restarted after the first backoff again.
        start_timeout_s: a member that is not ready by then is killed and restarted (loading a model takes minutes).
        hang_s: a ready member that has not answered for this long is killed and restarted.
        worker_grace_s, gateway_grace_s: a draining worker or gateway is killed after this.
        store_grace_s: so is a collector or a Redis, which have only a batch or a file to finish.
    """

    first_backoff_s: float = 0.5
    max_backoff_s: float = 30.0
    stable_s: float = 60.0
    start_timeout_s: float = 600.0
    hang_s: float = 120.0
    worker_grace_s: float = 65.0
    gateway_grace_s: float = 30.0
    store_grace_s: float = 15.0

    def grace_s(self, kind: Kind) -> float:
        """Return how long a member of that kind may take to drain."""
        graces_s = {"worker": self.worker_grace_s, "gateway": self.gateway_grace_s}
        return graces_s.get(kind, self.store_grace_s)


@dataclass(slots=True)
class _State:
    """The state of one member."""

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

    timeouts: SupervisorTimeouts = field(default_factory=SupervisorTimeouts)
    _wanted: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(get_args(Kind), 0))
    _states: dict[Member, _State] = field(default_factory=dict)
    _routed: tuple[Member, ...] = ()  # by the last Route action
    _in_effect: tuple[Member, ...] = ()  # by the load balancer's confirmation

    def scale(self, kind: Kind, count: int) -> None:
        """Set the wanted number of members of that kind."""
        self._wanted[kind] = count

    def wanted(self, kind: Kind) -> int:
        """Return the wanted number of members of that kind."""
        return self._wanted[kind]

    def phase(self, member: Member) -> Phase | None:
        """Return the member's phase; None if there is no such member."""
        state = self._states.get(member)
        return state.phase if state else None

    def members(self) -> tuple[Member, ...]:
        """Return every member in order, those that wait for a restart included."""
        return tuple(sorted(self._states))

    def phases(self) -> dict[str, str]:
        """Return each member's phase by name, in order."""
        return {member.name: self._states[member].phase.value for member in sorted(self._states)}

    def settled(self) -> bool:
        """Return whether every wanted member is ready and routed, and no other member is left."""
        present = {member for member, state in self._states.items() if state.phase is Phase.READY and state.routed}
        return present == self._wanted_members() == set(self._states) and self._in_effect == self._routed

    def empty(self) -> bool:
        """Return whether no member is left."""
        return not self._states

    def mark_routed(self, members: tuple[Member, ...]) -> None:
        """Record that the load balancer sends requests to exactly these members."""
        self._in_effect = members

    def mark_ready(self, member: Member, now_s: float) -> None:
        """Record that the member answered that it is ready."""
        state = self._states.get(member)
        if state is None:
            return
        state.alive_s = now_s
        if state.phase is Phase.STARTING:
            state.phase, state.since_s = Phase.READY, now_s

    def mark_alive(self, member: Member, now_s: float) -> None:
        """Record that the member answered, ready or not."""
        state = self._states.get(member)
        if state is not None:
            state.alive_s = now_s

    def mark_exited(self, member: Member, now_s: float) -> None:
        """Record that the member's process has ended, or could not be started."""
        state = self._states.get(member)
        if state is None:
            return
        if state.phase is Phase.DRAINING or member not in self._wanted_members():
            del self._states[member]
            return
        if state.phase is Phase.READY and now_s - state.since_s >= self.timeouts.stable_s:
            state.failures = 0
        wait_s = min(self.timeouts.first_backoff_s * 2**state.failures, self.timeouts.max_backoff_s)
        state.failures += 1
        state.phase, state.since_s, state.retry_at_s = Phase.WAITING, now_s, now_s + wait_s
        state.killed = False

    def decide(self, now_s: float) -> list[Action]:
        """Return the actions that are due now, in this order: start, route, stop, kill."""
        starts = self._starts(now_s)
        routes = self._route()
        return [*starts, *routes, *self._stops(now_s), *self._kills(now_s)]

    def _wanted_members(self) -> set[Member]:
        return {Member(kind, number) for kind, count in self._wanted.items() for number in range(1, count + 1)}

    def _starts(self, now_s: float) -> list[Action]:
        for member in self._wanted_members() - set(self._states):
            self._states[member] = _State(Phase.WAITING, now_s, now_s, retry_at_s=now_s)
        due = [
            member
            for member in sorted(self._states)
            if self._states[member].phase is Phase.WAITING and self._states[member].retry_at_s <= now_s
        ]
        actions: list[Action] = []
        for member in due:
            if member not in self._wanted_members():
                continue
            state = self._states[member]
            state.phase, state.since_s, state.alive_s = Phase.STARTING, now_s, now_s
            actions.append(Start(member))
        return actions

    def _route(self) -> list[Action]:
        targets = self._wanted_members()
        for member, state in self._states.items():
            state.routed = member in targets and (state.routed or state.phase is Phase.READY)
        # No client of the load balancer speaks to Redis.
        routed = tuple(each for each in sorted(self._states) if self._states[each].routed and each.kind != "redis")
        # Without any worker the load balancer keeps its list: it answers "busy" by itself when none can be reached.
        if routed == self._routed or not any(member.kind == "worker" for member in routed):
            return []
        self._routed = routed
        return [Route(routed)]

    def _stops(self, now_s: float) -> list[Action]:
        actions: list[Action] = []
        for member in sorted(set(self._states) - self._wanted_members()):
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
            reason = self._kill_reason(member, state, now_s)
            if reason and not state.killed:
                state.killed = True
                actions.append(Kill(member, reason))
        return actions

    def _kill_reason(self, member: Member, state: _State, now_s: float) -> str:
        """Return which time limit the member has passed; "" if none."""
        if state.phase is Phase.STARTING and now_s - state.since_s >= self.timeouts.start_timeout_s:
            return f"not ready after {self.timeouts.start_timeout_s:g} s"
        if state.phase is Phase.READY and now_s - state.alive_s >= self.timeouts.hang_s:
            return f"no answer for {self.timeouts.hang_s:g} s"
        grace_s = self.timeouts.grace_s(member.kind)
        if state.phase is Phase.DRAINING and now_s - state.since_s >= grace_s:
            return f"not drained after {grace_s:g} s"
        return ""
