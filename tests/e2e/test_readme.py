"""What the documents tell people to type works as it stands there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.worker import ROOT, Worker

BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
DOCUMENTED_ADDRESS = "http://127.0.0.1:8000"


def curl_blocks() -> list[tuple[str, str]]:
    """Every shell block with curl, of the README and of the API's page."""
    return [
        (document, block)
        for document in ("README.md", "docs/api.md")
        for block in BLOCK.findall((ROOT / document).read_text(encoding="utf-8"))
        if "curl " in block
    ]


@pytest.mark.parametrize(("document", "block"), curl_blocks())
def test_curl_lines_work_as_they_are(worker: Worker, document: str, block: str, tmp_path: Path) -> None:
    """Pasted into a shell with the running worker's address, each line succeeds and prints something."""
    script = block.replace(DOCUMENTED_ADDRESS, worker.url)
    assert worker.url in script, f"{document} calls another address than {DOCUMENTED_ADDRESS}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("curl ", "curl -sS --fail-with-body ")],
        cwd=ROOT,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "TMPDIR": str(tmp_path)},
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert done.stdout


def test_there_is_something_to_try() -> None:
    """Both documents show curl."""
    assert {document for document, _ in curl_blocks()} == {"README.md", "docs/api.md"}
