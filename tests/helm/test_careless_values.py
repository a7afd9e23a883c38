from __future__ import annotations

from typing import Any

import pytest

from tests.helm.chart import Refused, environment, manifest, named, of_kind, rendered, values

ROUTE = {"enabled": True, "parentRefs": [{"name": "public"}]}

# What people write, which a validator of the rendered objects would take, and words of the sentence that refuses it.
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"image": {"repository": "registry.example/speech-to-text:0.1.0"}}, "/image/repository"),
    ({"image": {"repository": "https://registry.example/speech-to-text"}}, "/image/repository"),
    ({"image": {"tag": "a b"}}, "/image/tag"),
    ({"balancer": {"image": ""}}, "/balancer/image"),
    ({"balancer": {"image": None}}, "missing property 'image'"),
    ({"balancer": {"mtail": {"repository": "registry.example/mtail:1"}}}, "/balancer/mtail/repository"),
    ({"balancer": {"realIpFrom": ["10.0.0.0/99"]}}, "/balancer/realIpFrom/0"),
    ({"balancer": {"realIpFrom": ["fd00::/129"]}}, "/balancer/realIpFrom/0"),
    ({"balancer": {"clusterDomain": "cluster.local."}}, "/balancer/clusterDomain"),
    ({"worker": None}, "missing property 'worker'"),
    ({"settings": None}, "missing property 'settings'"),
    ({"gateway": {"settings": None}}, "missing property 'settings'"),
    ({"worker": {"extraEnv": [{"name": "A B", "value": "1"}]}}, "/worker/extraEnv/0/name"),
    ({"worker": {"podLabels": {"team": "speech and text"}}}, "/worker/podLabels/team"),
    ({"worker": {"nodeSelector": {"gpu": True}}}, "/worker/nodeSelector/gpu"),
    ({"httpRoute": ROUTE | {"hostnames": ["https://speech.example.org"]}}, "/httpRoute/hostnames/0"),
    ({"httpRoute": {"enabled": True, "parentRefs": [{"namespace": "gateways"}]}}, "missing property 'name'"),
    ({"ingress": {"enabled": True, "hosts": ["speech.example.org:443"]}}, "/ingress/hosts/0"),
    ({"ingress": {"enabled": True, "hosts": ["a.org"], "liveHosts": ["a.org"]}}, "host name of their own"),
    ({"httpRoute": ROUTE | {"hostnames": ["a.org"], "liveHostnames": ["a.org"]}}, "host name of their own"),
    (
        {"httpRoute": ROUTE | {"hostnames": ["a.org"], "liveHostnames": ["b.org"]}, "gateway": {"enabled": False}},
        "need gateway.enabled",
    ),
    (
        {"model": {"source": "pvc", "pvc": {"size": "5Gi", "accessModes": ["ReadOnlyMany"]}}},
        "cannot fill a claim that is ReadOnlyMany",
    ),
    (
        {"model": {"source": "pvc", "pvc": {"size": "5Gi", "accessModes": ["ReadWriteOncePod"]}}},
        "ReadWriteOncePod is for one pod",
    ),
    ({"service": {"externalTrafficPolicy": "local", "type": "LoadBalancer"}}, "/service/externalTrafficPolicy"),
    ({"service": {"externalTrafficPolicy": "Local"}}, "needs service.type=LoadBalancer or NodePort"),
    (
        {"monitoring": {"interval": "1m", "podMonitor": True}, "worker": {"autoscaling": {"enabled": True}}},
        "monitoring.interval=1m is too long",
    ),
    (
        {"monitoring": {"interval": "30s", "podMonitor": True}, "worker": {"autoscaling": {"enabled": True}}},
        "monitoring.interval=30s is too long",
    ),
]


@pytest.mark.parametrize(("given", "words"), WRONG, ids=[words for _, words in WRONG])
def test_values_that_a_cluster_would_refuse_are_refused_before(given, words):
    """Nothing is rendered, and a short message names the value."""
    with pytest.raises(Refused) as refused:
        rendered(given)
    message = str(refused.value)
    assert words in message
    assert "nil pointer" not in message
    assert len(message.splitlines()) <= 6, message


@pytest.mark.parametrize(
    "repository",
    ["speech-to-text", "registry.example/a/speech-to-text", "localhost:5000/speech-to-text", "r.example:443/a_b/c__d"],
)
def test_repositories_of_every_form_are_taken(repository):
    """With and without a registry, a port and folders."""
    found = rendered({"image": {"repository": repository}})
    container = named(found, "Deployment", "worker")["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == f"{repository}:0.1.0-cpu"


@pytest.mark.parametrize("network", ["10.0.0.0/8", "192.0.2.7", "fd00::/8", "::1", "2001:db8::1/128"])
def test_networks_of_both_kinds_are_taken(network):
    """With and without a prefix."""
    assert environment(rendered({"balancer": {"realIpFrom": [network]}}), "balancer")["NGINX_REAL_IP_FROM"] == network


@pytest.mark.parametrize(
    "arguments",
    [
        ["--set", "settings.MAX_UPLOAD_BYTES=2147483648"],
        ["--set-string", "settings.MAX_UPLOAD_BYTES=2147483648"],
        ["--set-json", 'settings={"MODEL_SIZE": "small", "MAX_UPLOAD_BYTES": 2147483648}'],
        ["--values", "-"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_large_numbers_stay_whole(arguments):
    """However they are given: Helm itself would write 2.147483648e+09, which neither nginx nor the worker reads."""
    given = '{"settings": {"MAX_UPLOAD_BYTES": 2147483648}, "balancer": {"spoolSize": 21474836480}}'
    text = manifest("--values", values("airgapped"), *arguments, stdin=given)
    assert text.count('"2147483648"') == 2
    assert "e+" not in text.partition("kind: Deployment")[2]


def test_a_default_label_can_be_removed():
    """Null removes GKE's missing label, as docs/kubernetes.md has it, though whole maps must not be null."""
    labels = {"nvidia.com/gpu.present": None, "cloud.google.com/gke-accelerator": "nvidia-l4"}
    found = rendered({"worker": {"gpu": {"nodeSelector": labels}}}, "cuda")
    pod = named(found, "Deployment", "worker")["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"cloud.google.com/gke-accelerator": "nvidia-l4"}


def test_a_load_balancer_may_show_the_addresses_of_clients():
    """Kubernetes' default shows nginx the addresses of nodes, and clients without a key share one limit."""
    assert "externalTrafficPolicy" not in rendered_service({"type": "LoadBalancer"})
    local = rendered_service({"type": "LoadBalancer", "externalTrafficPolicy": "Local"})
    assert local["externalTrafficPolicy"] == "Local"


def rendered_service(service: dict[str, Any]) -> dict[str, Any]:
    """Return the specification of the public Service."""
    (found,) = [
        each for each in of_kind(rendered({"service": service}), "Service") if each["metadata"]["name"] == "stt"
    ]
    specification: dict[str, Any] = found["spec"]
    return specification
