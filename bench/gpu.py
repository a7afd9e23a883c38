"""Benchmark the engine on an NVIDIA GPU: large-v3-turbo's architecture, two compute types, several batch sizes.

Each measurement is a separate process, with a command line that can be run by hand. `--dry-run` prints the command
lines and checks them without a GPU: `bench.engine` parses them, and the worker's settings accept them. Two requests
are in flight for each row of a batch, so that the next batch is complete when the last one ends.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ctranslate2

from bench import engine
from bench.processes import ROOT, clean_environment
from bench.random_model import CACHE, REVISION, cached_model
from bench.report import RESULTS, circumstances
from bench.run import n_tokens

SIZE = "large-v3-turbo"
COMPUTE_TYPES = ("float16", "int8_float16")
BATCHES = (1, 4, 8, 16, 32)
CLIP_S = 30.0
ROUNDS = 6  # batches' worth of requests in a measurement
LIMIT_S = 300.0


def commands(model: Path) -> list[list[str]]:
    """Return the arguments of `python -m bench.engine` for every measurement."""
    return [
        [
            "--model", str(model), "--device", "cuda", "--compute-type", compute_type,
            "--max-batch-size", str(batch), "--clients", str(2 * batch), "--clip", f"{CLIP_S:g}",
            "--requests", str(ROUNDS * max(batch, 4)),
        ]
        for compute_type in COMPUTE_TYPES
        for batch in BATCHES
    ]  # fmt: skip


def check(arguments: Sequence[str]) -> None:
    """Check that a command line could be run.

    Raises:
        SystemExit: the arguments are wrong.
        StartupError: the worker would refuse its settings.
    """
    engine.settings_for(engine.parse(arguments))


def run(arguments: Sequence[str]) -> dict[str, Any]:
    """Run one measurement in a new process.

    Raises:
        subprocess.CalledProcessError: it failed; its error is on standard error.
    """
    done = subprocess.run(
        [sys.executable, "-m", "bench.engine", *arguments],
        cwd=ROOT, env=clean_environment({}), stdout=subprocess.PIPE, text=True, check=True, timeout=LIMIT_S,
    )  # fmt: skip
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def device_name() -> str:
    """Return the driver's name for the first GPU."""
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0].strip()


def show(done: dict[str, Any]) -> str:
    """Return one line of the table."""
    figures = done["figures"]
    return (
        f"{done['engine']['compute_type']:>14}  batch {done['engine']['max_batch']:>2}  "
        f"{figures['windows_per_s']:7.2f} windows/s  {figures['audio_s_per_s']:8.0f} audio s/s  "
        f"p50 {figures['p50_s']:.3f} s  p95 {figures['p95_s']:.3f} s"
    )


def main() -> None:
    """Measure, or print what would be measured."""
    parser = argparse.ArgumentParser(prog="bench/gpu.sh", description=__doc__.splitlines()[0])
    parser.add_argument("--dry-run", action="store_true", help="print and check the command lines only")
    args = parser.parse_args()
    tokens = n_tokens(CLIP_S)
    expected = CACHE / f"{SIZE}-{tokens}-float16-r{REVISION}"
    if args.dry_run:
        for arguments in commands(expected):
            check(arguments)
            print(shlex.join(["python", "-m", "bench.engine", *arguments]))
        print(f"{len(commands(expected))} command lines are well-formed; nothing was run")
        return
    if ctranslate2.get_cuda_device_count() == 0:
        sys.exit("no NVIDIA GPU is visible to this process; --dry-run checks the command lines without one")
    results = []
    for arguments in commands(cached_model(SIZE, n_tokens=tokens, quantization="float16")):
        results.append(run(arguments))
        print(show(results[-1]), flush=True)
    name = device_name()
    today = dt.datetime.now(dt.UTC).date().isoformat()
    path = RESULTS / f"{today}-{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.json"
    path.write_text(json.dumps({**circumstances(), "device": name, "cells": results}, indent=1) + "\n", "utf-8")
    print(f"written: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
