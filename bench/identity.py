"""The worker's texts against the plain design's, on a trained model and real differences of speech.

Every sample is sent to both, alone to the plain design and among seven others to the worker, with
silence removal off and one try at temperature 0. Instruction sets and numbers of threads round
differently, which may decide a near-tie, so the share is reported, not asserted.

    python -m bench.identity
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from bench import contenders
from bench.arithmetic import identical_share
from bench.clips import SAMPLES
from bench.contenders import Conditions
from bench.processes import ROOT

DEMO = ROOT / "models" / "demo"
LONGEST_S = 4.0  # the demo model's window (serving.json): both designs see the same audio at once
CLIENTS = 8


def measure(worker_env: Mapping[str, str]) -> dict[str, float]:
    """How many samples were sent, and the share of them whose text is the same."""
    files = [path.read_bytes() for path in short_samples()]
    conditions = Conditions(
        model=DEMO,
        clip_s=LONGEST_S,
        compute_type="int8",
        beam_size=5,
        language=None,
        fail_fast=False,
        limit_s=120,
        extra_fields=(("transcription_tier", "realtime"),),
    )
    with contenders.stock(conditions, files) as plain:
        theirs = plain.round(clients=1, n_requests=len(files))
    with contenders.worker(conditions, files, worker_env) as ours:
        loaded = ours.round(clients=CLIENTS, n_requests=2 * len(files))
    return {"samples": len(files), "same_text": identical_share([loaded], [theirs])}


def short_samples() -> list[Path]:
    """The samples that fit into one window."""
    listed = json.loads((SAMPLES / "manifest.json").read_text(encoding="utf-8"))
    return [SAMPLES / each["file"] for each in listed if each["text"] and each["duration_s"] < LONGEST_S]


def main() -> None:
    """Print the share."""
    print(json.dumps(measure({})))


if __name__ == "__main__":
    main()
