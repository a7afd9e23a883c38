from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from app.ops.version import VERSION
from tests.helm.chart import containers, helm, objects, pods
from tests.helm.conftest import _programs

__all__ = ["_programs"]

ROOT = Path(__file__).resolve().parents[2]
REGISTRY = "ghcr.io/example"
CHANGELOG = (
    f"# Changelog\n\n## Unreleased\n\n- Not yet.\n\n## {VERSION}\n\n- A change.\n- Another.\n\n## 0.0.9\n\n- Old.\n"
)


def repository(folder: Path, changelog: str) -> Path:
    """Return a copy of what the script reads, with another changelog."""
    for name in ("app/ops/version.py", "nginx.conf", "pyproject.toml", "requirements.txt", "requirements-openvino.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "deploy", folder / "deploy", symlinks=True)
    shutil.copytree(ROOT / "tools/release", folder / "tools/release")
    for name in (".venv", ".cache"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "CHANGELOG.md").write_text(changelog)
    return folder


def write_files(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the script that the release workflow runs."""
    command = ["sh", str(folder / "tools/release/files.sh"), REGISTRY, "dist"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def dist(tmp_path_factory) -> Path:
    """The files of a release."""
    folder = repository(tmp_path_factory.mktemp("release"), CHANGELOG)
    done = write_files(folder)
    assert done.returncode == 0, done.stderr
    (folder / "notes").write_text(done.stdout)
    return folder / "dist"


def test_a_release_has_these_files(dist):
    """The manifests, the chart, a list of packages for each image, and checksums of all of them."""
    names = {path.name for path in dist.iterdir()}
    lists = {f"speech-to-text-{image}.cdx.json" for image in ("cpu", "cpu-openvino", "cuda")}
    assert names == {"kubernetes.yaml", f"speech-to-text-{VERSION}.tgz", "SHA256SUMS", *lists}
    sums = dict(line.split("  ./")[::-1] for line in (dist / "SHA256SUMS").read_text().splitlines())
    assert sums == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in dist.iterdir() if path.name != "SHA256SUMS"
    }


def test_the_manifests_name_the_released_images(dist):
    """`kubectl apply` without Helm gets our images from the registry of the release, in its version."""
    images = {
        container["image"]
        for _, pod in pods(objects((dist / "kubernetes.yaml").read_text()))
        for container in containers(pod)
    }
    ours = {image for image in images if image.startswith(REGISTRY)}
    assert ours == {f"{REGISTRY}/speech-to-text:{VERSION}-cpu", f"{REGISTRY}/speech-to-text-mtail:{VERSION}"}
    assert all("@sha256:" in image for image in images - ours)


def test_the_manifests_hold_no_test(dist):
    """What `helm test` runs is not for a cluster without Helm: it would start once, with everything else."""
    assert "helm.sh/hook" not in (dist / "kubernetes.yaml").read_text()


def test_the_chart_is_the_repositorys(dist):
    """Installed from the package, it gives what the manifests say."""
    package = dist / f"speech-to-text-{VERSION}.tgz"
    rendered = helm("template", "stt", package, "--namespace", "speech-to-text", "--skip-tests")
    assert rendered == (dist / "kubernetes.yaml").read_text()


def test_the_notes_are_the_versions_part_of_the_changelog(dist):
    """Neither what is not released yet nor older releases."""
    assert (dist.parent / "notes").read_text().split("\n") == ["", "- A change.", "- Another.", ""]


def test_a_release_without_notes_is_refused(tmp_path):
    """A forgotten heading ends the script with a sentence, before anything is written."""
    done = write_files(repository(tmp_path, CHANGELOG.replace(f"## {VERSION}", "## Soon")))
    assert done.returncode == 1
    assert re.match(rf"error: CHANGELOG.md has no lines under '## {re.escape(VERSION)}'", done.stderr)
    assert not (tmp_path / "dist").exists()
