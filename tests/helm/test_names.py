from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.helm.chart import Object, Refused, helm, objects, of_kind, rendered
from tools.kube.chart import CHART

LONG = "a-department-with-a-long-name-and-speech-to-text-2"  # 50 of Helm's 53 characters


def release(name: str, namespace: str = "speech", **given: Any) -> list[Object]:
    """Return the objects of a release of any name in any namespace, with everything that can be on."""
    everything: dict[str, Any] = {
        "image": {"repository": "registry.example/speech-to-text"},
        "redis": {"existingSecret": "redis"},
        "collector": {"enabled": True, "apiKeys": {"existingSecret": "collector"}},
        "model": {"source": "pvc", "pvc": {"size": "5Gi"}},
        "monitoring": {"podMonitor": True, "rules": True},
        "worker": {"autoscaling": {"enabled": True}},
    }
    text = helm(
        "template", name, CHART, "--namespace", namespace, "--values", "-", stdin=json.dumps(everything | given)
    )
    return objects(text)


def named_fields(part: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield everything in an object that is a name, a namespace, a label or a selector."""
    if isinstance(part, list):
        for number, each in enumerate(part):
            yield from named_fields(each, f"{path}[{number}]")
    elif isinstance(part, dict):
        for key, value in part.items():
            place = f"{path}.{key}"
            if key in {"labels", "matchLabels"}:
                yield from ((f"{place}.{name}", text) for name, text in value.items())
            elif key.endswith(("name", "Name", "namespace")) and not isinstance(value, dict):
                yield place, value
            else:
                yield from named_fields(value, place)


@pytest.mark.parametrize(("name", "namespace"), [("true", "123"), ("on", "null"), ("stt", "1e5"), (LONG, "0")])
def test_names_are_text(name, namespace):
    """Kubernetes allows a namespace `123` and Helm a release `true`: unquoted, YAML would read other types."""
    for each in release(name, namespace):
        wrong = [(path, value) for path, value in named_fields(each) if not isinstance(value, str)]
        assert wrong == [], each["kind"]


def test_secrets_of_any_name_are_references():
    """A Secret `123` with a key `1e5` is one that Kubernetes allows."""
    given = {"apiKeys": {"existingSecret": "123", "key": "1e5", "fileSecret": {"name": "456", "key": "0"}}}
    for each in of_kind(rendered(given), "Deployment"):
        wrong = [(path, value) for path, value in named_fields(each) if not isinstance(value, str)]
        assert wrong == []
        for container in each["spec"]["template"]["spec"]["containers"]:
            references = [entry["valueFrom"]["secretKeyRef"] for entry in container["env"] if "valueFrom" in entry
                          and "secretKeyRef" in entry["valueFrom"]]  # fmt: skip
            assert all(reference == {"name": "123", "key": "1e5"} for reference in references)


@pytest.mark.parametrize("name", ["1stt", "123", "my.stt"])
def test_a_release_whose_services_could_not_be_named_is_refused(name):
    """The API server would refuse the Services after it has created half of the release."""
    with pytest.raises(Refused, match=f"the release is called {name}"):
        release(name)


def test_long_names_fit():
    """Names of Services, Jobs and labels have 63 characters at most; Kubernetes itself shortens those of pods."""
    for each in release(LONG):
        name = each["metadata"]["name"]
        # The autoscaler that KEDA makes is called keda-hpa-<name>.
        extra = len("keda-hpa-") if each["kind"] == "ScaledObject" else 0
        assert len(name) + extra <= 63, (each["kind"], name)
        assert all(len(value) <= 63 for value in each["metadata"]["labels"].values())


def test_two_releases_share_no_object():
    """In one namespace: neither objects nor pods, also if the name of one begins with that of the other."""
    one, other = release("stt"), release("stt-2")
    assert not {(each["kind"], each["metadata"]["name"]) for each in one} & {
        (each["kind"], each["metadata"]["name"]) for each in other
    }
    labels = [each["spec"]["template"]["metadata"]["labels"] for each in of_kind(other, "Deployment", "Job")]
    for each in of_kind(one, "Service"):
        selector = each["spec"]["selector"].items()
        assert not any(selector <= pod.items() for pod in labels)


def test_metrics_tell_namespaces_apart():
    """Staging and production are both called `stt`: the alerts, which sum by cluster, must not mix them."""
    clusters = set()
    for namespace in ("staging", "production"):
        found = release("stt", namespace)
        seen = {
            rule["replacement"]
            for each in of_kind(found, "PodMonitor")
            for endpoint in each["spec"]["podMetricsEndpoints"]
            for rule in endpoint["relabelings"]
            if rule["targetLabel"] == "cluster"
        }
        (cluster,) = seen
        clusters.add(cluster)
        for each in of_kind(found, "ScaledObject"):
            assert f'cluster="{cluster}"' in each["spec"]["triggers"][0]["metadata"]["query"]
    assert clusters == {"staging/stt", "production/stt"}
