r"""Replay recordings through the live policy and a real worker in simulated time: for machines with other load.

    python -m bench.live.replay --url http://127.0.0.1:8000/v1/audio/transcriptions --pid $(cat worker.pid) \
        --audio-dir FOLDER --streams 1

The gateway's own Stream gets frames of 256 ms at the speed of speech, by a simulated clock. Each window is sent to the
worker, one at a time, and its answer counts as arriving after the CPU time that the worker used for it, as on an idle
machine. `--calls` answers are computed at the same time, each on its own core; a window waits while all are busy.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from app.live.policy.hypothesis import Hypothesis
from app.live.policy.stream import Stream
from app.live.policy.stream_policy import StreamPolicy
from app.live.policy.windows import LiveWindow, Update
from app.live.protocols.whisperlive.renderer import WhisperLiveRenderer
from app.live.remote import RemoteOptions, RemoteTranscriber
from bench.live import report, score
from bench.live.client import CHUNK, NORMAL_CLOSE, ClientRecord
from bench.live.material import RATE, Material, load
from bench.live.resources import usage

TICK_S = 0.02
SPREAD_S = 2.0  # the streams start within this time
LAST_N = 10


@dataclass
class Player:
    """One simulated client with its stream."""

    record: ClientRecord
    stream: Stream
    renderer: WhisperLiveRenderer
    n_fed: int = 0
    answer: tuple[float, LiveWindow, Hypothesis] | None = None
    cpu_s: list[float] = field(default_factory=list)

    def feed(self, now_s: float) -> None:
        """Feed the frames that are complete by now; after the last one the stream ends."""
        pcm = self.record.material.pcm
        while self.n_fed < len(pcm):
            frame = pcm[self.n_fed : self.n_fed + CHUNK]
            if now_s < self.record.started_s + (self.n_fed + len(frame)) / RATE:
                return
            self.stream.feed(frame, now_s)
            self.n_fed += len(frame)
        if not self.stream.finished:
            self.stream.finish()
            self.record.ended_s = now_s

    def take_answer(self, now_s: float) -> None:
        """Apply the answer if it has arrived."""
        if self.answer is not None and now_s >= self.answer[0]:
            _, window, hypothesis = self.answer
            self.answer = None
            self.show(self.stream.apply(window, hypothesis, now_s), now_s)

    def show(self, update: Update, now_s: float) -> None:
        """Record the messages that a client would get."""
        self.record.messages += [(now_s, json.loads(message.to_json())) for message in self.renderer.messages(update)]


def player(material: Material, number: int, policy: StreamPolicy, started_s: float) -> Player:
    """A client that starts at this simulated time."""
    record = ClientRecord(uid=f"{number}", material=material, started_s=started_s, close_code=NORMAL_CLOSE)
    renderer = WhisperLiveRenderer(record.uid, last_n=LAST_N, with_words=True)
    return Player(record, Stream(policy, language=material.language), renderer)


async def replay(players: Sequence[Player], remote: RemoteTranscriber, pid: int, *, calls: int) -> None:
    """Run all clients to their end."""
    tick = 0
    while not all(each.stream.done and each.answer is None for each in players):
        tick += 1
        now_s = tick * TICK_S
        for each in players:
            each.feed(now_s)
            each.take_answer(now_s)
            if (settled := each.stream.settle(now_s)) is not None:
                each.show(settled, now_s)
        free = calls - sum(each.answer is not None for each in players)
        due = [each for each in players if each.answer is None and each.stream.due(now_s)]
        for each in sorted(due, key=lambda one: one.stream.waiting_since_s() or 0.0)[: max(0, free)]:
            await _ask(each, remote, pid, now_s)
    for each in players:
        each.record.closed_s = tick * TICK_S


async def _ask(asking: Player, remote: RemoteTranscriber, pid: int, now_s: float) -> None:
    """Send the stream's window; its answer arrives after the CPU time it took."""
    window = asking.stream.next_window(now_s)
    if window is None:
        return
    before_s = _cpu_s(pid)
    hypothesis = await remote.transcribe(window, RemoteOptions())
    asking.cpu_s.append(_cpu_s(pid) - before_s)
    asking.answer = (now_s + asking.cpu_s[-1], window, hypothesis)


def _cpu_s(pid: int) -> float:
    """Processor seconds of the worker so far.

    Raises:
        SystemExit: it has ended.
    """
    found = usage(pid)
    if found is None:
        raise SystemExit(f"--pid {pid}: no such process; it must be the worker behind --url, on this machine")
    return found[1]


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Replay every recording, `--streams` at a time, and return the summary."""
    files = load(options.audio_dir, None, options.only)
    policy = StreamPolicy()
    groups = [[file] for file in files] if options.streams == 1 else [files]
    players: list[Player] = []
    async with httpx.AsyncClient() as client:
        remote = RemoteTranscriber(client, url=options.url)
        for group in groups:
            count = options.streams
            now = [player(group[n % len(group)], n, policy, SPREAD_S * n / count) for n in range(count)]
            await replay(now, remote, options.pid, calls=options.calls)
            players += now
    scores = [score.score(each.record, 1.0) for each in players]
    level = report.summary([each.record for each in players], scores, 0.0)
    sent = [seconds for each in players for seconds in each.cpu_s]
    audio_s = sum(each.record.material.duration_s for each in players)
    cpu = {"calls": len(sent), "cpu_per_call": score.spread(sent), "cpu_per_audio_s": sum(sent) / audio_s}
    rows = [
        report.client_result(number, each.record, judged, raw=False)
        for number, (each, judged) in enumerate(zip(players, scores, strict=True))
    ]
    return {"config": {"streams": options.streams, "calls": options.calls}, "summary": level | cpu, "clients": rows}


def main(argv: Sequence[str] | None = None) -> int:
    """Replay, print a line, and write the results if a file is named."""
    parser = argparse.ArgumentParser(description="Replay recordings through the live policy in simulated time.")
    parser.add_argument("--url", required=True, help="the worker's transcription URL")
    parser.add_argument("--pid", type=int, required=True, help="the worker's process, whose CPU time is the latency")
    parser.add_argument("--audio-dir", type=Path, required=True, help="WAV files and manifest.json")
    parser.add_argument("--only", default="", help="only files whose name holds this")
    parser.add_argument("--streams", type=int, default=1, help="clients at the same time; 1 plays file after file")
    parser.add_argument("--calls", type=int, default=2, help="requests that the worker processes at the same time")
    parser.add_argument("--output-file", type=Path, help="write the results here as JSON")
    options = parser.parse_args(argv)
    result = asyncio.run(measure(options))
    sys.stdout.write(f"{report.line(result['summary'])}\n")
    if options.output_file:
        options.output_file.write_text(json.dumps(result, indent=2, ensure_ascii=False), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
