"""A stream of a real engine over a real socket: text while the work goes on, and an end to it."""

from __future__ import annotations

import json
import time

import httpx

from tests.e2e.worker import Worker
from tests.samples import beginning

LONG = beginning("long-en.wav", 80.0)


def active(worker: Worker) -> int:
    """How many requests are worked on."""
    return int(httpx.get(f"{worker.url}/health").json()["active"])


def test_text_arrives_while_the_rest_is_worked_on_and_hanging_up_ends_it(worker: Worker) -> None:
    """The first words of eighty seconds come before the last window is done; then nobody listens any more."""
    with httpx.stream(
        "POST",
        f"{worker.url}/v1/audio/transcriptions",
        data={"model": "whisper-1", "stream": "true"},
        files={"file": ("long.wav", LONG)},
        timeout=120,
    ) as answer:
        told: list[dict[str, float]] = []
        lines = answer.iter_lines()  # held on to: dropping it hangs up
        for line in lines:
            if line.startswith(": progress "):
                told.append(json.loads(line.removeprefix(": progress ")))
            if line.startswith("data: "):
                break
        assert json.loads(line.removeprefix("data: "))["type"] == "transcript.text.delta"
        assert told[0]["done_s"] == 0.0
        assert told[-1]["done_s"] < told[-1]["total_s"] == 80.0
        assert active(worker) == 1
    give_up = time.monotonic() + 30
    while active(worker):
        assert time.monotonic() < give_up, "the work went on for nobody"
        time.sleep(0.05)
    assert '"outcome": "cancelled"' in worker.log
