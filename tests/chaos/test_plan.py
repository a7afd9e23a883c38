from __future__ import annotations

import random

from tests.chaos.plan import KINDS, Plan
from tests.chaos.run import ROLES


def faults(minutes: float, count: int, *, elapsed_s: float = 0.0, seed: int = 1, roles: frozenset[str] = ROLES):
    """The first faults of a plan."""
    plan = Plan(minutes, roles, random.Random(seed))
    return [plan.next(elapsed_s) for _ in range(count)]


def test_each_kind_comes_once_before_one_comes_again():
    """Of a cluster without mtail it is never hit."""
    kinds = {kind for kind in KINDS if kind[0] != "mtail"}
    drawn = [(each.role, each.action) for each in faults(3, 2 * len(kinds))]
    assert set(drawn[: len(kinds)]) == set(drawn[len(kinds) :]) == kinds
    assert ("mtail", "kill") in {(each.role, each.action) for each in faults(3, 12, roles=ROLES | {"mtail"})}


def test_the_seed_decides():
    """The same one gives the same faults, another one others."""
    assert faults(3, 20) == faults(3, 20)
    assert faults(3, 20) != faults(3, 20, seed=2)


def test_only_stops_last():
    """A kill is over at once; a stop lasts one to five seconds."""
    for each in faults(3, 50):
        assert (1.0 <= each.stop_s <= 5.0) is (each.action == "stop")
        assert (each.stop_s == 0.0) is (each.action == "kill")


def test_a_long_run_spares_half_of_the_processes_after_its_first_third():
    """Workers and gateways with the number 2, the collector and Redis are frozen, but not killed any more."""
    late = faults(60, 200, elapsed_s=1201.0)
    killed = {(each.role, each.member) for each in late if each.action == "kill"}
    assert killed == {("worker", 1), ("gateway", 1), ("nginx", 0), ("nginx", 1)}
    assert {("worker", 2), ("gateway", 2), ("collector", 1), ("redis", 1)} <= {
        (each.role, each.member) for each in late if each.action == "stop"
    }
    early = {(each.role, each.member) for each in faults(60, 200) if each.action == "kill"}
    assert {("worker", 2), ("gateway", 2), ("collector", 1), ("redis", 1)} <= early
