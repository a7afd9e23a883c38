"""Closed-loop load over HTTP: each client sends its next clip when the last one has been answered.

After a 503 the client waits as Retry-After says, but at most a second, and sends the clip again; the wait is part of
the latency.

    python -m bench.http_load http://127.0.0.1:8000 --clients 8 --clip 5 --requests 32
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from urllib.parse import urlsplit

import httpx

from bench.arithmetic import Round, percentile
from bench.clips import clips
from bench.usage import Watch

ROUTE = "/v1/audio/transcriptions"
# Neither design removes silence, so that both transcribe the same audio; at temperature 0 the texts can be compared.
FIELDS = {"model": "whisper-1", "response_format": "json", "temperature": "0", "vad_filter": "false"}
MAX_BUSY_WAIT_S = 1.0
TIMEOUT_S = 300.0
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(slots=True)
class _Tally:
    """The results of all clients of one round."""

    latencies_s: list[float] = field(default_factory=list)
    texts: list[tuple[int, str]] = field(default_factory=list)
    n_busy: int = 0


def run_round(
    url: str,
    pid: int,
    files: Sequence[bytes],
    *,
    clients: int,
    n_requests: int,
    limit_s: float,
    fields: Mapping[str, str],
) -> Round:
    """Run one round of load on a server whose process is `pid`.

    Args:
        url: the server, on this machine.
        pid: its process; its children count, too.
        files: the clips, sent in turn.
        clients: requests in flight at once.
        n_requests: number of requests in total.
        limit_s: no further request is sent after this time.
        fields: form fields of every request besides the file.
    Raises:
        ValueError: the server is not on this machine.
        httpx.HTTPError: a request failed with an error other than 503.
    """
    if urlsplit(url).hostname not in LOOPBACK:
        raise ValueError(f"{url}: the server must be on this machine (127.0.0.1)")
    with Watch(pid) as watch:
        before = watch.usage()
        started_s = time.perf_counter()
        tally = asyncio.run(_drive(url, files, clients=clients, n_requests=n_requests, limit_s=limit_s, fields=fields))
        wall_s = time.perf_counter() - started_s
        after = watch.usage()
    tree_s, driver_s = after.tree_s - before.tree_s, after.driver_s - before.driver_s
    return Round(
        wall_s=wall_s,
        latencies_s=tuple(tally.latencies_s),
        n_busy=tally.n_busy,
        texts=tuple(tally.texts),
        cpu_s=tree_s,
        driver_cpu_s=driver_s,
        others_cpu_s=max(after.machine_s - before.machine_s - tree_s - driver_s, 0.0),
        peak_rss_bytes=watch.peak_rss_bytes,
    )


async def _drive(
    url: str, files: Sequence[bytes], *, clients: int, n_requests: int, limit_s: float, fields: Mapping[str, str]
) -> _Tally:
    tally = _Tally()
    jobs = itertools.islice(itertools.cycle(enumerate(files)), n_requests)
    until_s = time.monotonic() + limit_s
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, limits=limits, trust_env=False) as client:
        await asyncio.gather(*(_client(client, jobs, fields, until_s, tally) for _ in range(clients)))
    return tally


async def _client(
    client: httpx.AsyncClient,
    jobs: Iterator[tuple[int, bytes]],
    fields: Mapping[str, str],
    until_s: float,
    tally: _Tally,
) -> None:
    for number, audio in jobs:
        started_s = time.perf_counter()
        answer = await send(client, audio, fields)
        while answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            tally.n_busy += 1
            await asyncio.sleep(min(float(answer.headers.get("retry-after", 1)), MAX_BUSY_WAIT_S))
            answer = await send(client, audio, fields)
        answer.raise_for_status()
        tally.latencies_s.append(time.perf_counter() - started_s)
        tally.texts.append((number, answer.json()["text"]))
        if time.monotonic() > until_s:
            return


async def send(client: httpx.AsyncClient, audio: bytes, fields: Mapping[str, str]) -> httpx.Response:
    """Post one file."""
    return await client.post(ROUTE, data=dict(fields), files={"file": ("clip.wav", audio, "audio/wav")})


def main() -> None:
    """Run a round of load on a running server and print the result as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.http_load", description=__doc__.splitlines()[0])
    parser.add_argument("url", help="a server on this machine")
    parser.add_argument("--pid", type=int, required=True, help="the server's process, for CPU time and memory")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--clip", type=float, default=5.0, metavar="SECONDS")
    parser.add_argument("--requests", type=int, default=16)
    parser.add_argument("--limit", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--language", default="en", help="'' = the server detects the language")
    args = parser.parse_args()
    done = run_round(
        args.url, args.pid, clips(args.clip, 8), clients=args.clients, n_requests=args.requests,
        limit_s=args.limit, fields=FIELDS | ({"language": args.language} if args.language else {}),
    )  # fmt: skip
    facts = asdict(replace(done, texts=(), latencies_s=()))
    facts |= {"requests_per_s": len(done.latencies_s) / done.wall_s, "p95_s": percentile(done.latencies_s, 95)}
    print(json.dumps(facts, indent=2))


if __name__ == "__main__":
    main()
