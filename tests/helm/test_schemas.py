from __future__ import annotations

import copy
import functools
import re
from typing import Any

import pytest
from cloudcoil.models.keda.v1alpha1 import ScaledObject
from cloudcoil.models.prometheus_operator.v1 import PodMonitor, PrometheusRule
from jsonschema import Draft202012Validator
from kubernetes_validate import utils
from referencing import Registry, Resource

from tests.helm.chart import CI, Object, of_kind, rendering

OLDEST, NEWEST = "1.32", "1.37"
# Kinds that Kubernetes itself does not know.
CUSTOM: dict[str, Any] = {"ScaledObject": ScaledObject, "PodMonitor": PodMonitor, "PrometheusRule": PrometheusRule}
GATEWAY_API = {"HTTPRoute"}


def contents_of(name: str, version: str) -> Any:
    """Return a strict schema of a version of Kubernetes, of the newest patch of it."""
    patch = [each for each in utils.all_versions() if utils.major_minor(each) == version][-1]
    return utils.schema_contents(f"kubernetes-json-schema/v{patch}-local-strict/{name}.json", version)


@functools.cache
def definitions(version: str) -> Registry[Any]:
    """Return what the schemas of a version refer to."""
    contents = contents_of("_definitions", version)
    return Resource.from_contents(contents) @ Registry()


@functools.cache
def validator(kind: str, api_version: str, version: str) -> Draft202012Validator:
    """Return the strict validator of a kind: it also finds fields that do not exist.

    The schemas are those of kubernetes-validate, whose own function reads all of them anew for each object.
    """
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    contents = contents_of(f"{kind.lower()}-{group}", version)
    return Draft202012Validator(contents, registry=Resource.from_contents(contents) @ definitions(version))


def problems(found: Object, version: str) -> list[str]:
    """Return what a version of Kubernetes does not accept, field by field."""
    checker = validator(found["kind"], found["apiVersion"], version)
    name = f"{found['kind']} {found['metadata']['name']}"
    return [f"{name}: {'.'.join(map(str, error.path))}: {error.message}" for error in checker.iter_errors(found)]


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("ci", CI)
def test_kubernetes_knows_every_field(ci, version):
    """The oldest and the newest supported version accept every object, and no field is unknown to them."""
    for each in rendering(ci):
        if each["kind"] not in CUSTOM.keys() | GATEWAY_API:
            assert problems(each, version) == []


def test_a_misspelt_field_is_found():
    """The check above is strict: one letter in another case is an unknown field."""
    worker = copy.deepcopy(next(each for each in of_kind(rendering("cpu"), "Deployment")))
    assert problems(worker, NEWEST) == []
    security = worker["spec"]["template"]["spec"]["containers"][0]["securityContext"]
    security["readOnlyRootFileSystem"] = security.pop("readOnlyRootFilesystem")
    assert any("readOnlyRootFileSystem" in problem for problem in problems(worker, NEWEST))


@pytest.mark.parametrize("ci", CI)
def test_operators_know_every_field(ci):
    """KEDA's and the Prometheus operator's types read each object, and write the same one again."""
    for each in of_kind(rendering(ci), *CUSTOM):
        expected = copy.deepcopy(each)
        if each["kind"] == "ScaledObject":
            # Newer than the types: KEDA 2.17 added it.
            assert expected["spec"]["fallback"].pop("behavior") == "currentReplicasIfHigher"
        model = CUSTOM[each["kind"]].model_validate(each)
        assert model.model_dump(by_alias=True, exclude_unset=True, mode="json") == expected


def test_every_custom_kind_is_rendered_somewhere():
    """The check above has something to check."""
    kinds = {each["kind"] for ci in CI for each in rendering(ci)}
    assert kinds >= CUSTOM.keys() | GATEWAY_API


def test_routes_are_of_the_gateway_api():
    """No types are published for Python: the fields that the routes use, by name, and where they lead."""
    routes = of_kind(rendering("route"), "HTTPRoute")
    ports = {port["port"] for service in of_kind(rendering("route"), "Service") for port in service["spec"]["ports"]}
    for route in routes:
        assert route["apiVersion"] == "gateway.networking.k8s.io/v1"
        assert route["spec"].keys() <= {"parentRefs", "hostnames", "rules"}
        for rule in route["spec"]["rules"]:
            assert rule.keys() <= {"matches", "backendRefs", "timeouts"}
            assert all(re.fullmatch(r"\d+(ms|s|m|h)", value) for value in rule["timeouts"].values())
            assert {backend["port"] for backend in rule["backendRefs"]} <= ports
    (live,) = [route for route in routes if route["metadata"]["name"].endswith("-live")]
    # A stream lasts as long as people speak.
    assert live["spec"]["rules"][0]["timeouts"]["request"] == "0s"
