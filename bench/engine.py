"""The worker's engine without the service around it: what the HTTP layers cost is the difference.

The same classes the server builds, driven by as many coroutines as there would be clients; audio
decoding is part of it, sockets and forms are not.

    python -m bench.engine --model DIRECTORY --clients 8 --clip 30 --requests 16
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace

from app.core.options import Options
from app.engine.build import build_engine
from app.engine.engine import Engine, transcribe
from app.http.admission import Admission
from app.ops import tuning
from app.settings.worker import WorkerSettings, load_settings
from bench.arithmetic import Round, pool
from bench.clips import clips
from bench.usage import Watch

WARM_UP_S = 3.0
N_CLIPS = 8


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line; exits with a message if it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m bench.engine", description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="directory of a CTranslate2 Whisper, or MODEL_SIZE's names")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--compute-type", default="int8")
    parser.add_argument("--audio-context", default="full", choices=("full", "auto"))
    parser.add_argument("--max-batch-size", type=int, default=0, help="0 = the worker's own choice")
    parser.add_argument("--clients", type=int, default=8, help="requests in flight")
    parser.add_argument("--clip", type=float, default=30.0, metavar="SECONDS")
    parser.add_argument("--requests", type=int, default=16)
    parser.add_argument("--language", default="en", help="'' = detect it")
    parser.add_argument("--lines", action="store_true", help="run a round for each line {clients, requests} read")
    return parser.parse_args(argv)


def settings_for(asked: argparse.Namespace) -> WorkerSettings:
    """The worker's settings that the command line stands for.

    Raises:
        StartupError: a value the worker would refuse.
    """
    return load_settings(
        model_size=asked.model,
        device=asked.device,
        compute_type=asked.compute_type,
        audio_context=asked.audio_context,
        max_batch_size=asked.max_batch_size,
        max_concurrent_transcriptions=asked.clients,
    )


async def run_round(
    engine: Engine, files: Sequence[bytes], *, clients: int, n_requests: int, language: str | None
) -> Round:
    """One round of closed-loop load on a loaded engine in this process."""
    # A slot is given back a moment after its answer: the next request waits for that, it is not refused.
    admission = Admission(slots=clients, max_queue=clients, fail_fast=False, retry_after_s=1)
    admission.open(slots=clients)
    options = Options(language=language, vad_filter=False)
    jobs = itertools.islice(itertools.cycle(enumerate(files)), n_requests)
    latencies_s: list[float] = []
    texts: list[tuple[int, str]] = []

    async def client(jobs: Iterator[tuple[int, bytes]]) -> None:
        for number, audio in jobs:
            started_s = time.perf_counter()
            transcript = await transcribe(engine, audio, options, await admission.acquire())
            latencies_s.append(time.perf_counter() - started_s)
            texts.append((number, transcript.text))

    with Watch(os.getpid()) as watch:
        before = watch.usage()
        started_s = time.perf_counter()
        await asyncio.gather(*(client(jobs) for _ in range(clients)))
        wall_s = time.perf_counter() - started_s
        after = watch.usage()
    cpu_s = after.tree_s - before.tree_s
    return Round(
        wall_s=wall_s,
        latencies_s=tuple(latencies_s),
        n_busy=0,
        texts=tuple(texts),
        cpu_s=cpu_s,
        driver_cpu_s=0.0,  # the load is made in the same process
        others_cpu_s=max(after.machine_s - before.machine_s - cpu_s, 0.0),
        peak_rss_bytes=watch.peak_rss_bytes,
    )


async def serve_lines(asked: argparse.Namespace) -> None:
    """Load once; then a round for each line read from standard input, a Round as JSON for each written."""
    engine = await asyncio.to_thread(build_engine, settings_for(asked))
    files = clips(asked.clip, N_CLIPS)
    language = asked.language or None
    await run_round(engine, files, clients=1, n_requests=1, language=language)
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        cell = json.loads(line)
        done = await run_round(engine, files, clients=cell["clients"], n_requests=cell["requests"], language=language)
        print(json.dumps(asdict(done)), flush=True)
    await engine.close()


async def measure(asked: argparse.Namespace) -> dict[str, object]:
    """Load, warm up, measure once."""
    engine = await asyncio.to_thread(build_engine, settings_for(asked))
    files = clips(asked.clip, N_CLIPS)
    language = asked.language or None
    until_s = time.monotonic() + WARM_UP_S
    while True:
        await run_round(engine, files, clients=asked.clients, n_requests=asked.clients, language=language)
        if time.monotonic() > until_s:
            break
    done = await run_round(engine, files, clients=asked.clients, n_requests=asked.requests, language=language)
    facts = {
        "engine": asdict(engine.info),
        "clip_s": asked.clip,
        "clients": asked.clients,
        "figures": asdict(pool([replace(done, texts=())], clip_s=asked.clip, n_cores=os.cpu_count() or 1)),
    }
    await engine.close()
    return facts


def main() -> None:
    """Measure in the environment the worker gives itself."""
    asked = parse(sys.argv[1:])
    tuning.apply(enabled=settings_for(asked).cpu_tuning)
    if asked.lines:
        asyncio.run(serve_lines(asked))
    else:
        print(json.dumps(asyncio.run(measure(asked)), indent=2))


if __name__ == "__main__":
    main()
