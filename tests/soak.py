"""Soak and chaos test: `python tests/soak.py --help`.

Starts a local cluster with live gateways, Redis and a collector, loads it for some minutes, kills and freezes its
processes meanwhile, and checks that every request was answered with the right text. See docs/soak.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Started by its path, Python looks for modules beside this file first, where tests/http hides the library's http.
sys.path[0] = str(ROOT)

import aiohttp  # noqa: E402 - after the line above

from app.core.errors import StartupError  # noqa: E402
from tests.chaos import report  # noqa: E402
from tests.chaos.outcome import Outcome  # noqa: E402
from tests.chaos.recordings import load_recordings  # noqa: E402
from tests.chaos.run import WORKERS, Soak, Wanted  # noqa: E402
from tests.chaos.verdict import failures  # noqa: E402
from tests.cluster.ports import free_ports  # noqa: E402
from tests.cluster.real import RealCluster, real_cluster  # noqa: E402

# Two slots and two places in the queue for each worker: requests wait, and are refused, at a load that two cores bear.
# With `auto` a worker could start with another encoder than the one before, whose text may differ.
SETTINGS = {"FAIL_FAST_WHEN_BUSY": "false", "MAX_QUEUE_SIZE": "2", "ENCODER": "ctranslate2"}
PROBLEMS = ("Traceback (most recent call last)", "this is a bug", "not everything is stored", "unexpected error")
MOST_PROBLEMS = 10


def main(argv: list[str] | None = None) -> int:
    """Run the test; exit code 1 if anything was not as it must be."""
    arguments = _parser().parse_args(argv)
    wanted = Wanted(arguments.minutes, arguments.seed, arguments.model)
    try:
        outcome = _run(wanted, arguments.log)
    except (AssertionError, ConnectionError, StartupError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    failed = failures(outcome)
    text = report.markdown(outcome, failed)
    print()
    print(text)
    for example in outcome.tally.examples:
        print(f"example: {example}")
    if arguments.json:
        arguments.json.write_text(json.dumps(report.as_json(outcome, failed), indent=1) + "\n", encoding="utf-8")
    if arguments.report:
        arguments.report.write_text(text, encoding="utf-8")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Load a local cluster, kill its processes, and check every answer.")
    add = parser.add_argument
    add("--minutes", type=float, default=3.0, help="how long the load lasts (default 3)")
    add("--model", default="demo", help="demo, tiny.en, fake, or another MODEL_SIZE (default demo)")
    add("--seed", type=int, default=1, help="of requests and faults (default 1)")
    add("--json", type=Path, help="write all numbers there")
    add("--report", type=Path, help="write the tables there, as Markdown")
    add("--log", type=Path, help="keep the cluster's log there")
    return parser


def _run(wanted: Wanted, log: Path | None) -> Outcome:
    """Run against a cluster of its own, and stop it."""
    with tempfile.TemporaryDirectory(prefix="soak-data-") as data, _cluster(wanted.model, Path(data)) as cluster:
        try:
            outcome = asyncio.run(_soak(cluster, wanted))
            exit_code = cluster.stop()
        finally:
            if log is not None:
                log.write_bytes(cluster.log.read_bytes())
        lines = cluster.log.read_text(errors="replace").splitlines()
        problems = [line for line in lines if any(each in line for each in PROBLEMS)]
        return replace(outcome, exit_code=exit_code, log_problems=tuple(problems[:MOST_PROBLEMS]))


@contextmanager
def _cluster(model: str, data: Path) -> Iterator[RealCluster]:
    """Start workers, two gateways, a Redis and a collector behind nginx."""
    redis_port, collector_port = free_ports(2)
    program = (
        *("-m", "app", "cluster", "--gateways", "2", "--collector", "--data", str(data)),
        *("--redis-port", str(redis_port), "--collector-port", str(collector_port)),
    )
    with real_cluster(WORKERS, {"MODEL_SIZE": model, **SETTINGS}, program=program) as cluster:
        yield cluster


async def _soak(cluster: RealCluster, wanted: Wanted) -> Outcome:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        return await Soak(cluster, session, load_recordings(), wanted, show=_show).run()


def _show(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
