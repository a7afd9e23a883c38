"""The soak test itself, for three minutes and with a fixed seed. docs/soak.md has the hour."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MINUTES = 3
LONGEST_S = 1200.0  # with the idle times before and after, on a machine that others use


def test_three_minutes_of_faults_lose_nothing(tmp_path):
    """Every request is answered with its text, every final is stored once, and nothing is left over."""
    numbers = tmp_path / "soak.json"
    environment = dict(os.environ)
    # asyncio's debug mode is for the tests' own loop: it would slow the clients down.
    environment.pop("PYTHONASYNCIODEBUG", None)
    done = subprocess.run(
        [sys.executable, "tests/soak.py", "--minutes", str(MINUTES), "--seed", "1", "--json", str(numbers)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LONGEST_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    found = json.loads(numbers.read_text())
    assert found["failures"] == []
    assert {"worker", "gateway", "collector", "redis", "nginx"} <= {each["role"] for each in found["faults"]}
    assert {"kill", "stop"} == {each["action"] for each in found["faults"]}
    assert found["finals"]["received"] > 0
    assert all(row["sent"] for row in found["requests"].values())
    assert {"file", "format", "realtime", "stream", "bad input", "hang-up", "live"} <= set(found["requests"])
