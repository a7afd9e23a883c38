"""Which fault comes next. Pure: time and chance are arguments.

Every kind of fault comes once before one comes again. Memory can be judged only over a long life, so a run of
`LONG_MINUTES` or more spares some processes after its first third: worker 2, gateway 2, the collector and Redis are
then frozen, but no longer killed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

LONG_MINUTES = 10.0
KILLED_SHARE = 1 / 3  # of a long run in which every process may be killed
SHORTEST_STOP_S, LONGEST_STOP_S = 1.0, 5.0
SHORTEST_GAP_S, LONGEST_GAP_S = 1.0, 4.0
LONG_GAP_FACTOR = 4.0  # in a long run the cluster works most of the time
FIRST_FAULT_S = 8.0
QUIET_END_S = 15.0  # without new faults, so that the last one is over before the end

Role = Literal["worker", "workers", "gateway", "collector", "redis", "nginx", "mtail"]
Action = Literal["kill", "stop"]
SPARED_ROLES = frozenset({"collector", "redis", "workers"})
PAIRED_ROLES = frozenset({"worker", "gateway"})


@dataclass(frozen=True, slots=True)
class Fault:
    """What is done to which process.

    Attributes:
        member: number of the worker or gateway; for nginx 0 is the master, 1 the first of its workers.
        stop_s: how long it is frozen; 0 for a kill.
        wait_s: how long to wait after the cluster has recovered, before the next fault.
    """

    role: Role
    action: Action
    member: int
    stop_s: float
    wait_s: float


KINDS: tuple[tuple[Role, Action], ...] = (
    ("worker", "kill"),
    ("gateway", "kill"),
    ("collector", "kill"),
    ("redis", "kill"),
    ("nginx", "kill"),
    ("workers", "kill"),
    ("mtail", "kill"),
    ("worker", "stop"),
    ("gateway", "stop"),
    ("collector", "stop"),
    ("redis", "stop"),
    ("nginx", "stop"),
)


class Plan:
    """An endless sequence of faults."""

    def __init__(self, minutes: float, roles: frozenset[str], dice: random.Random) -> None:
        """`roles` are those that this cluster has; `workers` is one of them."""
        self._minutes = minutes
        self._roles = roles
        self._dice = dice
        self._deck: Iterator[tuple[Role, Action]] = iter(())

    def next(self, elapsed_s: float) -> Fault:
        """Return the next fault, `elapsed_s` after the start of the run."""
        long = self._minutes >= LONG_MINUTES
        spare = long and elapsed_s > self._minutes * 60 * KILLED_SHARE
        while True:
            role, action = self._draw()
            if not (spare and action == "kill" and role in SPARED_ROLES):
                break
        return Fault(
            role=role,
            action=action,
            member=self._member(role, action, spare=spare),
            stop_s=self._dice.uniform(SHORTEST_STOP_S, LONGEST_STOP_S) if action == "stop" else 0.0,
            wait_s=self._dice.uniform(SHORTEST_GAP_S, LONGEST_GAP_S) * (LONG_GAP_FACTOR if long else 1.0),
        )

    def _draw(self) -> tuple[Role, Action]:
        drawn = next(self._deck, None)
        if drawn is None:
            kinds = [kind for kind in KINDS if kind[0] in self._roles]
            self._dice.shuffle(kinds)
            self._deck = iter(kinds)
            drawn = next(self._deck)
        return drawn

    def _member(self, role: Role, action: Action, *, spare: bool) -> int:
        if role == "nginx":
            # A frozen master freezes nobody: only its workers have connections.
            return 1 if action == "stop" else self._dice.choice((0, 1))
        if role in PAIRED_ROLES and not (spare and action == "kill"):
            return self._dice.choice((1, 2))
        return 1
