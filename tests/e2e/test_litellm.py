"""LiteLLM, unmodified, against a running worker with the demo model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.e2e.worker import ROOT, Worker
from tests.samples import sample

CLIP = sample("en-00.wav")


@pytest.fixture(scope="module")
def results(worker: Worker) -> dict[str, Any]:
    """What each call of `litellm_calls.py` came back with; its table of prices is the one it carries."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "e2e" / "litellm_calls.py"), f"{worker.url}/v1", str(CLIP.path)],
        env={"PATH": os.environ["PATH"], "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        capture_output=True,
        check=True,
        timeout=120,
    )
    listed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return listed


def test_text_and_duration(results: dict[str, Any]) -> None:
    """LiteLLM asks for verbose_json by itself and bills by the duration."""
    for name in ("default", "async"):
        assert results[name]["text"] == CLIP.text
        assert results[name]["duration"] == pytest.approx(CLIP.duration_s, abs=0.01)
    assert "burned" in results["json"]["text"]


def test_words(results: dict[str, Any]) -> None:
    """timestamp_granularities reach the server as the SDK writes them."""
    assert [word["word"] for word in results["verbose"]["words"]] == CLIP.text.split()


def test_subtitles(results: dict[str, Any]) -> None:
    """Its regular expressions for durations find hours in both formats."""
    assert results["srt"]["text"].startswith("1\n00:00:00,000 --> 00:00:01,")
    assert results["vtt"]["text"].startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.")


def test_bad_audio(results: dict[str, Any]) -> None:
    """A 400 is raised as such, with our words."""
    assert (results["broken"]["error"], results["broken"]["status"]) == ("BadRequestError", 400)
    assert "could not be decoded" in results["broken"]["message"]
