from __future__ import annotations

import gzip
import io
import re
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml

from app.ops.version import VERSION
from tests.helm.chart import CI, KUBECTL, ROOT, containers, helm, manifest, objects, of_kind, pods, rendering, text_of
from tests.helm.chart import values as values_of
from tools.kube.chart import CHART


@pytest.mark.parametrize("ci", CI)
def test_helm_lint_reports_nothing(ci):
    """The strict linter takes the chart with each of the values in ci/."""
    helm("lint", "--strict", CHART, "--values", values_of(ci))


def test_the_defaults_are_enough():
    """`helm install` without any value renders workers, gateways and nginx."""
    found = objects(manifest())
    names = {each["metadata"]["name"] for each in of_kind(found, "Deployment")}
    assert names == {"stt-worker", "stt-gateway", "stt-balancer"}
    helm("lint", "--strict", CHART)


@pytest.mark.parametrize("ci", CI)
def test_the_notes_tell_how_to_go_on(ci):
    """After an installation, Helm prints the addresses and the next commands, all of this release and namespace."""
    written = helm(
        *("install", "stt", CHART, "--dry-run=client", "--namespace", "speech", "--values", values_of(ci))
    ).partition("NOTES:")[2]
    assert "http://stt.speech.svc:8083/v1/audio/transcriptions" in written
    commands = [line.strip() for line in written.splitlines() if line.strip().startswith(("kubectl", "helm"))]
    assert commands
    assert all("--namespace speech" in command for command in commands)


def test_every_template_is_rendered_by_a_file_in_ci():
    """No template is left out of the checks that run over the files in ci/."""
    sources = set(re.findall(r"^# Source: speech-to-text/(.+)$", "".join(map(text_of, CI)), re.MULTILINE))
    templates = {
        str(path.relative_to(CHART))
        for path in (CHART / "templates").rglob("*.yaml")
        if path.name != "validate.yaml"  # renders nothing; it refuses
    }
    if not list((CHART / "files/dashboards").glob("*.json")):
        templates.discard("templates/dashboards.yaml")  # renders the dashboards that are there
    assert sources == templates


@pytest.mark.parametrize("ci", CI)
def test_names_are_unique(ci):
    """No object replaces another one."""
    names = [(each["kind"], each["metadata"]["name"]) for each in rendering(ci)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("ci", CI)
def test_every_image_has_a_version(ci):
    """By digest, or by a tag that begins with the version of the product; never `latest`."""
    for name, pod in pods(rendering(ci)):
        for container in containers(pod):
            _, _, tag = container["image"].rpartition("/")[2].partition(":")
            pinned = re.search(r"@sha256:[0-9a-f]{64}$", container["image"])
            assert pinned or re.match(rf"{re.escape(VERSION)}(-|$)", tag), (name, container["image"])
            assert "latest" not in container["image"], name


@pytest.mark.parametrize("ci", CI)
def test_two_renderings_are_equal(ci):
    """Nothing in the chart is random or depends on the time: an upgrade without a change restarts nothing."""
    assert manifest("--values", values_of(ci)) == text_of(ci)


def contents(package: Path) -> dict[str, bytes]:
    """Return the files of a package."""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(package.read_bytes()))) as archive:
        return {member.name: file.read() for member in archive if (file := archive.extractfile(member)) is not None}


def test_a_package_has_the_same_content_each_time(tmp_path):
    """Two packages of one chart have equal files, those behind links as well, and render as the folder does."""
    for folder in ("a", "b"):
        helm("package", CHART, "--destination", tmp_path / folder)
    first, second = (contents(tmp_path / folder / f"speech-to-text-{VERSION}.tgz") for folder in ("a", "b"))
    assert first == second
    assert first["speech-to-text/files/nginx.conf"] == (ROOT / "nginx.conf").read_bytes()
    assert first["speech-to-text/files/render.sh"] == (ROOT / "deploy/nginx/render.sh").read_bytes()
    packaged = helm("template", "stt", tmp_path / "a" / f"speech-to-text-{VERSION}.tgz", "--namespace", "speech")
    assert packaged == manifest()


def test_kustomize_changes_an_image(tmp_path):
    """The rendered objects can be kustomized: every container of the image gets the new one, the others stay."""
    (tmp_path / "all.yaml").write_text(text_of("cpu"))
    (tmp_path / "kustomization.yaml").write_text(
        yaml.safe_dump(
            {
                "resources": ["all.yaml"],
                "images": [
                    {"name": "registry.example/speech-to-text", "newName": "registry.internal/stt", "newTag": "mine"}
                ],
            }
        )
    )
    done = subprocess.run([KUBECTL, "kustomize", tmp_path], capture_output=True, text=True, timeout=60, check=True)
    found = objects(done.stdout)
    assert len(found) == len(rendering("cpu"))
    images = {name: [each["image"] for each in containers(pod)] for name, pod in pods(found)}
    assert set(images["stt-worker"]) == set(images["stt-gateway"]) == {"registry.internal/stt:mine"}
    before = {name: [each["image"] for each in containers(pod)] for name, pod in pods(rendering("cpu"))}
    assert images["stt-balancer"] == before["stt-balancer"]
