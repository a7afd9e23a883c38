from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.test_images import lines

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
BIN = Path(sys.executable).parent


def workflow(name: str) -> dict[str, Any]:
    """Return a workflow; YAML reads its key `on` as true."""
    document: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows" / name).read_text())
    return document


def jobs() -> list[Any]:
    """Return every job of every workflow as a test parameter."""
    return [
        pytest.param(job, id=f"{path.stem}-{name}")
        for path in WORKFLOWS
        for name, job in workflow(path.name)["jobs"].items()
    ]


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a tool in the repository, at most a minute."""
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_zizmor_finds_nothing():
    """The auditor of workflows, without a network: injections, permissions, caches, credentials, pins."""
    done = run(BIN / "zizmor", "--offline", "--no-progress", ".github")
    assert done.returncode == 0, done.stdout
    assert "No findings to report" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("schema", "files"),
    [("vendor.github-workflows", WORKFLOWS), ("vendor.dependabot", [ROOT / ".github/dependabot.yml"])],
    ids=["workflows", "dependabot"],
)
def test_github_accepts_them(schema, files):
    """GitHub's own schemas accept the workflows and the settings of Dependabot."""
    done = run(BIN / "check-jsonschema", "--builtin-schema", schema, *files)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_nothing_is_allowed_until_a_job_asks(path):
    """The token of a workflow may do nothing, each job lists what it needs, and no job runs for hours."""
    document = workflow(path.name)
    assert document["permissions"] == {}
    for name, job in document["jobs"].items():
        assert "permissions" in job, name
        assert job["timeout-minutes"] <= 90, name


@pytest.mark.parametrize("job", jobs())
def test_actions_are_pinned_by_commit(job):
    """Each action by its commit, with the version beside it for people and Dependabot; no credentials stay on disk."""
    for step in job["steps"]:
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"])
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_an_action_has_one_version():
    """The same commit of an action everywhere, with a version in the comment."""
    found: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for line in re.findall(r"uses: (.+)", path.read_text()):
            matched = re.fullmatch(r"([\w/-]+)@([0-9a-f]{40} # v\d+\.\d+\.\d+)", line)
            assert matched is not None, line
            found.setdefault(matched[1], set()).add(matched[2])
    assert [name for name, versions in found.items() if len(versions) > 1] == []


@pytest.mark.parametrize("name", ["ci.yml", "release.yml"])
def test_ci_runs_what_contributors_run(name):
    """The whole check, in the base image of the product."""
    job = workflow(name)["jobs"]["test"]
    assert job["steps"][-1]["run"] == "bash .ci/run"
    assert f"ARG PYTHON_IMAGE={job['container']}" in lines("Dockerfile")


def test_every_image_is_built_on_its_own_kind_of_machine():
    """CPU and mtail for amd64 and arm64, CUDA for amd64; each file that is built is there."""
    release = workflow("release.yml")["jobs"]
    built = release["image"]["strategy"]["matrix"]["include"]
    assert {(each["name"], each["arch"], each["runner"]) for each in built} == {
        ("cpu", "amd64", "ubuntu-24.04"),
        ("cpu", "arm64", "ubuntu-24.04-arm"),
        ("cuda", "amd64", "ubuntu-24.04"),
        ("mtail", "amd64", "ubuntu-24.04"),
        ("mtail", "arm64", "ubuntu-24.04-arm"),
    }
    joined = release["manifest"]["strategy"]["matrix"]["include"]
    assert {(each["name"], each["image"]) for each in built} == {(each["name"], each["image"]) for each in joined}
    assert [each["file"] for each in built if not (ROOT / each["file"]).is_file()] == []


def test_the_audit_reads_every_lock_file():
    """Each requirements file of the repository, but for a recipe that runs by hand and is no part of the product."""
    command = workflow("audit.yml")["jobs"]["pip-audit"]["steps"][-1]["run"]
    patterns = re.search(r"for lock in (.+); do", command)
    assert patterns is not None
    audited = {path for pattern in patterns[1].split() for path in ROOT.glob(pattern)}
    listed = run("git", "ls-files", "*requirements*.txt").stdout.split()
    assert {ROOT / name for name in listed} - audited == {ROOT / "tools/demo_model/requirements.txt"}


def test_dependabot_knows_every_folder_with_dependencies():
    """Python, Docker, GitHub and npm, each with a week's patience."""
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]
    assert all(update["cooldown"]["default-days"] >= 7 for update in updates)
    folders = {
        update["package-ecosystem"]: set(update.get("directories", [update.get("directory")])) for update in updates
    }
    tracked = [Path(name) for name in run("git", "ls-files").stdout.split()]
    docker = {f"/{path.parent}".removesuffix(".") for path in tracked if path.name.startswith("Dockerfile")}
    python = {f"/{path.parent}".removesuffix(".") for path in tracked if re.match(r"requirements.*\.txt", path.name)}
    assert docker <= folders["docker"]
    assert python - {"/tools/demo_model"} == folders["pip"]
    assert folders["npm"] == {"/tests/e2e/node"}
    assert {"github-actions", "docker-compose"} <= set(folders)
