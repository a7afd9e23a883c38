"""The examples of the README and of docs/ work as they are printed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.worker import ROOT, Worker

DOCUMENTS = ("README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
DOCUMENTED_ADDRESS = "http://127.0.0.1:8000"


def blocks(language: str, marker: str) -> list[tuple[str, str]]:
    """Every (document, code) of a language whose code contains the marker."""
    fence = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    return [
        (document, block)
        for document in DOCUMENTS
        for block in fence.findall((ROOT / document).read_text(encoding="utf-8"))
        if marker in block
    ]


def run(command: list[str], tmp_path: Path) -> bytes:
    """Run a command in the root of the repository; return what it printed, fail with it on an error."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "TMPDIR": str(tmp_path), "OPENAI_API_KEY": "unused"},
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return done.stdout


@pytest.mark.parametrize(("document", "block"), blocks("sh", "curl "))
def test_curl_lines_work_as_they_are(worker: Worker, document: str, block: str, tmp_path: Path) -> None:
    """Pasted into a shell with the running worker's address, each line succeeds and prints something."""
    script = block.replace(DOCUMENTED_ADDRESS, worker.url)
    assert worker.url in script, f"{document} calls another address than {DOCUMENTED_ADDRESS}"
    assert run(["bash", "-euo", "pipefail", "-c", script.replace("curl ", "curl -sS --fail-with-body ")], tmp_path)


@pytest.mark.parametrize(("document", "block"), blocks("python", "OpenAI("))
def test_sdk_examples_work_as_they_are(worker: Worker, document: str, block: str, tmp_path: Path) -> None:
    """Run with the running worker's address, each program of the SDK succeeds and prints something."""
    program = block.replace(DOCUMENTED_ADDRESS, worker.url)
    assert worker.url in program, f"{document} calls another address than {DOCUMENTED_ADDRESS}"
    assert run([sys.executable, "-c", program], tmp_path)


def test_there_is_something_to_try() -> None:
    """The README and the page for OpenAI's clients show both, the API's page shows curl."""
    with_curl = {document for document, _ in blocks("sh", "curl ")}
    with_sdk = {document for document, _ in blocks("python", "OpenAI(")}
    assert {"README.md", "docs/api.md", "docs/openai-whisper-1.md"} <= with_curl
    assert {"README.md", "docs/openai-whisper-1.md"} <= with_sdk
