"""A contender's process: reads a recording from each line of standard input, writes its transcription as JSON.

Each contender has a process of its own, so that its CPU time, its threads and the process settings of the
worker are its own. The first line written says what was loaded.

    python -m bench.accuracy.child engine --model DIRECTORY
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from app.ops import tuning
from app.settings.worker import load_settings
from bench.accuracy import transcribers
from bench.accuracy.transcribers import LocalTranscriber


def answers(transcriber: LocalTranscriber, requests: Iterable[str]) -> Iterator[str]:
    """What was loaded, then a transcription for each request; all are lines of JSON."""
    yield json.dumps({"multilingual": transcriber.multilingual})
    for line in requests:
        request = json.loads(line)
        yield json.dumps(asdict(transcriber.transcribe(Path(request["path"]), request["language"])))


def main() -> None:
    """Load once, then serve lines until standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m bench.accuracy.child", description=__doc__.splitlines()[0])
    parser.add_argument("design", choices=("stock", "engine"))
    parser.add_argument("--model", required=True)
    asked = parser.parse_args()
    settings = load_settings()
    if asked.design == "engine":
        tuning.apply(enabled=settings.cpu_tuning)
        transcriber = transcribers.engine(asked.model)
    else:
        transcriber = transcribers.stock(asked.model, vad_filter=settings.vad_filter, beam_size=settings.beam_size)
    for line in answers(transcriber, sys.stdin):
        print(line, flush=True)
    transcriber.close()


if __name__ == "__main__":
    main()
