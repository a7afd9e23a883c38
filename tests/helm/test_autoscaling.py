from __future__ import annotations

from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import generate_latest

from app.live.metrics import GatewayMetrics
from tests.helm.chart import CI, ROOT, named, of_kind, rendered, rendering
from tests.monitoring.known import of_mtail
from tests.monitoring.rules import selectors

RULES = ROOT / "deploy/monitoring/rules.yml"


def triggers(ci: str) -> dict[str, dict[str, str]]:
    """Return what KEDA asks Prometheus, by the Deployment that it scales."""
    scaled = of_kind(rendering(ci), "ScaledObject")
    return {each["spec"]["scaleTargetRef"]["name"]: each["spec"]["triggers"][0]["metadata"] for each in scaled}


async def test_every_query_of_keda_names_series_that_exist(open_worker):
    """Each query parses, and asks for series of workers, gateways or nginx of this release and no other."""
    worker = (await open_worker.client.get("/metrics")).text
    known = of_mtail()
    known.add(worker)
    known.add(generate_latest(GatewayMetrics().registry).decode())
    assert triggers("keda").keys() == {"stt-worker", "stt-gateway"}
    for name, trigger in triggers("keda").items():
        found = selectors(trigger["query"])
        assert found, name
        for each in found:
            assert each.metric in known.labels, (name, each.metric)
            matched = dict(each.labels)
            assert (matched["cluster"], matched["namespace"]) == ("speech/stt", "speech"), name


def test_workers_scale_on_what_is_offered():
    """On slots in use and what nginx refused: a worker that is full has no more slots in use to show."""
    asked = {each.metric for each in selectors(triggers("keda")["stt-worker"]["query"])}
    assert asked == {"whisper_slot_seconds_total", "lb_requests_total", "whisper_requests_total"}


def test_probes_do_not_shorten_the_time_in_a_slot():
    """It is the slots' time over the requests that held one: probes and scrapes end with `ok`, and hold none."""
    (asked,) = triggers("keda")["stt-worker"]["query"].split("whisper_requests_total{")[1:]
    assert {'endpoint=~"transcriptions|translations"', 'outcome="ok"'} <= set(asked.partition("}")[0].split(","))


def test_gateways_scale_on_their_streams():
    """Seven tenths of MAX_CLIENTS for each gateway."""
    assert triggers("keda")["stt-gateway"]["query"].startswith("sum(wsgw_sessions_active{")
    given = {"gateway": {"settings": {"MAX_CLIENTS": 40}}}
    scaled = named(rendered(given, "keda"), "ScaledObject", "gateway")
    assert float(scaled["spec"]["triggers"][0]["metadata"]["threshold"]) == pytest.approx(28)


def test_a_dead_prometheus_is_not_no_load():
    """KEDA keeps at least what runs when its query has no answer."""
    for each in of_kind(rendering("keda"), "ScaledObject"):
        assert each["spec"]["triggers"][0]["metadata"]["ignoreNullValues"] == "false"
        assert each["spec"]["triggers"][0]["metricType"] == "AverageValue"
        assert each["spec"]["fallback"]["behavior"] == "currentReplicasIfHigher"
        assert each["spec"]["fallback"]["replicas"] == each["spec"]["minReplicaCount"]


def test_it_grows_at_once_and_shrinks_slowly():
    """Twice as many after 15 s; one less a minute, after five quiet minutes."""
    for each in of_kind(rendering("keda"), "ScaledObject"):
        behavior = each["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        assert behavior["scaleUp"]["policies"] == [{"type": "Percent", "value": 100, "periodSeconds": 15}]
        assert behavior["scaleDown"]["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 60}]
        assert behavior["scaleDown"]["stabilizationWindowSeconds"] == 300


@pytest.mark.parametrize(
    ("given", "threshold"),
    [
        ({}, 5.6),
        ({"device": "cuda"}, 22.4),
        ({"settings": {"MAX_CONCURRENT_TRANSCRIPTIONS": 20}}, 14),
        ({"worker": {"autoscaling": {"targetUtilisation": 0.5}}}, 4),
    ],
    ids=str,
)
def test_the_threshold_is_a_share_of_a_workers_slots(given, threshold):
    """Seven tenths of the slots that the worker will have: 8 on CPUs, 32 on GPUs, or as set."""
    scaled = named(rendered(given, "keda"), "ScaledObject", "worker")
    assert float(scaled["spec"]["triggers"][0]["metadata"]["threshold"]) == pytest.approx(threshold)


def test_keda_alone_sets_the_number_of_pods():
    """A rendering without a cluster has no number; test_upgrade has one with a cluster."""
    for name in ("worker", "gateway"):
        assert "replicas" not in named(rendering("keda"), "Deployment", name)["spec"]
        assert named(rendering("cpu"), "Deployment", name)["spec"]["replicas"] == 2


def rules(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rules of all groups."""
    return [rule for group in groups for rule in group["rules"]]


def test_the_rules_are_those_that_are_tested():
    """The PrometheusRule has every group of deploy/monitoring/rules.yml, and every expression parses."""
    (rendered_rules,) = of_kind(rendering("monitoring"), "PrometheusRule")
    assert rendered_rules["spec"]["groups"] == yaml.safe_load(RULES.read_text())["groups"]
    for rule in rules(rendered_rules["spec"]["groups"]):
        promql_parser.parse(str(rule["expr"]))


@pytest.mark.parametrize("ci", CI)
def test_nothing_scales_unless_asked(ci):
    """Autoscaling, monitors and rules need other programs in the cluster, so they are off."""
    custom = {each["kind"] for each in of_kind(rendering(ci), "ScaledObject", "PodMonitor", "PrometheusRule")}
    expected = {"keda": {"ScaledObject", "PodMonitor"}, "monitoring": {"PodMonitor", "PrometheusRule"}}
    assert custom == expected.get(ci, set())
