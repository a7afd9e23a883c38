"""Compare the worker's texts with those of the plain design, on a trained model and different speech samples.

Every sample is sent to both: alone to the plain design, with seven others at the same time to the worker; silence
removal is off, and there is one attempt at temperature 0. Instruction sets and thread counts round differently, which
may decide between almost equal tokens, so the share is reported, not asserted.

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
MAX_CLIP_S = 4.0  # the demo model's window (serving.json): both designs transcribe the clip in one window
CLIENTS = 8


def measure(worker_env: Mapping[str, str]) -> dict[str, float]:
    """Return the number of samples, and the share of them whose text is the same."""
    files = [path.read_bytes() for path in short_samples()]
    conditions = Conditions(
        model=DEMO,
        clip_s=MAX_CLIP_S,
        compute_type="int8",
        beam_size=5,
        language=None,
        fail_fast=False,
        limit_s=120,
        # one try, with the plain design's beam width
        extra_fields=(("transcription_tier", "realtime"), ("beam_size", "5")),
    )
    with contenders.stock(conditions, files) as plain:
        theirs = plain.round(clients=1, n_requests=len(files))
    with contenders.worker(conditions, files, worker_env) as ours:
        loaded = ours.round(clients=CLIENTS, n_requests=2 * len(files))
    return {"samples": len(files), "same_text": identical_share([loaded], [theirs])}


def short_samples() -> list[Path]:
    """Return the samples that fit into one window."""
    listed = json.loads((SAMPLES / "manifest.json").read_text(encoding="utf-8"))
    return [SAMPLES / each["file"] for each in listed if each["text"] and each["duration_s"] < MAX_CLIP_S]


def main() -> None:
    """Print the share."""
    print(json.dumps(measure({})))


if __name__ == "__main__":
    main()
