"""The shell tools of tests/, run against a real local cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.cluster.front import ROOT
from tests.cluster.ports import free_ports
from tests.cluster.real import RealCluster, real_cluster

CHECKS = 11
REQUESTS = 2


@pytest.fixture(scope="module")
def cluster() -> Iterator[RealCluster]:
    """Give a cluster that starts with one worker."""
    with real_cluster(1) as running:
        yield running


def tool(name: str, *words: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a script of tests/."""
    return subprocess.run(
        [str(ROOT / "tests" / name), *words],
        env={**os.environ, "PYTHON": sys.executable, "PYTHONASYNCIODEBUG": "", **env},
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip


def test_the_smoke_test_passes_on_a_healthy_cluster(cluster):
    """test_transcription.sh: every line ok, exit code 0."""
    done = tool("test_transcription.sh", env={"API_URL": cluster.url})
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\nok ") == CHECKS
    assert done.stdout.endswith("all checks passed\n")


def test_the_smoke_test_fails_without_a_service():
    """Each check fails and the exit code is 1."""
    done = tool("test_transcription.sh", env={"API_URL": f"http://127.0.0.1:{free_ports(1)[0]}"})
    assert done.returncode == 1
    assert "FAIL  health is healthy" in done.stdout
    assert "all checks passed" not in done.stdout


def test_workers_are_scaled_while_running(cluster):
    """scale_workers.sh returns when the wanted number serves."""
    for count in (2, 1):
        done = tool("scale_workers.sh", str(count), env={"PORT": str(cluster.port), "TMPDIR": str(cluster.temp)})
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["workers"] == count
        assert cluster.status()["ready"]


@pytest.mark.parametrize("word", ["", "0", "-1", "many"])
def test_an_invalid_number_of_workers_is_refused(word):
    """Anything but a number of at least 1 prints the usage and exits with 2."""
    done = tool("scale_workers.sh", word, env={})
    assert done.returncode == 2
    assert "usage" in done.stderr


def test_scaling_without_a_cluster_fails():
    """With neither a local cluster nor compose: one line with the remedy."""
    done = tool("scale_workers.sh", "2", env={"PORT": str(free_ports(1)[0])})
    assert done.returncode == 1
    assert done.stderr.startswith("error: neither")


def test_the_scaling_test_prints_its_table_and_its_finding(cluster, tmp_path):
    """1 -> 2 -> 3 workers at equal load per worker: a table, a finding, JSON and a plot."""
    done = tool(
        "run_load_test.sh", "scaling", "1 2 3", str(REQUESTS), "2",
        env={"PORT": str(cluster.port), "TMPDIR": str(cluster.temp), "RESULTS_DIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    table = done.stdout[done.stdout.index("workers callers") :].splitlines()
    assert [line.split()[:2] for line in table[1:4]] == [["1", "2"], ["2", "4"], ["3", "6"]]
    assert "finding: 3 workers did" in done.stdout
    written = {path.suffix: path for path in Path(tmp_path).iterdir()}
    assert set(written) == {".json", ".png"}
    runs = json.loads(written[".json"].read_text())["runs"]
    for number, run in enumerate(runs, start=1):
        summary = run["summary"]
        assert summary["counts"] == {"200": REQUESTS * number}, "with as many requests as slots none is refused"
        assert summary["changed_texts"] == 0
        # Little's law, on the tool's own output.
        mean_s = summary["latency"]["mean_s"]
        assert summary["in_flight"] == pytest.approx(summary["requests_per_s"] * mean_s, rel=1e-6)
        assert summary["in_flight"] <= 2 * number + 1e-6


def test_one_worker_is_loaded_until_it_refuses_requests(tmp_path):
    """run_load_test.sh single finds the worker, doubles its clients, and prints the best load."""
    with real_cluster(1, {"MODEL_SIZE": "fake"}) as quick:
        done = tool(
            "run_load_test.sh", "single",
            env={"PORT": str(quick.port), "TMPDIR": str(quick.temp), "RESULTS_DIR": str(tmp_path)},
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    runs = json.loads(next(tmp_path.glob("*.json")).read_text())["runs"]
    assert [run["load"] for run in runs] == [2**n for n in range(len(runs))]
    shares = [run["summary"]["counts"].get("200", 0) / run["summary"]["total"] for run in runs]
    assert all(share >= 0.9 for share in shares[:-1]), "the load grows only while at most a tenth is refused"
    assert shares[-1] < 0.9 or runs[-1]["load"] == 64
    assert "best with at least 95 % success: " in done.stdout


def test_live_speakers_lose_nothing_on_an_idle_cluster(cluster):
    """load_test.py --mode live: one speaker for six seconds, all of it transcribed."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "load_test.py"), "--api-url", cluster.url, "--mode", "live",
         "--clients", "1", "--duration", "6"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 live streams: 6 s transcribed, 0.0 s lost (0.0%)" in done.stdout
