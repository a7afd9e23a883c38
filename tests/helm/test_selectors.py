from __future__ import annotations

import pytest

from tests.helm.chart import CI, Object, named, of_kind, rendering


def labels_of_pods(found: list[Object]) -> dict[str, dict[str, str]]:
    """Return the labels of the pods of each Deployment and Job, and of a pod by itself, by kind and name."""
    labels = {}
    for each in of_kind(found, "Deployment", "Job"):
        labels[f"{each['kind']} {each['metadata']['name']}"] = each["spec"]["template"]["metadata"]["labels"]
    for each in of_kind(found, "Pod"):
        labels[f"Pod {each['metadata']['name']}"] = each["metadata"]["labels"]
    return labels


def selected(found: list[Object], selector: dict[str, str]) -> list[str]:
    """Return whose pods have all labels of a selector."""
    return [name for name, labels in labels_of_pods(found).items() if selector.items() <= labels.items()]


@pytest.mark.parametrize("ci", CI)
def test_a_deployment_selects_its_own_pods_only(ci):
    """No Deployment takes the pods of another one, of a Job or of the test for its own."""
    found = rendering(ci)
    for each in of_kind(found, "Deployment"):
        own = f"Deployment {each['metadata']['name']}"
        assert selected(found, each["spec"]["selector"]["matchLabels"]) == [own]


@pytest.mark.parametrize("ci", CI)
def test_every_service_leads_to_one_deployment(ci):
    """To the pods of one component, at ports that its container has by these names."""
    found = rendering(ci)
    for each in of_kind(found, "Service"):
        (target,) = selected(found, each["spec"]["selector"])
        deployment = named(found, "Deployment", target.removeprefix("Deployment stt-"))
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        for port in each["spec"]["ports"]:
            assert port["targetPort"] in ports, (each["metadata"]["name"], port)
            assert ports[port["targetPort"]] == port["port"]


@pytest.mark.parametrize("ci", CI)
def test_every_deployment_may_be_drained_one_pod_at_a_time(ci):
    """Each has a disruption budget of its own that lets one pod go, also the only one and one that is not ready."""
    found = rendering(ci)
    budgets = {}
    for each in of_kind(found, "PodDisruptionBudget"):
        (target,) = selected(found, each["spec"]["selector"]["matchLabels"])
        assert target not in budgets
        budgets[target] = each["spec"]
        assert each["spec"]["maxUnavailable"] == 1
        assert each["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert set(budgets) == {f"Deployment {each['metadata']['name']}" for each in of_kind(found, "Deployment")}


@pytest.mark.parametrize("ci", CI)
def test_pods_are_spread(ci):
    """Over nodes and zones, those of one version among themselves, and never so strictly that one waits."""
    for each in of_kind(rendering(ci), "Deployment"):
        constraints = each["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert {constraint["topologyKey"] for constraint in constraints} == {
            "kubernetes.io/hostname",
            "topology.kubernetes.io/zone",
        }
        for constraint in constraints:
            assert constraint["whenUnsatisfiable"] == "ScheduleAnyway"
            assert constraint["matchLabelKeys"] == ["pod-template-hash"]
            assert constraint["labelSelector"] == each["spec"]["selector"]


@pytest.mark.parametrize("ci", CI)
def test_monitors_find_each_component_once(ci):
    """Every component with metrics has one PodMonitor for each of its ports, with the jobs of the alerts."""
    found = rendering(ci)
    jobs = []
    for each in of_kind(found, "PodMonitor"):
        (target,) = selected(found, each["spec"]["selector"]["matchLabels"])
        pod = named(found, "Deployment", target.removeprefix("Deployment stt-"))["spec"]["template"]["spec"]
        containers = [*pod["containers"], *pod.get("initContainers", [])]
        ports = {port["name"] for container in containers for port in container.get("ports", [])}
        for endpoint in each["spec"]["podMetricsEndpoints"]:
            assert endpoint["port"] in ports
            replaced = {rule["targetLabel"]: rule["replacement"] for rule in endpoint["relabelings"]}
            assert replaced["cluster"] == "speech/stt"
            jobs.append(replaced["job"])
    if jobs:
        collector = ["stt-collector"] if ci.startswith("collector") else []
        assert sorted(jobs) == ["stt-balancer", *collector, "stt-gateway", "stt-worker"]
