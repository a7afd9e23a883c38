"""Does the formula of capacity planning hold? Random arrivals at one worker, beside what the formula says.

    python -m bench.capacity --set FOLDER

Requests that run at once share the cores, so the number of them follows a geometric distribution, cut off at the
slots (processor sharing, M/G/1/K). Its mean is the slots in use on average, which the metrics tell; its last term is
the share of random arrivals that find every slot busy. Beside it stands Erlang's loss formula, which is right where
each slot has a processor of its own.
Source: L. Kleinrock, Queueing Systems, volume 2, chapter 4; docs/operations.md explains the use.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

from bench.arithmetic import percentile
from bench.clips import clips
from bench.processes import free_port, running
from tests.load.arrivals import poisson

CLIP_S: Final = 7.0
N_CLIPS: Final = 16
N_SATURATING: Final = 60  # requests of the closed loop that measures the highest rate
BUSY: Final = 503


@dataclass(frozen=True, slots=True)
class Answer:
    """One request: its status, and its seconds from when it was due."""

    status: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Row:
    """One run at one rate of arrivals.

    Attributes:
        rate: arrivals a second that were really sent.
        hold_s: mean seconds in a slot.
        busy: share of the slots in use on average, by whisper_slot_seconds_total.
        refused: share of requests with 503.
        p95_s: of the answered ones.
    """

    rate: float
    hold_s: float
    slots: int
    busy: float
    refused: float
    p95_s: float


def refused_share(busy: float, slots: int) -> float:
    """The share of random arrivals that find all of a machine's slots busy.

    Args:
        busy: share of the slots in use on average, 0 to 1.
        slots: of the machine.
    """
    lowest, highest = 0.0, 1e3  # of the ratio between one term of the distribution and the next
    for _ in range(100):
        ratio = (lowest + highest) / 2
        lowest, highest = (ratio, highest) if _mean(ratio, slots) < busy * slots else (lowest, ratio)
    terms = [lowest**number for number in range(slots + 1)]
    return terms[-1] / sum(terms)


def most_busy(slots: int, *, refused: float) -> float:
    """The highest average use of a machine's slots at which at most this share is refused."""
    lowest, highest = 0.0, 1.0
    for _ in range(50):
        middle = (lowest + highest) / 2
        lowest, highest = (middle, highest) if refused_share(middle, slots) < refused else (lowest, middle)
    return lowest


def erlang_loss(erlangs: float, slots: int) -> float:
    """Erlang's loss formula: the same share if every slot had a processor of its own."""
    share = 1.0
    for number in range(1, slots + 1):
        share = erlangs * share / (number + erlangs * share)
    return share


def _mean(ratio: float, slots: int) -> float:
    terms = [ratio**number for number in range(slots + 1)]
    return sum(number * term for number, term in enumerate(terms)) / sum(terms)


def main() -> None:
    """Measure, and print one row for each rate."""
    parser = argparse.ArgumentParser(prog="python -m bench.capacity", description=__doc__)
    parser.add_argument("--set", type=Path, help="folder of recordings with a manifest.json; default: the tests' own")
    parser.add_argument("--model", default="tiny.en", help="MODEL_SIZE of the worker")
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=90.0, help="of each rate")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.3, 0.5, 0.7, 0.9], help="of the highest rate")
    arguments = parser.parse_args()
    port = free_port()
    env = {
        "MODEL_SIZE": arguments.model,
        "PORT": str(port),
        "MAX_CONCURRENT_TRANSCRIPTIONS": str(arguments.slots),
        "LOG_LEVEL": "error",
    }
    url = f"http://127.0.0.1:{port}"
    with running([sys.executable, "main.py"], env, ready_url=f"{url}/health/ready"):
        asyncio.run(_measure(url, arguments))


async def _measure(url: str, arguments: argparse.Namespace) -> None:
    files = clips(CLIP_S, N_CLIPS, arguments.set)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=httpx.Limits(max_connections=None)) as client:
        highest = await _highest_rate(client, files, callers=arguments.slots)
        print(f"clips of {CLIP_S:g} s, {arguments.slots} slots: at most {highest:.2f} requests/s ", end="")
        print(f"({highest * CLIP_S:.0f} times real time)\n")
        print("| arrivals/s | s in a slot | slots busy | refused | formula | Erlang | p95 s |\n" + "|---" * 7 + "|")
        for number, share in enumerate(arguments.shares):
            due_s = poisson(highest * share, arguments.seconds, random.Random(number))  # noqa: S311 - the dice of arrivals
            row = await _run(client, files, due_s, slots=arguments.slots, seconds=arguments.seconds)
            shares = (
                row.refused,
                refused_share(row.busy, row.slots),
                erlang_loss(row.rate * row.hold_s, row.slots),
            )
            cells = (f"{row.rate:.2f}", f"{row.hold_s:.2f}", f"{row.busy:.0%}", *(f"{share:.1%}" for share in shares))
            print("| " + " | ".join((*cells, f"{row.p95_s:.2f}")) + " |", flush=True)


async def _highest_rate(client: httpx.AsyncClient, files: Sequence[bytes], *, callers: int) -> float:
    """Requests a second with every slot busy."""
    left = iter(range(N_SATURATING + callers))
    loop = asyncio.get_running_loop()

    async def call() -> None:
        for number in left:
            await _post(client, files[number % len(files)], loop.time())

    began_s = loop.time()
    await asyncio.gather(*(call() for _ in range(callers)))
    return (N_SATURATING + callers) / (loop.time() - began_s)


async def _run(
    client: httpx.AsyncClient, files: Sequence[bytes], due_s: Sequence[float], *, slots: int, seconds: float
) -> Row:
    before = await _read(client)
    began_s = asyncio.get_running_loop().time()

    async def call(number: int, at_s: float) -> Answer:
        await asyncio.sleep(max(0.0, began_s + at_s - asyncio.get_running_loop().time()))
        return await _post(client, files[number % len(files)], began_s + at_s)

    answers = await asyncio.gather(*(call(number, at_s) for number, at_s in enumerate(due_s)))
    after = await _read(client)
    done = [answer.seconds for answer in answers if answer.status == httpx.codes.OK]
    slot_s = after - before
    return Row(
        rate=len(answers) / seconds,
        hold_s=slot_s / len(done),
        slots=slots,
        busy=slot_s / (seconds * slots),
        refused=sum(answer.status == BUSY for answer in answers) / len(answers),
        p95_s=percentile(done, 95),
    )


async def _post(client: httpx.AsyncClient, audio: bytes, due_s: float) -> Answer:
    """Send one file once; a refusal is not repeated."""
    answer = await client.post(
        "/v1/audio/transcriptions", files={"file": ("a.wav", audio, "audio/wav")}, data={"model": "whisper-1"}
    )
    return Answer(answer.status_code, asyncio.get_running_loop().time() - due_s)


async def _read(client: httpx.AsyncClient) -> float:
    """Seconds for which slots have been in use."""
    text = (await client.get("/metrics")).text
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return next(sample.value for sample in samples if sample.name == "whisper_slot_seconds_total")


if __name__ == "__main__":
    main()
