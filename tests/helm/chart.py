"""Render the chart as a user does, and find what is asked for in what comes out."""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tools.kube.chart import CHART

ROOT = Path(__file__).resolve().parents[2]
HELM = ROOT / ".cache/kube/helm"
KUBECTL = ROOT / ".cache/kube/kubectl"
CI = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))
"""The ways to use the chart that ci/ has values for."""

RELEASE, NAMESPACE = "stt", "speech"

Object = dict[str, Any]


class Refused(Exception):
    """Helm rendered nothing; the message is what the user reads."""


def helm(*arguments: str | Path, stdin: str = "") -> str:
    """Run helm and return its output.

    Raises:
        Refused: it failed.
    """
    command = [HELM, *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        # A packaged chart has no links.
        raise Refused("\n".join(line for line in done.stderr.splitlines() if "found symbolic link" not in line))
    return done.stdout


def manifest(*arguments: str | Path, stdin: str = "") -> str:
    """Return what `helm template` writes for a release `stt` in the namespace `speech`."""
    return helm("template", RELEASE, CHART, "--namespace", NAMESPACE, *arguments, stdin=stdin)


def objects(text: str) -> list[Object]:
    """Return the objects of a manifest."""
    return [document for document in yaml.load_all(text, yaml.CSafeLoader) if document]


def values(ci: str) -> Path:
    """Return one of the files in ci/."""
    return CHART / "ci" / f"{ci}-values.yaml"


@functools.cache
def text_of(ci: str) -> str:
    """Return the manifest of one of the files in ci/; each is rendered once."""
    return manifest("--values", values(ci))


@functools.cache
def rendering(ci: str) -> list[Object]:
    """Return the objects of one of the files in ci/. Not to be changed."""
    return objects(text_of(ci))


def rendered(given: dict[str, Any], ci: str = "cpu") -> list[Object]:
    """Return the objects for a file in ci/ with more values."""
    return objects(manifest("--values", values(ci), "--values", "-", stdin=json.dumps(given)))


def of_kind(found: list[Object], *kinds: str) -> list[Object]:
    """Return the objects of these kinds."""
    return [each for each in found if each["kind"] in kinds]


def named(found: list[Object], kind: str, name: str) -> Object:
    """Return one object by its kind and its name without the release's."""
    (one,) = [each for each in of_kind(found, kind) if each["metadata"]["name"] == f"{RELEASE}-{name}"]
    return one


def pods(found: list[Object]) -> Iterator[tuple[str, Object]]:
    """Yield the name and the specification of every pod, those of Deployments and Jobs as well."""
    for each in of_kind(found, "Deployment", "Job"):
        yield each["metadata"]["name"], each["spec"]["template"]["spec"]
    for each in of_kind(found, "Pod"):
        yield each["metadata"]["name"], each["spec"]


def containers(pod: Object) -> list[Object]:
    """Return every container of a pod, those that run first as well."""
    return [*pod.get("initContainers", []), *pod["containers"]]


def environment(found: list[Object], component: str) -> dict[str, str]:
    """Return the variables of a component's main container as the process sees them.

    A value from a Secret is its name and key, one from the pod's fields is the field.
    """
    (container,) = named(found, "Deployment", component)["spec"]["template"]["spec"]["containers"]
    variables: dict[str, str] = {}
    for source in container.get("envFrom", []):
        if "configMapRef" in source:
            (data,) = [
                each["data"]
                for each in of_kind(found, "ConfigMap")
                if each["metadata"]["name"] == source["configMapRef"]["name"]
            ]
            variables |= data or {}
    for each in container.get("env", []):
        source = each.get("valueFrom", {})
        if "secretKeyRef" in source:
            variables[each["name"]] = f"{source['secretKeyRef']['name']}/{source['secretKeyRef']['key']}"
        elif "fieldRef" in source:
            variables[each["name"]] = source["fieldRef"]["fieldPath"]
        else:
            variables[each["name"]] = each["value"]
    return variables
