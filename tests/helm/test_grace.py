from __future__ import annotations

from typing import Any

import pytest

from tests.helm.chart import CI, Object, environment, named, of_kind, rendered, rendering

SPARE_S = 5
"""Seconds between the end of a process's own patience and SIGKILL, at least."""

# Whole numbers, fractions, text, zero, and none: what people write into values.
GRACES: list[tuple[dict[str, Any], float]] = [
    ({}, 60),
    ({"SHUTDOWN_GRACE_S": 0}, 0),
    ({"SHUTDOWN_GRACE_S": 600}, 600),
    ({"SHUTDOWN_GRACE_S": "600"}, 600),
    ({"SHUTDOWN_GRACE_S": 86400}, 86400),
    ({"SHUTDOWN_GRACE_S": ""}, 60),
]
DRAINS: list[tuple[dict[str, Any], float]] = [
    ({}, 25),
    ({"DRAIN_GRACE_S": 0}, 0),
    ({"DRAIN_GRACE_S": 37.5}, 37.5),
    ({"DRAIN_GRACE_S": "120.25"}, 120.25),
    ({"DRAIN_GRACE_S": 1000000}, 1000000),
    ({"DRAIN_GRACE_S": ""}, 25),
]


def pod_of(found: list[Object], component: str) -> Object:
    """Return the specification of a component's pod."""
    pod: Object = named(found, "Deployment", component)["spec"]["template"]["spec"]
    return pod


def pre_stop_s(pod: Object) -> int:
    """Return how long the main container sleeps before its signal."""
    seconds: int = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    return seconds


@pytest.mark.parametrize("pre_stop", [1, 10, 30])
@pytest.mark.parametrize(("settings", "grace_s"), GRACES, ids=str)
def test_a_worker_may_finish_what_it_has(settings, grace_s, pre_stop):
    """The pod has the sleep, the worker's own grace and a few seconds, whatever the values say."""
    found = rendered({"settings": settings, "worker": {"preStopSeconds": pre_stop}}, "mig")
    pod = pod_of(found, "worker")
    assert pre_stop_s(pod) == pre_stop
    assert pod["terminationGracePeriodSeconds"] >= grace_s + pre_stop + SPARE_S
    # nginx waits for the same requests.
    balancer = pod_of(found, "balancer")
    assert balancer["terminationGracePeriodSeconds"] >= grace_s + pre_stop_s(balancer) + SPARE_S


@pytest.mark.parametrize("pre_stop", [1, 20])
@pytest.mark.parametrize(("settings", "grace_s"), DRAINS, ids=str)
def test_a_gateway_may_finish_its_streams(settings, grace_s, pre_stop):
    """As the worker, with DRAIN_GRACE_S, which may be a fraction."""
    pod = pod_of(rendered({"gateway": {"settings": settings, "preStopSeconds": pre_stop}}), "gateway")
    assert pre_stop_s(pod) == pre_stop
    assert pod["terminationGracePeriodSeconds"] >= grace_s + pre_stop + SPARE_S


@pytest.mark.parametrize("ci", CI)
def test_every_server_sleeps_before_it_stops(ci):
    """Longer than nginx and the endpoints need to forget a pod; SIGTERM reaches the process itself, not a shell."""
    for each in of_kind(rendering(ci), "Deployment"):
        pod = each["spec"]["template"]["spec"]
        assert 3 <= pre_stop_s(pod) <= pod["terminationGracePeriodSeconds"] - SPARE_S, each["metadata"]["name"]
        command = pod["containers"][0]["command"]
        assert command[0] == "python" or "\nexec nginx " in command[-1], each["metadata"]["name"]


@pytest.mark.parametrize("ci", CI)
def test_nginx_and_the_worker_know_the_same_grace(ci):
    """Nginx keeps connections to a worker that drains for as long as the worker does."""
    found = rendering(ci)
    worker = environment(found, "worker").get("SHUTDOWN_GRACE_S", "60")
    assert environment(found, "balancer")["SHUTDOWN_GRACE_S"] == worker


@pytest.mark.parametrize("ci", CI)
def test_a_slow_start_is_not_killed(ci):
    """A model has 20 minutes to come and load; then a hanging process is replaced within two minutes."""
    probes = pod_of(rendering(ci), "worker")["containers"][0]
    assert probes["startupProbe"]["httpGet"]["path"] == "/health/ready"
    assert probes["startupProbe"]["periodSeconds"] * probes["startupProbe"]["failureThreshold"] >= 1200
    assert probes["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert probes["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert 30 <= probes["livenessProbe"]["periodSeconds"] * probes["livenessProbe"]["failureThreshold"] <= 120


@pytest.mark.parametrize("ci", CI)
def test_a_draining_gateway_lives(ci):
    """Its /health is 503 while it drains, so only readiness asks it; liveness asks for a connection."""
    probes = pod_of(rendering(ci), "gateway")["containers"][0]
    assert "tcpSocket" in probes["livenessProbe"]
    assert probes["readinessProbe"]["httpGet"]["path"] == "/health"


@pytest.mark.parametrize("ci", CI)
def test_roll_outs_fit_the_device(ci):
    """One more pod while the old one serves; a GPU node has no device for that, so one pod less."""
    found = rendering(ci)
    cuda = environment(found, "worker")["DEVICE"] == "cuda"
    for each in of_kind(found, "Deployment"):
        strategy = each["spec"]["strategy"]
        if each["metadata"]["name"] == "stt-collector" and strategy["type"] == "Recreate":
            assert ci == "collector-sqlite"
        else:
            surge = not (cuda and each["metadata"]["name"] == "stt-worker")
            assert strategy["rollingUpdate"] == {"maxSurge": int(surge), "maxUnavailable": int(not surge)}
