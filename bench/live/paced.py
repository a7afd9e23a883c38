"""Recordings of people live, at the speed of speech, and as files: word errors, delays and CPU time.

    python -m bench.live.paced --set FOLDER --gateway ws://127.0.0.1:9090 --worker http://127.0.0.1:8000 --streams 1,8

FOLDER holds recordings and a `manifest.json`, see `bench/accuracy/recordings.py`. One stream plays the recordings one
after the other. With more streams each plays all of them without a break, and begins with another one. The gateway and
the worker must run on this machine, because their CPU time is read.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np

from app.audio.decode import decode_audio
from app.core.pcm import to_pcm16
from bench.accuracy.contenders import server
from bench.accuracy.listener import listener
from bench.accuracy.recordings import Recording, recordings_in
from bench.accuracy.scores import scored
from bench.accuracy.settings import settings_of
from bench.live import client
from bench.live.client import ClientRecord
from bench.live.figures import level_figures, recording_figures
from bench.live.material import GAP_S, RATE, Material
from bench.report import RESULTS, circumstances
from bench.usage import cpu_s, machine_cpu_s, tree

SPREAD_S = 8.0  # streams start within this time
MAX_AUDIO_S = 3600.0


def material_of(recording: Recording) -> Material:
    """A recording as a client sends it."""
    pcm = to_pcm16(decode_audio(recording.path.read_bytes(), max_audio_s=MAX_AUDIO_S))
    return Material(recording.path.name, recording.language, pcm, recording.text, ())


def playlist(materials: Sequence[Material], first: int) -> Material:
    """All recordings as one, with a second of silence between them, beginning with number `first`."""
    turned = [materials[(first + number) % len(materials)] for number in range(len(materials))]
    gap = np.zeros(round(GAP_S * RATE), dtype=np.int16)
    pcm = np.concatenate([part for each in turned for part in (each.pcm, gap)][:-1])
    reference = " ".join(each.reference or "" for each in turned)
    return Material(f"from {turned[0].name}", turned[0].language, pcm, reference, ())


async def play_level(url: str, materials: Sequence[Material], n_streams: int) -> list[ClientRecord]:
    """Play every recording in turn, or `n_streams` playlists at once."""
    if n_streams == 1:
        return [await client.play(url, each, speed=1.0, language=each.language) for each in materials]
    playlists = [playlist(materials, number) for number in range(n_streams)]
    delays_s = [SPREAD_S * number / n_streams for number in range(n_streams)]
    return await asyncio.gather(
        *(
            client.play(url, each, speed=1.0, language=each.language, delay_s=delay_s)
            for each, delay_s in zip(playlists, delays_s, strict=True)
        )
    )


def measure_level(url: str, materials: Sequence[Material], n_streams: int, pids: dict[str, int]) -> dict[str, Any]:
    """Play one level and return its figures."""
    before_s, machine_s, own_s = _used_s(pids), machine_cpu_s(), time.process_time()
    records = asyncio.run(play_level(url, materials, n_streams))
    spent_s = {name: seconds - before_s[name] for name, seconds in _used_s(pids).items()}
    machine_s, own_s = machine_cpu_s() - machine_s, time.process_time() - own_s
    others_s = max(0.0, machine_s - own_s - sum(spent_s.values()))
    figures = level_figures(records, n_streams=n_streams, cpu_s=spent_s)
    return figures | {
        "others_cpu_share": round(others_s / machine_s, 3),
        "recordings": [recording_figures(record) for record in records],
    }


def file_figures(url: str, recordings: Sequence[Recording]) -> dict[str, Any]:
    """Word errors of the same recordings as files, with the worker's defaults."""
    with server(settings_of(["server"])[0], url=url, pid=None) as worker:
        errors = {each.path.name: scored(each, worker.transcribe(each)).errors for each in recordings}
    wrong, words = sum(each.errors for each in errors.values()), sum(each.words for each in errors.values())
    return {
        "errors": wrong,
        "words": words,
        "wer": round(wrong / words, 4),
        "recordings": [{"file": name, "errors": each.errors, "words": each.words} for name, each in errors.items()],
    }


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line; exits with a message if it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m bench.live.paced", description=__doc__.splitlines()[0])
    parser.add_argument("--set", dest="folder", type=Path, required=True, help="recordings and their manifest.json")
    parser.add_argument("--only", default="", help="comma-separated; only files whose name holds one of these")
    parser.add_argument("--gateway", required=True, help="address of the gateway, ws://127.0.0.1:9090")
    parser.add_argument("--worker", required=True, help="address of the worker, http://127.0.0.1:8000")
    parser.add_argument("--streams", default="1", help="numbers of streams, one level after the other: 1,4,8")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON")
    parser.add_argument("--name", required=True, help="of the JSON file, without its ending")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure every level; writes the JSON after each one, and prints one line for each; 1 if a stream failed."""
    asked = parse(sys.argv[1:] if argv is None else argv)
    found = [each for each in recordings_in(asked.folder) if each.has_speech]
    recordings = [each for each in found if any(part in each.path.name for part in asked.only.split(","))]
    if not recordings:
        sys.exit(f"error: {asked.folder} holds no recording of speech with {asked.only!r} in its name")
    pids = {name: listener(urlsplit(url).port or 80) for name, url in _addresses(asked).items()}
    missing = [name for name, pid in pids.items() if pid is None]
    if missing:
        sys.exit(f"error: no {' and no '.join(missing)} listens at this address on this machine")
    facts = circumstances() | {"file": file_figures(asked.worker, recordings), "levels": []}
    materials = [material_of(each) for each in recordings]
    for n_streams in map(int, asked.streams.split(",")):
        known = {name: pid for name, pid in pids.items() if pid is not None}
        facts["levels"].append(measure_level(asked.gateway, materials, n_streams, known))
        shown = {name: value for name, value in facts["levels"][-1].items() if name != "recordings"}
        print(json.dumps(shown), flush=True)
        (asked.out / f"{asked.name}.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return 1 if any(level["failed"] for level in facts["levels"]) else 0


def _addresses(asked: argparse.Namespace) -> dict[str, str]:
    return {"worker": asked.worker, "gateway": asked.gateway}


def _used_s(pids: dict[str, int]) -> dict[str, float]:
    return {name: sum(cpu_s(process) for process in tree(pid)) for name, pid in pids.items()}


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except httpx.HTTPError as exc:
        sys.exit(f"error: {exc}")
