"""Load test of a running service: `python tests/load_test.py --help`.

Runs against anything that speaks the OpenAI API: one worker, the local cluster, compose. See docs/load-testing.md.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Started by its path, Python looks for modules beside this file first, where tests/http hides the library's http.
sys.path[0] = str(ROOT)

from tests.load import report  # noqa: E402 - after the line above
from tests.load.arithmetic import summarise  # noqa: E402
from tests.load.arrivals import poisson  # noqa: E402
from tests.load.client import Target, closed_loop, live, open_loop, target, warm_up  # noqa: E402
from tests.load.plot import draw  # noqa: E402
from tests.load.report import Run  # noqa: E402
from tests.load.sounds import Sound, load  # noqa: E402

LARGEST_CONCURRENCY = 64
MOST_ERRORS = 0.10
FEWEST_SUCCESSES = 0.95
PATH = "/v1/audio/transcriptions"


def main(argv: list[str] | None = None) -> int:
    """Run the chosen tests; exit code 1 if anything failed other than by being busy."""
    arguments = _parser().parse_args(argv)
    try:
        runs = asyncio.run(_run(arguments))
    except (ConnectionError, ValueError, OSError, subprocess.CalledProcessError) as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    document = report.as_json(
        runs, settings={key: str(value) for key, value in vars(arguments).items() if key != "api_key"}
    )
    if arguments.json:
        report.write_json(arguments.json, document)
        print(f"written: {arguments.json}")
    if arguments.plot:
        draw(arguments.plot, runs)
        print(f"written: {arguments.plot}")
    return 1 if any(run.summary.failed for run in runs) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Load a transcription service and measure it.")
    add = parser.add_argument
    add("--api-url", default=os.environ.get("API_URL", "http://localhost:8083"), help="the balancer (API_URL)")
    add("--worker-url", default="http://localhost:8000", help="one worker, for --test-single")
    add("--api-key", default=os.environ.get("API_KEY", ""), help="key to present (API_KEY)")
    add("--audio-file", type=Path, action="append", help="16 kHz mono WAV; may be repeated (tests/test_audio.wav)")
    add("--test-single", action="store_true", help="one worker: double the callers until it refuses")
    add("--test-scaling", action="store_true", help="scale the cluster and compare at equal load per worker")
    add("--test-all", action="store_true", help="both")
    add("--workers", type=int, nargs="+", default=[1, 2, 3], help="cluster sizes for the scaling test")
    add("--requests", type=int, default=20, help="requests per worker")
    add("--concurrency", type=int, default=2, help="callers per worker; its slots, to be never refused")
    add("--timeout", type=float, default=300.0, help="seconds until a request is given up")
    add("--mode", choices=("closed", "open", "live"), default="closed", help="without a --test: which callers")
    add("--clients", type=int, default=4, help="closed, live: how many callers")
    add("--rate", type=float, default=2.0, help="open: requests per second on average, Poisson")
    add("--duration", type=float, default=30.0, help="open, live: seconds")
    add("--impatient", action="store_true", help="closed: after a busy answer go on at once")
    add("--warm-up", type=int, default=1, help="rounds of single requests before anything counts")
    add("--seed", type=int, default=1, help="of the arrivals")
    add("--scale-command", default=str(ROOT / "tests" / "scale_workers.sh"), help="called with the number of workers")
    add("--json", type=Path, help="write everything there")
    add("--plot", type=Path, help="write a PNG there")
    return parser


async def _run(arguments: argparse.Namespace) -> list[Run]:
    sounds = [load(path) for path in arguments.audio_file or [ROOT / "tests" / "test_audio.wav"]]
    total_s = sum(sound.audio_s for sound in sounds)
    print(f"{len(sounds)} audio files, {total_s:.1f} s in all")
    if arguments.test_single and not arguments.test_all:
        return await _single(arguments, sounds)
    if arguments.test_scaling:
        return await _scaling(arguments, sounds)
    if arguments.test_all:
        return [*await _single(arguments, sounds), *await _scaling(arguments, sounds)]
    return [await _one(arguments, sounds)]


async def _one(arguments: argparse.Namespace, sounds: list[Sound]) -> Run:
    dice = random.Random(arguments.seed)
    async with target(arguments.api_url + PATH, api_key=arguments.api_key, timeout_s=arguments.timeout) as service:
        await warm_up(service, sounds, arguments.warm_up)
        if arguments.mode == "open":
            await open_loop(service, sounds, due_s=poisson(arguments.rate, arguments.duration, dice))
            run = _result(service, f"open, {arguments.rate:g}/s", load=arguments.rate)
        elif arguments.mode == "live":
            streams = await live(service, sounds, clients=arguments.clients, duration_s=arguments.duration, dice=dice)
            run = _result(service, f"live, {arguments.clients} streams", load=arguments.clients, streams=streams)
        else:
            await closed_loop(
                service, sounds, clients=arguments.clients, requests=arguments.requests, patient=not arguments.impatient
            )
            run = _result(service, f"closed, {arguments.clients} callers", load=arguments.clients)
    _show([run])
    return run


async def _single(arguments: argparse.Namespace, sounds: list[Sound]) -> list[Run]:
    """Double the callers of one worker until more than a tenth of the requests are refused."""
    url = arguments.worker_url + PATH
    runs: list[Run] = []
    callers = 1
    async with target(url, api_key=arguments.api_key, timeout_s=arguments.timeout) as service:
        await warm_up(service, sounds, arguments.warm_up)
        while callers <= LARGEST_CONCURRENCY:
            service.samples = []
            await closed_loop(service, sounds, clients=callers, requests=max(10, 2 * callers), patient=False)
            runs.append(_result(service, f"1 worker, {callers} callers", workers=1, load=callers))
            if runs[-1].summary.ok < (1 - MOST_ERRORS) * runs[-1].summary.total:
                break
            callers *= 2
    _show(runs)
    good = [run for run in runs if run.summary.ok >= FEWEST_SUCCESSES * run.summary.total]
    if good:
        best = max(good, key=lambda run: run.summary.requests_per_s)
        print(f"best with at least 95 % success: {best.load:.0f} callers, {best.summary.requests_per_s:.2f} requests/s")
    return runs


async def _scaling(arguments: argparse.Namespace, sounds: list[Sound]) -> list[Run]:
    """Measure each size of the cluster with the same number of callers and requests per worker."""
    runs: list[Run] = []
    for workers in arguments.workers:
        command = [*shlex.split(arguments.scale_command), str(workers)]
        await asyncio.to_thread(subprocess.run, command, check=True, stdout=subprocess.DEVNULL, timeout=900)
        async with target(arguments.api_url + PATH, api_key=arguments.api_key, timeout_s=arguments.timeout) as service:
            await warm_up(service, sounds, arguments.warm_up)
            callers = arguments.concurrency * workers
            await closed_loop(service, sounds, clients=callers, requests=arguments.requests * workers, patient=True)
            runs.append(_result(service, f"{workers} worker{'s' * (workers > 1)}", workers=workers, load=callers))
    _show(runs)
    print("\n".join(report.scaling_lines(runs, cores=os.cpu_count() or 1)))
    return runs


def _result(service: Target, name: str, *, workers: int = 0, load: float, streams: report.Streams = ()) -> Run:
    return Run(name, workers, load, summarise(service.samples), service.samples, streams)


def _show(runs: list[Run]) -> None:
    print()
    print(report.table(runs))
    for run in runs:
        print(f"{run.name}: {report.statuses(run.summary)}")
        for line in report.live_lines(run.streams) if run.streams else ():
            print(line)
    print()


if __name__ == "__main__":
    sys.exit(main())
