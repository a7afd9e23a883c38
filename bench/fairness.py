"""Latency of a short clip over HTTP while ten long files are transcribed.

The promise: its p95 is at most twice the p95 of an idle worker plus the time of one window. Separate clients send the
long files and cancel them after the measurement.

    python -m bench.fairness
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from bench import contenders
from bench.arithmetic import percentile
from bench.clips import clips
from bench.contenders import Conditions
from bench.http_load import TIMEOUT_S, send
from bench.random_model import ARCHITECTURES, cached_model
from bench.run import n_tokens

SHORT_S, WINDOW_S = 5.0, 30.0
N_LONG = 10
# The long files' windows are in the engine before the first short clip is sent.
HEAD_START_S = 5.0
PAUSE_S = 0.2
# Silence is removed, as by default, so long files are cut at pauses.
FIELDS = {"model": "whisper-1", "response_format": "json", "language": "en"}


def measure(model: Path, *, long_s: float, n_short: int, tier: str) -> dict[str, float | bool]:
    """Return the latencies of the short clip in seconds, on an idle worker and beside the long files.

    `files_ended` should be 0: otherwise the files were too short to run during the whole measurement.
    """
    conditions = Conditions(
        model=model, clip_s=SHORT_S, compute_type="int8", beam_size=5, language="en", fail_fast=False, limit_s=600
    )
    # Enough slots for all requests: fairness is measured in the engine, not in the admission.
    env = {"MAX_CONCURRENT_TRANSCRIPTIONS": str(N_LONG + 4)}
    with contenders.worker(conditions, (), env) as server:
        idle_s, loaded_s, window_s, n_ended = asyncio.run(_measure(server.url, long_s, n_short, tier))
    idle_p95_s, loaded_p95_s = percentile(idle_s, 95), percentile(loaded_s, 95)
    return {
        "short_clips": n_short,
        "window_s": window_s,
        "idle_p50_s": percentile(idle_s, 50),
        "idle_p95_s": idle_p95_s,
        "loaded_p50_s": percentile(loaded_s, 50),
        "loaded_p95_s": loaded_p95_s,
        "allowed_p95_s": 2 * idle_p95_s + window_s,
        "kept": loaded_p95_s <= 2 * idle_p95_s + window_s,
        "files_ended": n_ended,
    }


async def _measure(url: str, long_s: float, n_short: int, tier: str) -> tuple[list[float], list[float], float, int]:
    short = clips(SHORT_S, 8)
    limits = httpx.Limits(max_connections=N_LONG + 2)
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, limits=limits, trust_env=False) as client:
        await _latencies(client, short, 2)
        idle_s = await _latencies(client, short, n_short)
        window_s = percentile(await _latencies(client, clips(WINDOW_S, 3), 3), 50)
        fields = FIELDS | ({"transcription_tier": tier} if tier else {})
        files = [asyncio.create_task(send(client, audio, fields)) for audio in clips(long_s, N_LONG)]
        try:
            await asyncio.sleep(HEAD_START_S)
            loaded_s = await _latencies(client, short, n_short)
            n_ended = sum(file.done() for file in files)
        finally:
            for file in files:
                file.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*files, return_exceptions=True)
    return idle_s, loaded_s, window_s, n_ended


async def _latencies(client: httpx.AsyncClient, files: Sequence[bytes], n_requests: int) -> list[float]:
    """Send one clip after the other, like one client."""
    latencies_s: list[float] = []
    for number in range(n_requests):
        started_s = time.perf_counter()
        answer = await send(client, files[number % len(files)], FIELDS)
        answer.raise_for_status()
        latencies_s.append(time.perf_counter() - started_s)
        await asyncio.sleep(PAUSE_S)
    return latencies_s


def main() -> None:
    """Measure and print the result as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.fairness", description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="base", choices=ARCHITECTURES)
    parser.add_argument("--long", type=float, default=1200.0, metavar="SECONDS", help="length of the ten long files")
    parser.add_argument("--short", type=int, default=20, metavar="N", help="short clips measured idle and loaded")
    parser.add_argument("--tier", default="", help="transcription_tier of the long files, for example deferred")
    args = parser.parse_args()
    # One model is used for both lengths of audio: every window, short or full, returns the tokens of 15 s of speech.
    model = cached_model(args.size, n_tokens=n_tokens(WINDOW_S / 2))
    facts = measure(model, long_s=args.long, n_short=args.short, tier=args.tier)
    print(json.dumps({name: round(value, 3) for name, value in facts.items()} | {"kept": facts["kept"]}, indent=2))


if __name__ == "__main__":
    main()
