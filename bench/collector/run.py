"""Measure the collector with a real Redis, on SQLite and on PostgreSQL.

Each part runs alone and adds its numbers to the results of the day, so that none takes much longer than ten minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, get_args

from bench.collector import cpu, faults, outage, push, reading, steady, throughput
from bench.collector.places import Database, Places, places
from bench.collector.report import table
from bench.processes import ROOT
from bench.report import circumstances

RESULTS: Final = ROOT / "bench" / "results"
Part = Callable[[Places, argparse.Namespace], Coroutine[Any, Any, dict[str, Any]]]
PARTS: Final[dict[str, Part]] = {
    "throughput": lambda at, _: throughput.measure(at),
    "cpu": lambda at, _: cpu.measure(at),
    "steady": lambda at, chosen: steady.measure(at, seconds=chosen.seconds),
    "outage": lambda at, _: outage.measure(at),
    "reading": lambda at, chosen: reading.measure(at, segments=chosen.segments),
    "push": lambda at, _: push.measure(at),
    "faults": lambda at, _: faults.measure(at),
}


def main() -> None:
    """Run the chosen parts on the chosen databases, and print the table of the day."""
    chosen = _arguments()
    file: Path = chosen.results
    parts = ["faults"] if chosen.faults else chosen.parts or list(PARTS)
    for database in chosen.databases or get_args(Database):
        for part in parts:
            with places(database) as at:
                result = asyncio.run(PARTS[part](at, chosen))
            print(f"{part} on {database}: {json.dumps(result)}", flush=True)
            _keep(file, part, database, result)
    print(table(json.loads(file.read_text("utf-8"))["results"]))


def _keep(file: Path, part: str, database: str, result: dict[str, Any]) -> None:
    kept = json.loads(file.read_text("utf-8")) if file.exists() else {"results": {}}
    kept["circumstances"] = circumstances()
    kept["results"].setdefault(part, {})[database] = result
    file.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.collector", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to measure; everything without it")
    parser.add_argument("--database", dest="databases", action="append", choices=get_args(Database))
    parser.add_argument("--faults", action="store_true", help="kills, stops and outages in their full length")
    parser.add_argument("--seconds", type=float, default=560.0, help="how long `steady` lasts")
    parser.add_argument("--segments", type=int, default=1_000_000, help="what `reading` searches in")
    today = dt.datetime.now(dt.UTC).date().isoformat()
    parser.add_argument("--results", type=Path, default=RESULTS / f"{today}-collector.json")
    return parser.parse_args()
