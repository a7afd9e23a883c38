"""The official OpenAI SDK for Node, unmodified, against a running worker with the demo model."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest

from tests.e2e.worker import ROOT, Worker
from tests.samples import sample

CLIP = sample("en-00.wav")
NODE = ROOT / "tests" / "e2e" / "node"


@pytest.fixture(scope="module")
def results(worker: Worker) -> dict[str, Any]:
    """What each call of `transcribe.mjs` came back with."""
    assert (NODE / "node_modules" / "openai").is_dir(), "make test installs the Node packages first"
    done = subprocess.run(
        ["node", str(NODE / "transcribe.mjs")],
        env={
            "PATH": os.environ["PATH"],
            "BASE_URL": f"{worker.url}/v1",
            "AUDIO": str(CLIP.path),
            "BROKEN": str(ROOT / "Makefile"),
        },
        capture_output=True,
        check=True,
        timeout=120,
    )
    listed: dict[str, Any] = json.loads(done.stdout)
    return listed


def test_bodies(results: dict[str, Any]) -> None:
    """Json is text and usage, the default is the verbose body, words and segments stand in verbose_json."""
    assert results["json"] == {
        "text": CLIP.text,
        "languages": [{"code": "en"}],
        "usage": {"type": "duration", "seconds": 3},
    }
    assert results["default"]["segments"][0]["text"] == f" {CLIP.text}"
    assert [word["word"] for word in results["verbose"]["words"]] == CLIP.text.split()
    assert results["verbose"]["segments"][0]["words"][0]["word"] == " It's"
    assert results["bytes"]["language"] == "en"


def test_texts_arrive_as_strings(results: dict[str, Any]) -> None:
    """Plain text, not JSON: the SDK decides by the type of the answer."""
    assert results["text"] == f"{CLIP.text}\n"
    assert results["srt"].startswith("1\n00:00:00,000 --> ")
    assert results["vtt"].startswith("WEBVTT\n\n00:00:00.000 --> ")


def test_logprobs(results: dict[str, Any]) -> None:
    """`include[]` and `chunking_strategy[...]`, as the SDK writes them, are understood."""
    said = b"".join(bytes(each["bytes"]) for each in results["logprobs"]["logprobs"])
    assert said.decode().strip() == results["logprobs"]["text"]


def test_stream(results: dict[str, Any]) -> None:
    """Events in order; the SDK stops at [DONE] and sees no comment."""
    *deltas, done = results["stream"]
    assert [delta["type"] for delta in deltas] == ["transcript.text.delta"] * len(deltas)
    assert done["type"] == "transcript.text.done"
    assert "".join(delta["delta"] for delta in deltas) == done["text"] == CLIP.text


def test_translation(results: dict[str, Any]) -> None:
    """The other route answers in OpenAI's json."""
    assert set(results["translation"]) == {"text", "usage"}


def test_errors_are_typed(results: dict[str, Any]) -> None:
    """The SDK's own classes, with parameter, code and the id of the request."""
    broken, model = results["broken"], results["model"]
    assert (broken["error"], broken["param"], broken["code"]) == ("BadRequestError", "file", "unsupported_format")
    assert broken["requestId"].startswith("req_")
    assert (model["error"], model["code"]) == ("NotFoundError", "model_not_found")
    assert "whisper-1" in results["models"]
