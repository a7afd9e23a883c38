"""Load test of a WhisperLive-compatible server: N clients in real time, compared with the reference texts.

    python tests/load_test_client.py --num-clients 8 --port 9090 --audio-dir tests/audio --duration 600
    python tests/load_test_client.py --ramp 1,2,4,8,16 --only long --plot

Writes `run_<N>_clients_<timestamp>.json` per level. The measures are explained in docs/load-testing.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if sys.path[0] == str(ROOT / "tests"):  # run as a script; and tests/http would hide the library's http
    sys.path[0] = str(ROOT)

from bench.live import client, material, plot, report, score  # noqa: E402  after the path above
from bench.live.resources import Resources  # noqa: E402  as above

SPREAD_S = 2.0  # clients start at random within this time
HEALTHY_SHARE = 0.95  # a ramp stops below this share of successful clients


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; the first six options are those of other WhisperLive load testers."""
    parser = argparse.ArgumentParser(description="Load test a WhisperLive-compatible server.")
    parser.add_argument("--num-clients", type=int, default=5)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9090)
    parser.add_argument("--audio-dir", type=Path, default=ROOT / "tests" / "audio")
    parser.add_argument("--results-dir", type=Path, default=Path("results"))
    parser.add_argument("--output-file", type=Path, help="instead of a name made of clients and time")
    parser.add_argument("--references", type=Path, help="manifest with texts and sentence times")
    parser.add_argument("--only", default="", help="only files whose name holds this")
    parser.add_argument("--language", help="row for this language; 'file' takes it from the manifest")
    parser.add_argument("--duration", type=float, default=0.0, help="repeat each file to about this many seconds")
    parser.add_argument("--speed", type=float, default=1.0, help="times real time; latencies are true only at 1")
    parser.add_argument("--ramp", help="levels of clients one after the other, for example 1,2,4,8")
    parser.add_argument(
        "--pid", action="append", default=[], metavar="NAME=PID", help="report this process's resources"
    )
    parser.add_argument("--messages", action="store_true", help="keep every message in the JSON")
    parser.add_argument("--plot", action="store_true", help="also draw an SVG of the levels")
    return parser.parse_args(argv)


async def level(options: argparse.Namespace, count: int, files: list[material.Material]) -> dict[str, Any]:
    """Run `count` clients at once and score them."""
    resources = Resources({name: int(pid) for name, _, pid in (item.partition("=") for item in options.pid)})
    watcher = asyncio.create_task(resources.watch())
    url = f"ws://{options.host}:{options.port}"
    began = time.monotonic()
    records = await asyncio.gather(
        *(
            client.play(
                url,
                files[number % len(files)],
                speed=options.speed,
                language=files[number % len(files)].language if options.language == "file" else options.language,
                delay_s=SPREAD_S * number / count,
            )
            for number in range(count)
        )
    )
    watcher.cancel()
    scores = [score.score(record, options.speed) for record in records]
    results = [
        report.client_result(number, record, judged, raw=options.messages)
        for number, (record, judged) in enumerate(zip(records, scores, strict=True))
    ]
    config = {
        "num_clients": count,
        "server_url": url,
        "audio_dir": str(options.audio_dir),
        "speed": options.speed,
        "duration": options.duration,
        "language": options.language,
    }
    summary = report.summary(records, scores, time.monotonic() - began) | {"resources": resources.summary()}
    return report.document(config, results, summary)


def main(argv: Sequence[str] | None = None) -> int:
    """Run every level, write the files; 1 if a client failed."""
    options = arguments(argv)
    files = material.load(options.audio_dir, options.references, options.only)
    if options.duration:
        files = [material.repeated(file, options.duration) for file in files]
    counts = [int(part) for part in options.ramp.split(",")] if options.ramp else [options.num_clients]
    options.results_dir.mkdir(parents=True, exist_ok=True)
    levels = []
    for count in counts:
        result = asyncio.run(level(options, count, files))
        path = options.output_file if options.output_file and not options.ramp else None
        path = path or options.results_dir / f"{result['test_id']}.json"
        path.write_text(json.dumps(result, indent=2, ensure_ascii=False), encoding="utf-8")
        levels.append(result["summary"])
        sys.stdout.write(f"{report.line(result['summary'])}\n  {path}\n")
        for row in result["client_results"]:
            if row["error"]:
                sys.stdout.write(f"  client {row['client_id']} ({row['audio_file']}): {row['error']}\n")
        if levels[-1]["successful_clients"] < HEALTHY_SHARE * count:
            break
    if options.plot:
        picture = options.results_dir / f"ramp_{datetime.now().astimezone():%Y%m%d_%H%M%S}.svg"
        picture.write_text(plot.svg(levels), encoding="utf-8")
        sys.stdout.write(f"  {picture}\n")
    return 0 if all(entry["failed_clients"] == 0 for entry in levels) else 1


if __name__ == "__main__":
    raise SystemExit(main())
