from __future__ import annotations

from app.cluster.reconciler import Action, Kill, Member, Phase, Reconciler, Route, Start, Stop, SupervisorTimeouts

ONE, TWO, THREE = (Member("worker", number) for number in (1, 2, 3))


def running(count: int, *, policy: SupervisorTimeouts | None = None) -> Reconciler:
    """Return a plan whose workers are all ready and routed at time 0."""
    plan = Reconciler(policy or SupervisorTimeouts())
    plan.scale("worker", count)
    plan.decide(0.0)
    for number in range(1, count + 1):
        plan.saw_ready(Member("worker", number), 0.0)
    assert step(plan, 0.0)
    return plan


def step(plan: Reconciler, now_s: float) -> list[Action]:
    """Decide, and let a routing take effect at once."""
    actions = plan.decide(now_s)
    for action in actions:
        if isinstance(action, Route):
            plan.saw_routed(action.members)
    return actions


def test_every_wanted_worker_is_started_once():
    """The first decision starts all; the next one, with nothing new, does nothing."""
    plan = Reconciler()
    plan.scale("worker", 2)
    assert plan.decide(0.0) == [Start(ONE), Start(TWO)]
    assert plan.decide(0.1) == []


def test_a_worker_is_routed_when_it_is_ready():
    """The balancer hears of a worker only once it answered that it is ready, and of all that are."""
    plan = Reconciler()
    plan.scale("worker", 2)
    plan.decide(0.0)
    plan.saw_alive(ONE, 1.0)
    assert plan.decide(1.0) == []
    plan.saw_ready(TWO, 2.0)
    assert plan.decide(2.0) == [Route((TWO,))]
    assert not plan.settled()
    plan.saw_ready(ONE, 3.0)
    assert plan.decide(3.0) == [Route((ONE, TWO))]
    assert not plan.settled(), "the balancer has not heard of it yet"
    plan.saw_routed((ONE, TWO))
    assert plan.settled()


def test_a_dead_worker_comes_back_after_the_backoff_and_stays_routed():
    """The first restart waits half a second; nginx is not reloaded, it skips who refuses the connection."""
    plan = running(2)
    plan.saw_exit(ONE, 10.0)
    assert plan.phase(ONE) is Phase.WAITING
    assert plan.decide(10.4) == []
    assert plan.decide(10.5) == [Start(ONE)]
    plan.saw_ready(ONE, 12.0)
    assert plan.decide(12.0) == []
    assert plan.settled()


def test_the_backoff_doubles_up_to_its_bound():
    """A worker that dies again and again is started ever more rarely, at least every 30 s."""
    plan = running(1)
    now_s, waits_s = 10.0, []
    for _ in range(9):
        plan.saw_exit(ONE, now_s)
        died_s = now_s
        while not plan.decide(now_s):
            now_s += 0.25
        waits_s.append(now_s - died_s)
    assert waits_s == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_a_stable_worker_starts_again_with_the_first_backoff():
    """Old failures are forgiven after a minute of service."""
    plan = running(1)
    plan.saw_exit(ONE, 1.0)
    plan.decide(1.5)
    plan.saw_ready(ONE, 2.0)
    plan.saw_exit(ONE, 62.0)
    assert plan.decide(62.5) == [Start(ONE)]


def test_scaling_up_starts_only_the_new_ones():
    """Running workers are left alone."""
    plan = running(1)
    plan.scale("worker", 3)
    assert plan.decide(5.0) == [Start(TWO), Start(THREE)]
    assert not plan.settled()


def test_scaling_down_unroutes_before_it_stops():
    """The balancer forgets a worker first, so that its drain refuses nobody."""
    plan = running(3)
    plan.scale("worker", 1)
    assert step(plan, 5.0) == [Route((ONE,)), Stop(TWO), Stop(THREE)]
    assert plan.decide(5.1) == []
    assert not plan.settled()
    plan.saw_exit(TWO, 6.0)
    plan.saw_exit(THREE, 6.0)
    assert plan.settled()
    assert plan.decide(6.0) == []


def test_a_drained_place_can_be_wanted_again():
    """Scaling up while the old process still drains starts a new one after it has gone."""
    plan = running(2)
    plan.scale("worker", 1)
    plan.decide(5.0)
    plan.scale("worker", 2)
    assert plan.decide(6.0) == []
    plan.saw_exit(TWO, 7.0)
    assert plan.decide(7.0) == [Start(TWO)]


def test_a_worker_waiting_for_its_restart_is_simply_forgotten():
    """Scaling down a dead worker has nothing to stop."""
    plan = running(2)
    plan.saw_exit(TWO, 5.0)
    plan.scale("worker", 1)
    assert step(plan, 5.1) == [Route((ONE,))]
    assert plan.settled()


def test_a_worker_that_never_gets_ready_is_killed_once():
    """The start has a bound, and the kill is ordered once, not with every tick."""
    plan = Reconciler(SupervisorTimeouts(start_timeout_s=100.0))
    plan.scale("worker", 1)
    plan.decide(0.0)
    assert plan.decide(99.0) == []
    assert plan.decide(100.0) == [Kill(ONE, "not ready after 100 s")]
    assert plan.decide(101.0) == []


def test_a_hung_worker_is_killed_and_restarted():
    """A ready worker that stops answering is killed after the patience, and restarted like a dead one."""
    plan = running(1, policy=SupervisorTimeouts(hang_s=30.0))
    plan.saw_alive(ONE, 20.0)
    assert plan.decide(49.0) == []
    assert plan.decide(50.0) == [Kill(ONE, "no answer for 30 s")]
    plan.saw_exit(ONE, 50.1)
    assert plan.decide(50.6) == [Start(ONE)]
    assert plan.decide(90.0) == []


def test_a_worker_that_does_not_drain_is_killed():
    """The grace period bounds a drain."""
    plan = running(2, policy=SupervisorTimeouts(worker_grace_s=60.0))
    plan.scale("worker", 1)
    plan.decide(0.0)
    plan.saw_alive(ONE, 59.0)
    assert plan.decide(60.0) == [Kill(TWO, "not drained after 60 s")]


def test_the_last_worker_is_never_unrouted():
    """An upstream without servers is no configuration: nginx keeps the last list and answers busy."""
    plan = running(1)
    plan.scale("worker", 0)
    assert plan.decide(1.0) == [Stop(ONE)]
    plan.saw_exit(ONE, 2.0)
    assert plan.empty()


def test_gateways_are_counted_apart_from_workers():
    """Both kinds are routed together and numbered on their own."""
    plan = running(1)
    plan.scale("gateway", 1)
    gateway = Member("gateway", 1)
    assert plan.decide(1.0) == [Start(gateway)]
    plan.saw_ready(gateway, 2.0)
    assert plan.decide(2.0) == [Route((gateway, ONE))]
    assert plan.phases() == {"gateway-1": "ready", "worker-1": "ready"}


def test_news_of_unknown_members_changes_nothing():
    """A late answer of a process that is gone is ignored."""
    plan = running(1)
    plan.saw_ready(THREE, 1.0)
    plan.saw_alive(THREE, 1.0)
    plan.saw_exit(THREE, 1.0)
    assert plan.decide(1.0) == []
    assert plan.settled()


def test_each_kind_has_its_own_time_to_drain():
    """A gateway with last words to deliver is not killed by the workers' short grace, nor the other way round."""
    plan = running(1, policy=SupervisorTimeouts(worker_grace_s=9.0, gateway_grace_s=30.0))
    gateway = Member("gateway", 1)
    plan.scale("gateway", 1)
    step(plan, 0.0)
    plan.saw_ready(gateway, 0.0)
    step(plan, 0.0)
    plan.scale("gateway", 0)
    plan.scale("worker", 0)
    assert set(step(plan, 1.0)) >= {Stop(gateway), Stop(ONE)}
    assert step(plan, 10.0) == [Kill(ONE, "not drained after 9 s")]
    assert step(plan, 30.9) == []
    assert step(plan, 31.0) == [Kill(gateway, "not drained after 30 s")]
