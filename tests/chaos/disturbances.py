"""When which fault disturbed the cluster, and what that explains to a client. Pure: time is an argument."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

MARGIN_S = 3.0  # a client may notice a broken connection this long after the cluster has recovered

# A request is sent again by nginx if its worker dies, so only nginx itself may break it.
BREAK_REQUESTS = frozenset({"nginx"})
# A response that has begun cannot be moved to another worker.
BREAK_BEGUN_RESPONSES = frozenset({"nginx", "worker", "workers"})
BREAK_LIVE_STREAMS = frozenset({"nginx", "gateway"})


@dataclass(slots=True)
class Disturbance:
    """One fault, from its start until the cluster had recovered.

    Attributes:
        role: what was hit: worker, workers (all of them), gateway, collector, redis, nginx, mtail.
        action: kill (SIGKILL) or stop (SIGSTOP, later SIGCONT).
        victim: the name of the process.
        began_s: when the signal was sent.
        released_s: when SIGCONT was sent; for a kill the same as `began_s`.
        recovered_s: when everything worked again; None until then.
    """

    role: str
    action: str
    victim: str
    began_s: float
    released_s: float
    recovered_s: float | None = None

    @property
    def name(self) -> str:
        """The row of the report that counts it."""
        return f"{self.role} {self.action}"

    @property
    def recovery_s(self) -> float | None:
        """Seconds until everything worked again; None if it never did."""
        return None if self.recovered_s is None else self.recovered_s - self.released_s


@dataclass(slots=True)
class Disturbances:
    """All faults so far."""

    all: list[Disturbance] = field(default_factory=list)

    def explain(self, roles: Collection[str], began_s: float, ended_s: float) -> bool:
        """Was a process of these roles killed at some time between these, or not long before?"""
        return any(
            each.role in roles
            and each.action == "kill"
            and each.began_s <= ended_s
            and (each.recovered_s is None or began_s <= each.recovered_s + MARGIN_S)
            for each in self.all
        )

    def killed(self, role: str, began_s: float, ended_s: float) -> bool:
        """Was a process of that role killed between these times?"""
        return any(
            each.role == role and each.action == "kill" and began_s <= each.began_s <= ended_s for each in self.all
        )
