"""The examples of the README and of docs/ work as they are printed."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app.collector.redis_io.connection import connect
from tests.e2e.test_collector_process import add, collector, until
from tests.e2e.worker import ROOT, Worker
from tests.servers import RedisServer

DOCUMENTS = ("README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
DOCUMENTED_ADDRESS = "http://127.0.0.1:8000"
COLLECTOR_PAGE = "docs/collector.md"
COLLECTOR_ADDRESS = "http://127.0.0.1:8083"


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


# The run book asks Prometheus; its queries are tested in tests/monitoring.
OTHER_SERVERS = (COLLECTOR_PAGE, "docs/operations.md")
WORKER_BLOCKS = [(document, block) for document, block in blocks("sh", "curl ") if document not in OTHER_SERVERS]


@pytest.mark.parametrize(("document", "block"), WORKER_BLOCKS)
def test_curl_lines_work_as_they_are(worker: Worker, document: str, block: str, tmp_path: Path) -> None:
    """Pasted into a shell with the running worker's address, each line succeeds and prints something."""
    script = block.replace(DOCUMENTED_ADDRESS, worker.url)
    assert worker.url in script, f"{document} calls another address than {DOCUMENTED_ADDRESS}"
    assert run(["bash", "-euo", "pipefail", "-c", script.replace("curl ", "curl -sS --fail-with-body ")], tmp_path)


async def test_curl_lines_of_the_collector_work_as_they_are(redis_server: RedisServer, tmp_path: Path) -> None:
    """Each line reads the stored meeting: the list, the transcript, a file of it and the search."""
    (block,) = [block for document, block in blocks("sh", "/search") if document == COLLECTOR_PAGE]
    room = {"meeting_id": "abc-defg-hij"}
    said = {"segment_id": "6f1c:0", "start": 0.0, "end": 3.2, "text": " Ask not what your country can do."}
    final = {"type": "transcription", **room, "segments": [said | {"completed": True}]}
    async with collector(redis_server.url, f"sqlite:///{tmp_path}/c.db") as running, connect(redis_server.url) as redis:
        await until(running.is_ready)
        await add(redis, final)
        script = block.replace(COLLECTOR_ADDRESS, f"http://127.0.0.1:{running.port}")
        assert script != block
        command = ["bash", "-euo", "pipefail", "-c", script.replace("curl ", "curl -sS --fail-with-body ")]

        async def is_stored() -> bool:
            async with httpx.AsyncClient() as http:
                found = await http.get(f"http://127.0.0.1:{running.port}/search?q=country")
            return "country" in found.text

        await until(is_stored)
        printed = (await asyncio.to_thread(run, command, tmp_path)).decode()
    assert printed.count("Ask not what your country can do.") == 3  # transcript, file and search
    assert "your <b>country</b> can" in printed
    assert "00:00:00,000 --> 00:00:03,200" in printed


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
