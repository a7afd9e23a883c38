from __future__ import annotations

from app.cluster.reconciler import Action, Kill, Member, Phase, Reconciler, Route, Start, Stop, SupervisorTimeouts

ONE, TWO, THREE = (Member("worker", number) for number in (1, 2, 3))


def running(count: int, *, timeouts: SupervisorTimeouts | None = None) -> Reconciler:
    """Return a reconciler whose workers are all ready and routed at time 0."""
    reconciler = Reconciler(timeouts or SupervisorTimeouts())
    reconciler.scale("worker", count)
    reconciler.decide(0.0)
    for number in range(1, count + 1):
        reconciler.mark_ready(Member("worker", number), 0.0)
    assert step(reconciler, 0.0)
    return reconciler


def step(reconciler: Reconciler, now_s: float) -> list[Action]:
    """Decide, and let routing take effect at once."""
    actions = reconciler.decide(now_s)
    for action in actions:
        if isinstance(action, Route):
            reconciler.mark_routed(action.members)
    return actions


def test_every_wanted_worker_is_started_once():
    """The first decision starts all; the next one, with nothing new, does nothing."""
    reconciler = Reconciler()
    reconciler.scale("worker", 2)
    assert reconciler.decide(0.0) == [Start(ONE), Start(TWO)]
    assert reconciler.decide(0.1) == []


def test_a_worker_is_routed_when_it_is_ready():
    """Requests go to a worker only once it answered that it is ready, and to every ready worker."""
    reconciler = Reconciler()
    reconciler.scale("worker", 2)
    reconciler.decide(0.0)
    reconciler.mark_alive(ONE, 1.0)
    assert reconciler.decide(1.0) == []
    reconciler.mark_ready(TWO, 2.0)
    assert reconciler.decide(2.0) == [Route((TWO,))]
    assert not reconciler.settled()
    reconciler.mark_ready(ONE, 3.0)
    assert reconciler.decide(3.0) == [Route((ONE, TWO))]
    assert not reconciler.settled(), "the load balancer has not confirmed it yet"
    reconciler.mark_routed((ONE, TWO))
    assert reconciler.settled()


def test_a_dead_worker_comes_back_after_the_backoff_and_stays_routed():
    """The first restart waits half a second; nginx is not reloaded, it skips a worker that refuses the connection."""
    reconciler = running(2)
    reconciler.mark_exited(ONE, 10.0)
    assert reconciler.phase(ONE) is Phase.WAITING
    assert reconciler.decide(10.4) == []
    assert reconciler.decide(10.5) == [Start(ONE)]
    reconciler.mark_ready(ONE, 12.0)
    assert reconciler.decide(12.0) == []
    assert reconciler.settled()


def test_the_backoff_doubles_up_to_its_limit():
    """A worker that keeps dying waits longer before each restart, and never more than 30 s."""
    reconciler = running(1)
    now_s, waits_s = 10.0, []
    for _ in range(9):
        reconciler.mark_exited(ONE, now_s)
        died_s = now_s
        while not reconciler.decide(now_s):
            now_s += 0.25
        waits_s.append(now_s - died_s)
    assert waits_s == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_a_stable_worker_starts_again_with_the_first_backoff():
    """After a minute of service earlier failures no longer count."""
    reconciler = running(1)
    reconciler.mark_exited(ONE, 1.0)
    reconciler.decide(1.5)
    reconciler.mark_ready(ONE, 2.0)
    reconciler.mark_exited(ONE, 62.0)
    assert reconciler.decide(62.5) == [Start(ONE)]


def test_scaling_up_starts_only_the_new_ones():
    """Running workers are not touched."""
    reconciler = running(1)
    reconciler.scale("worker", 3)
    assert reconciler.decide(5.0) == [Start(TWO), Start(THREE)]
    assert not reconciler.settled()


def test_scaling_down_unroutes_before_it_stops():
    """Requests stop going to a worker before it is asked to drain, so no client is refused."""
    reconciler = running(3)
    reconciler.scale("worker", 1)
    assert step(reconciler, 5.0) == [Route((ONE,)), Stop(TWO), Stop(THREE)]
    assert reconciler.decide(5.1) == []
    assert not reconciler.settled()
    reconciler.mark_exited(TWO, 6.0)
    reconciler.mark_exited(THREE, 6.0)
    assert reconciler.settled()
    assert reconciler.decide(6.0) == []


def test_a_member_can_be_wanted_again_while_it_drains():
    """Scaling up while the old process still drains starts a new one after the old one has ended."""
    reconciler = running(2)
    reconciler.scale("worker", 1)
    reconciler.decide(5.0)
    reconciler.scale("worker", 2)
    assert reconciler.decide(6.0) == []
    reconciler.mark_exited(TWO, 7.0)
    assert reconciler.decide(7.0) == [Start(TWO)]


def test_a_worker_waiting_for_its_restart_is_removed_at_once():
    """Scaling down a dead worker has nothing to stop."""
    reconciler = running(2)
    reconciler.mark_exited(TWO, 5.0)
    reconciler.scale("worker", 1)
    assert step(reconciler, 5.1) == [Route((ONE,))]
    assert reconciler.settled()


def test_a_worker_that_never_gets_ready_is_killed_once():
    """A start has a time limit, and the kill is ordered once, not with every tick."""
    reconciler = Reconciler(SupervisorTimeouts(start_timeout_s=100.0))
    reconciler.scale("worker", 1)
    reconciler.decide(0.0)
    assert reconciler.decide(99.0) == []
    assert reconciler.decide(100.0) == [Kill(ONE, "not ready after 100 s")]
    assert reconciler.decide(101.0) == []


def test_a_hung_worker_is_killed_and_restarted():
    """A ready worker that stops answering is killed after `hang_s` and restarted like a dead one."""
    reconciler = running(1, timeouts=SupervisorTimeouts(hang_s=30.0))
    reconciler.mark_alive(ONE, 20.0)
    assert reconciler.decide(49.0) == []
    assert reconciler.decide(50.0) == [Kill(ONE, "no answer for 30 s")]
    reconciler.mark_exited(ONE, 50.1)
    assert reconciler.decide(50.6) == [Start(ONE)]
    assert reconciler.decide(90.0) == []


def test_a_worker_that_does_not_drain_is_killed():
    """A drain that exceeds the grace period ends with a kill."""
    reconciler = running(2, timeouts=SupervisorTimeouts(worker_grace_s=60.0))
    reconciler.scale("worker", 1)
    reconciler.decide(0.0)
    reconciler.mark_alive(ONE, 59.0)
    assert reconciler.decide(60.0) == [Kill(TWO, "not drained after 60 s")]


def test_the_last_worker_is_never_unrouted():
    """Nginx refuses an upstream without servers: it keeps the last list and answers "busy"."""
    reconciler = running(1)
    reconciler.scale("worker", 0)
    assert reconciler.decide(1.0) == [Stop(ONE)]
    reconciler.mark_exited(ONE, 2.0)
    assert reconciler.empty()


def test_gateways_are_counted_apart_from_workers():
    """Both kinds are routed together and numbered separately."""
    reconciler = running(1)
    reconciler.scale("gateway", 1)
    gateway = Member("gateway", 1)
    assert reconciler.decide(1.0) == [Start(gateway)]
    reconciler.mark_ready(gateway, 2.0)
    assert reconciler.decide(2.0) == [Route((gateway, ONE))]
    assert reconciler.phases() == {"gateway-1": "ready", "worker-1": "ready"}


def test_redis_is_never_routed_and_a_collector_is():
    """Nothing that nginx serves is in Redis; it is ready before there is any worker to route to."""
    reconciler, redis, collector = Reconciler(), Member("redis", 1), Member("collector", 1)
    reconciler.scale("redis", 1)
    assert reconciler.decide(0.0) == [Start(redis)]
    assert not reconciler.settled()
    reconciler.mark_ready(redis, 1.0)
    assert reconciler.decide(1.0) == []
    assert reconciler.settled()
    reconciler.scale("worker", 1)
    reconciler.scale("collector", 1)
    assert reconciler.decide(2.0) == [Start(collector), Start(ONE)]
    reconciler.mark_ready(collector, 3.0)
    reconciler.mark_ready(ONE, 3.0)
    assert step(reconciler, 3.0) == [Route((collector, ONE))]
    assert reconciler.settled()


def test_reports_about_unknown_members_change_nothing():
    """A late answer of a process that has ended is ignored."""
    reconciler = running(1)
    reconciler.mark_ready(THREE, 1.0)
    reconciler.mark_alive(THREE, 1.0)
    reconciler.mark_exited(THREE, 1.0)
    assert reconciler.decide(1.0) == []
    assert reconciler.settled()


def test_each_kind_has_its_own_time_to_drain():
    """A gateway that still delivers text is not killed after the workers' shorter grace period, and vice versa."""
    reconciler = running(1, timeouts=SupervisorTimeouts(worker_grace_s=9.0, gateway_grace_s=30.0))
    gateway = Member("gateway", 1)
    reconciler.scale("gateway", 1)
    step(reconciler, 0.0)
    reconciler.mark_ready(gateway, 0.0)
    step(reconciler, 0.0)
    reconciler.scale("gateway", 0)
    reconciler.scale("worker", 0)
    assert set(step(reconciler, 1.0)) >= {Stop(gateway), Stop(ONE)}
    assert step(reconciler, 10.0) == [Kill(ONE, "not drained after 9 s")]
    assert step(reconciler, 30.9) == []
    assert step(reconciler, 31.0) == [Kill(gateway, "not drained after 30 s")]
    timeouts = SupervisorTimeouts(store_grace_s=7.0)
    assert (timeouts.grace_s("collector"), timeouts.grace_s("redis")) == (7.0, 7.0)
