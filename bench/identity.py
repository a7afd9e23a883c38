"""Compare texts: of the worker alone and under load, and of the worker and the plain design.

On the demo model every sample is sent to both: alone to the plain design, with seven others at the same time to the
worker; silence removal is off, and there is one attempt at temperature 0. Instruction sets and thread counts round
differently, which may decide between almost equal tokens, so the share is reported, not asserted.

On a folder of recordings the worker runs tiny.en with its default settings. Each English recording is sent alone, then
all of them with eight at a time. Rows of a batch do not influence each other, so no text may differ.

    python -m bench.identity
    python -m bench.identity --set FOLDER
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from bench import contenders
from bench.accuracy.model import real_model
from bench.accuracy.recordings import recordings_in
from bench.arithmetic import identical_share
from bench.clips import SAMPLES
from bench.contenders import Conditions
from bench.processes import ROOT, StartFailure

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


def alone_and_under_load(folder: Path, worker_env: Mapping[str, str]) -> dict[str, int]:
    """Return the number of English recordings, of answers under load, and of those whose text differs from alone.

    Raises:
        StartFailure: tiny.en is not installed.
    """
    model = real_model()
    if model is None:
        raise StartFailure("tiny.en is not installed; run `make setup`, or name its directory in ACCURACY_MODEL")
    recordings = [each for each in recordings_in(folder) if each.counts]
    files = [each.path.read_bytes() for each in recordings]
    conditions = Conditions(
        model=model,
        clip_s=max(each.duration_s for each in recordings),
        compute_type="int8",
        beam_size=5,
        language="en",
        fail_fast=False,
        limit_s=300,
        extra_fields=(("vad_filter", "true"),),
    )
    with contenders.worker(conditions, files, worker_env) as worker:
        alone = worker.round(clients=1, n_requests=len(files))
        loaded = worker.round(clients=CLIENTS, n_requests=2 * len(files))
    texts = dict(alone.texts)
    differing = sum(text != texts[number] for number, text in loaded.texts)
    return {"recordings": len(files), "answers": len(loaded.texts), "differing": differing}


def short_samples() -> list[Path]:
    """Return the samples that fit into one window."""
    listed = json.loads((SAMPLES / "manifest.json").read_text(encoding="utf-8"))
    return [SAMPLES / each["file"] for each in listed if each["text"] and each["duration_s"] < MAX_CLIP_S]


def main() -> None:
    """Print the result; exit with 1 if a text under load differs from the same text alone."""
    parser = argparse.ArgumentParser(prog="python -m bench.identity", description=__doc__.splitlines()[0])
    parser.add_argument("--set", type=Path, help="folder of recordings; default: the samples of the tests")
    args = parser.parse_args()
    try:
        found = alone_and_under_load(args.set, {}) if args.set else measure({})
    except StartFailure as exc:
        sys.exit(f"error: {exc}")
    print(json.dumps(found))
    sys.exit(1 if found.get("differing") else 0)


if __name__ == "__main__":
    main()
