"""The worker's engine without HTTP: the difference to the worker is the cost of the service.

It uses the same classes as the server, with one coroutine per client. Audio decoding is included, sockets and form
parsing are not.

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
from pathlib import Path

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
    """Parse the command line; exit with a message if it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m bench.engine", description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="directory of a CTranslate2 Whisper, or a name as in MODEL_SIZE")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--compute-type", default="int8")
    parser.add_argument("--audio-context", default="full", choices=("full", "auto"))
    parser.add_argument("--max-batch-size", type=int, default=0, help="0: chosen by the worker")
    parser.add_argument("--clients", type=int, default=8, help="requests in flight")
    parser.add_argument("--clip", type=float, default=30.0, metavar="SECONDS")
    parser.add_argument("--requests", type=int, default=16)
    parser.add_argument("--language", default="en", help="'' = detect the language")
    parser.add_argument("--set", type=Path, help="folder of recordings to cut clips from; default: synthetic speech")
    parser.add_argument(
        "--lines", action="store_true", help="run one round for each JSON line {clients, requests} on standard input"
    )
    return parser.parse_args(argv)


def settings_for(args: argparse.Namespace) -> WorkerSettings:
    """Return the worker's settings for this command line.

    Raises:
        StartupError: the worker would refuse a value.
    """
    return load_settings(
        model_size=args.model,
        device=args.device,
        compute_type=args.compute_type,
        audio_context=args.audio_context,
        max_batch_size=args.max_batch_size,
        max_concurrent_transcriptions=args.clients,
    )


async def run_round(
    engine: Engine, files: Sequence[bytes], *, clients: int, n_requests: int, language: str | None
) -> Round:
    """Run one round of closed-loop load on an engine in this process."""
    # A slot is freed a moment after its answer: the next request waits for it instead of being refused.
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
        driver_cpu_s=0.0,  # the load is generated in the same process
        others_cpu_s=max(after.machine_s - before.machine_s - cpu_s, 0.0),
        peak_rss_bytes=watch.peak_rss_bytes,
    )


async def serve_lines(args: argparse.Namespace) -> None:
    """Load the model; then run a round for each line of standard input and print each Round as JSON."""
    engine = await asyncio.to_thread(build_engine, settings_for(args))
    files = clips(args.clip, N_CLIPS, args.set)
    language = args.language or None
    await run_round(engine, files, clients=1, n_requests=1, language=language)
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        cell = json.loads(line)
        done = await run_round(engine, files, clients=cell["clients"], n_requests=cell["requests"], language=language)
        print(json.dumps(asdict(done)), flush=True)
    await engine.close()


async def measure(args: argparse.Namespace) -> dict[str, object]:
    """Load the model, warm up, and measure one round."""
    engine = await asyncio.to_thread(build_engine, settings_for(args))
    files = clips(args.clip, N_CLIPS, args.set)
    language = args.language or None
    until_s = time.monotonic() + WARM_UP_S
    while True:
        await run_round(engine, files, clients=args.clients, n_requests=args.clients, language=language)
        if time.monotonic() > until_s:
            break
    done = await run_round(engine, files, clients=args.clients, n_requests=args.requests, language=language)
    facts = {
        "engine": asdict(engine.info),
        "clip_s": args.clip,
        "clients": args.clients,
        "figures": asdict(pool([replace(done, texts=())], clip_s=args.clip, n_cores=os.cpu_count() or 1)),
    }
    await engine.close()
    return facts


def main() -> None:
    """Measure in the tuned environment of a worker."""
    args = parse(sys.argv[1:])
    tuning.apply(enabled=settings_for(args).cpu_tuning)
    if args.lines:
        asyncio.run(serve_lines(args))
    else:
        print(json.dumps(asyncio.run(measure(args)), indent=2))


if __name__ == "__main__":
    main()
