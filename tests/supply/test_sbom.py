from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
IMAGES = {
    "cpu": ["requirements.txt"],
    "cpu-openvino": ["requirements.txt", "requirements-openvino.txt"],
    "cuda": ["requirements.txt", "deploy/requirements-cuda.txt"],
}


@pytest.fixture(scope="module")
def listed(tmp_path_factory) -> dict[str, Any]:
    """The lists that `make sbom` writes, by image."""
    folder = tmp_path_factory.mktemp("sbom")
    subprocess.run(["sh", str(ROOT / "tools/release/sbom.sh"), str(folder)], check=True, timeout=120)
    return {name: json.loads((folder / f"speech-to-text-{name}.cdx.json").read_text()) for name in IMAGES}


def locked(*names: str) -> dict[tuple[str, str], set[str]]:
    """Return name and version of each line of the lock files, with its hashes."""
    found: dict[tuple[str, str], set[str]] = {}
    for name in names:
        for line in (ROOT / name).read_text().replace("\\\n", " ").splitlines():
            matched = re.match(r"([\w.-]+)==(\S+)", line)
            assert matched is not None, line
            found[matched[1], matched[2]] = set(re.findall(r"sha256:([0-9a-f]{64})", line))
    return found


@pytest.mark.parametrize("image", IMAGES)
def test_each_line_of_the_lock_is_listed(listed, image):
    """Every locked package with its version and each of its hashes, and nothing else."""
    components = {
        (each["name"], each["version"]): {
            hashed["content"] for reference in each["externalReferences"] for hashed in reference.get("hashes", [])
        }
        for each in listed[image]["components"]
    }
    assert components == locked(*IMAGES[image])


@pytest.mark.parametrize("image", IMAGES)
def test_the_list_says_what_it_is_about(listed, image):
    """CycloneDX 1.6 about this product in its version."""
    assert (listed[image]["bomFormat"], listed[image]["specVersion"]) == ("CycloneDX", "1.6")
    about = listed[image]["metadata"]["component"]
    assert (about["name"], about["licenses"]) == ("speech-to-text", [{"license": {"acknowledgement": "declared", "id": "MIT"}}])  # fmt: skip # noqa: E501
    assert about["version"] in (ROOT / "app/ops/version.py").read_text()
