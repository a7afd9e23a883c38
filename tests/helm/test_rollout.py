from __future__ import annotations

import pytest

from tests.helm.chart import CI, environment, named, of_kind, rendering

DEFAULT_DEADLINE_S = 600
"""After which Kubernetes calls a Deployment failed that has made no progress, and `helm --wait` gives up."""

DNS_CACHE_S = 30
"""How long NodeLocal DNSCache and older kubeadm clusters answer with an address that is gone."""

RESEND_S = 5
"""When nginx asks a name server again that has not answered; it has no setting for that."""

RESOLVE_S = 5
"""How often nginx asks (NGINX_RESOLVE_S)."""


@pytest.mark.parametrize("ci", CI)
def test_a_deployment_is_not_called_failed_while_its_probe_waits(ci):
    """The deadline is longer than the startup probe allows, and than a model's Job or download takes."""
    for each in of_kind(rendering(ci), "Deployment"):
        deadline_s = each["spec"].get("progressDeadlineSeconds", DEFAULT_DEADLINE_S)
        pod = each["spec"]["template"]["spec"]
        for container in pod["containers"]:
            probe = container.get("startupProbe", {"periodSeconds": 0, "failureThreshold": 0})
            assert deadline_s > probe["periodSeconds"] * probe["failureThreshold"], each["metadata"]["name"]
        if each["metadata"]["name"] == "stt-worker":
            assert deadline_s >= 3600


@pytest.mark.parametrize("component", ["worker", "gateway"])
def test_nginx_forgets_a_pod_before_it_is_gone(component):
    """A pod without work ends at once: nginx would wait for the connection of each request that it sends there."""
    pod = named(rendering("cpu"), "Deployment", component)["spec"]["template"]["spec"]
    assert pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] >= DNS_CACHE_S + RESOLVE_S


@pytest.mark.parametrize("ci", CI)
def test_nginx_knows_the_pods_before_it_is_ready(ci):
    """Its first question to the name server may be lost, while the network of a new pod is set up."""
    (container,) = named(rendering(ci), "Deployment", "balancer")["spec"]["template"]["spec"]["containers"]
    assert container["readinessProbe"]["initialDelaySeconds"] > RESEND_S


def test_the_models_job_outlives_an_outage():
    """Nothing repeats a failed Job, so it tries for hours: after 10 s, then twice as long each time, up to 300 s."""
    (job,) = of_kind(rendering("pvc"), "Job")
    waits_s = [min(300, 10 * 2**attempt) for attempt in range(job["spec"]["backoffLimit"])]
    assert sum(waits_s) > 7200
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "OnFailure"


@pytest.mark.parametrize("ci", CI)
def test_nginx_has_a_few_processes(ci):
    """With `auto` it would start one for each CPU of the node, 192 on a large one."""
    assert environment(rendering(ci), "balancer")["NGINX_PROCESSES"] == "4"
