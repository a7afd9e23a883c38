from __future__ import annotations

from typing import Any

import pytest

from tests.helm.chart import CI, NAMESPACE, Object, of_kind, rendered, rendering
from tests.helm.test_selectors import labels_of_pods

MONITORING = {"kubernetes.io/metadata.name": "monitoring"}
ELSEWHERE = {"kubernetes.io/metadata.name": "elsewhere"}
INTERNET = "internet"
PORTS = {"worker": 8000, "gateway": 9090, "balancer": 8083, "collector": 8001}
# Who asks whom: everything that the product needs, besides name servers, Redis, PostgreSQL and the model hub.
NEEDED = {
    ("balancer", "worker"),
    ("balancer", "gateway"),
    ("balancer", "collector"),
    ("gateway", "balancer"),
    ("test", "balancer"),
}


def policies_of(found: list[Object], labels: dict[str, str]) -> list[dict[str, Any]]:
    """Return the policies that select a pod."""
    return [
        each["spec"]
        for each in of_kind(found, "NetworkPolicy")
        if each["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    ]


def matches(peer: dict[str, Any], labels: dict[str, str], namespace: dict[str, str]) -> bool:
    """Is a pod with these labels in a namespace with these labels a peer of a rule?"""
    if "ipBlock" in peer:
        return False
    wanted: dict[str, str] = peer.get("podSelector", {}).get("matchLabels", {})
    if "namespaceSelector" in peer:
        spaces: dict[str, str] = peer["namespaceSelector"].get("matchLabels", {})
        return wanted.items() <= labels.items() and spaces.items() <= namespace.items()
    return namespace["kubernetes.io/metadata.name"] == NAMESPACE and wanted.items() <= labels.items()


def allows(
    rules: list[dict[str, Any]], side: str, port: int, peer: tuple[dict[str, str], dict[str, str]] | str
) -> bool:
    """Does one of the rules allow this port with this peer? `internet` is a peer outside the cluster."""
    for rule in rules:
        ports = [each["port"] for each in rule.get("ports", [])]
        if ports and port not in ports:
            continue
        peers = rule.get(side, [])
        if not peers or (peer != INTERNET and any(matches(each, *peer) for each in peers)):
            return True
    return False


def component(labels: dict[str, str]) -> str:
    """Return the component of a pod."""
    return labels["app.kubernetes.io/component"]


def reaches(found: list[Object], source: dict[str, str], target: dict[str, str], port: int) -> bool:
    """May a pod of the release open a connection to another one?"""
    inside = {"kubernetes.io/metadata.name": NAMESPACE}
    out = all(allows(policy["egress"], "to", port, (target, inside)) for policy in policies_of(found, source))
    into = all(allows(policy["ingress"], "from", port, (source, inside)) for policy in policies_of(found, target))
    return out and into


def leaves(found: list[Object], source: dict[str, str], port: int) -> bool:
    """May a pod of the release open a connection to a port outside the cluster?"""
    return all(allows(policy["egress"], "to", port, INTERNET) for policy in policies_of(found, source))


def by_component(found: list[Object]) -> dict[str, dict[str, str]]:
    """Return the labels of the pods of each component."""
    return {component(labels): labels for labels in labels_of_pods(found).values()}


@pytest.mark.parametrize("ci", CI)
def test_every_server_has_one_policy_for_both_directions(ci):
    """Each Deployment's pods are selected by exactly one policy, which names what comes in and what goes out."""
    found = rendering(ci)
    for name, labels in by_component(found).items():
        if name != "test":
            (policy,) = policies_of(found, labels)
            assert sorted(policy["policyTypes"]) == ["Egress", "Ingress"]


@pytest.mark.parametrize("ci", CI)
def test_components_reach_whom_they_need_and_nobody_else(ci):
    """Nginx the workers, gateways and collectors; the gateways nginx, not the workers; the workers nobody."""
    found = rendering(ci)
    pods = by_component(found)
    for source in pods:
        for target, port in PORTS.items():
            if target in pods and source != target:
                expected = (source, target) in NEEDED
                # The test is of the release and has no policy, but who may ask nginx is up to the values.
                assert reaches(found, pods[source], pods[target], port) == expected, (source, target)


@pytest.mark.parametrize("ci", CI)
def test_a_worker_has_no_way_out_unless_it_downloads(ci):
    """Workers decode files of strangers: no address outside, no name server; with `download` HTTPS and names."""
    found = rendering(ci)
    worker = by_component(found)["worker"]
    (policy,) = policies_of(found, worker)
    out = {port for port in (53, 80, 443, 5432, 6379, 4318, 6443, 22) if leaves(found, worker, port)}
    downloads = ci not in {"airgapped", "imagevolume", "pvc"}
    traces = {4318} if ci == "monitoring" else set()
    assert out == ({53, 443} if downloads else set()) | traces
    if not downloads:
        assert policy["egress"] == []


def test_keys_that_are_counted_in_redis_let_workers_reach_it():
    """And nothing else: limits by key that all workers share are counted there."""
    given = {"apiKeys": {"fileSecret": {"name": "limits"}, "existingSecret": "keys"}, "redis": {"existingSecret": "r"}}
    found = rendered(given, "airgapped")
    worker = by_component(found)["worker"]
    assert {port for port in (53, 80, 443, 5432, 6379) if leaves(found, worker, port)} == {53, 6379}


@pytest.mark.parametrize("ci", CI)
def test_metrics_are_read_from_the_monitoring_namespace_only(ci):
    """Prometheus asks the pods; pods of other namespaces get nothing but nginx."""
    found = rendering(ci)
    pods = by_component(found)
    for name, port in (PORTS | {"balancer": 3903}).items():
        if name in pods:
            (policy,) = policies_of(found, pods[name])
            assert allows(policy["ingress"], "from", port, ({}, MONITORING)), name
            assert not allows(policy["ingress"], "from", port, ({}, ELSEWHERE)), name


def test_who_may_ask_nginx_can_be_chosen():
    """Everybody by default; with `networkPolicy.allowFrom` those, the gateways and the test."""
    for ci, expected in (("cpu", True), ("airgapped", False)):
        (policy,) = policies_of(rendering(ci), by_component(rendering(ci))["balancer"])
        assert allows(policy["ingress"], "from", 8083, ({}, ELSEWHERE)) is expected
    assert allows(policy["ingress"], "from", 8083, ({}, {"kubernetes.io/metadata.name": "applications"}))


def test_policies_can_be_left_out():
    """For a cluster that does not enforce them, or has its own."""
    assert of_kind(rendered({"networkPolicy": {"enabled": False}}), "NetworkPolicy") == []
