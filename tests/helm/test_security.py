from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.helm.chart import CI, ROOT, containers, of_kind, pods, rendering, text_of

CHECKOV = ROOT / ".cache/checkov/bin/checkov"
# Rule of checkov -> why the chart does not follow it.
SKIPPED = {
    "CKV_K8S_11": "a CPU limit slows a GPU worker and nginx down and protects nobody; CPU workers have one",
    "CKV_K8S_15": "a tag of ours is never moved, so a node may keep what it has",
    "CKV_K8S_35": "the programs read secrets from variables, as they do everywhere else",
    "CKV_K8S_40": "nginx' image has the user 101",
    "CKV_K8S_43": "images of ours have a version; `image.digest` pins them",
}
# Resources that a rule does not fit.
EXCEPTIONS = {
    # `helm test` runs it to its end once: there is nothing to probe, and its policy would outlive it.
    ("CKV_K8S_8", "Pod.speech.stt-test"),
    ("CKV_K8S_9", "Pod.speech.stt-test"),
    ("CKV2_K8S_6", "Pod.speech.stt-test"),
}


@pytest.mark.parametrize("ci", CI)
def test_every_container_is_restricted(ci):
    """No root, nothing to write to but volumes, no capability, no new privilege, the default system calls."""
    for name, pod in pods(rendering(ci)):
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] > 0, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, (name, container["name"])


@pytest.mark.parametrize("ci", CI)
def test_no_pod_holds_a_token_of_the_cluster(ci):
    """Neither the account nor a pod mounts one, and no Service puts its variables beside HOST and PORT."""
    for name, pod in pods(rendering(ci)):
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["enableServiceLinks"] is False, name
        assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}, name
    for account in of_kind(rendering(ci), "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    assert of_kind(rendering(ci), "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "Secret") == []


@pytest.mark.parametrize("ci", CI)
def test_volumes_are_bounded_and_not_the_nodes(ci):
    """Only the kinds that Pod Security `restricted` allows; what lies on a node has a limit and is not its memory."""
    for name, pod in pods(rendering(ci)):
        for volume in pod.get("volumes", []):
            (kind,) = volume.keys() - {"name"}
            assert kind in {"configMap", "emptyDir", "persistentVolumeClaim", "secret", "image"}, name
            if kind == "emptyDir":
                assert "sizeLimit" in volume[kind], (name, volume["name"])
                assert "medium" not in volume[kind], (name, volume["name"])


@pytest.mark.parametrize("ci", CI)
def test_every_container_says_what_it_needs(ci):
    """Requests for CPU and memory, and a limit for memory; a worker on CPUs gets exactly what it asks for."""
    for name, pod in pods(rendering(ci)):
        for container in containers(pod):
            resources = container["resources"]
            assert {"cpu", "memory"} <= resources["requests"].keys(), (name, container["name"])
            assert "memory" in resources["limits"], (name, container["name"])
            if container["name"] == "worker":
                # It starts as many threads as its limit allows: without one, as many as the node has.
                gpu = any(key not in {"cpu", "memory"} for key in resources["limits"])
                assert resources["limits"].get("cpu") == (None if gpu else resources["requests"]["cpu"])


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> list[dict[str, str]]:
    """What checkov says against all renderings, asked once."""
    folder = tmp_path_factory.mktemp("checkov")
    for ci in CI:
        (folder / f"{ci}.yaml").write_text(text_of(ci))
    command = [CHECKOV, "--directory", folder, "--framework", "kubernetes", "--compact", "--skip-download"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    done = subprocess.run(
        [*command, "--output", "json"],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert found["summary"]["parsing_errors"] == 0
    assert found["summary"]["passed"] > 1000
    failed: list[dict[str, str]] = found["results"]["failed_checks"]
    return failed


def test_checkov_finds_what_was_decided_and_nothing_else(report):
    """Each rule that is not followed is named above with its reason."""
    found = {(each["check_id"], each["resource"], each["check_name"]) for each in report}
    assert {each for each in found if each[0] not in SKIPPED and each[:2] not in EXCEPTIONS} == set()


def test_every_skipped_rule_would_fail(report):
    """A rule that the chart follows by now is not skipped any longer."""
    assert {each["check_id"] for each in report} >= set(SKIPPED)
    assert {(each["check_id"], each["resource"]) for each in report} >= EXCEPTIONS
