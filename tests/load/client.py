"""Send requests in an open loop, a closed loop, or as live streams. Async (aiohttp)."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from tests.load.arithmetic import BUSY, NO_ANSWER, OK, Sample
from tests.load.live import LiveStream, Window
from tests.load.sounds import Sound, cut, pcm_of, word_errors

SHOW_EVERY_S = 1.0
LIVE_STEP_S = 0.1
LAST_TRIES = 5
LONGEST_RETRY_S = 30.0


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer as the caller receives it."""

    status: int
    text: str
    retry_after_s: float
    started_s: float
    ended_s: float


@dataclass(slots=True)
class Target:
    """The service under test, and its text for each sound when it is idle."""

    session: aiohttp.ClientSession
    url: str
    timeout_s: float
    idle_texts: dict[str, str] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    in_flight: int = 0

    async def post(self, wav: bytes, name: str, language: str = "") -> Reply:
        """Transcribe once; a broken connection or a timeout is status 0."""
        form = aiohttp.FormData()
        form.add_field("file", wav, filename=name, content_type="audio/wav")
        for key, value in (("model", "whisper-1"), ("response_format", "json"), ("language", language)):
            if value:
                form.add_field(key, value)
        self.in_flight += 1
        started_s = time.perf_counter()
        status, text, retry_after_s = NO_ANSWER, "", 1.0
        try:
            async with self.session.post(
                self.url, data=form, timeout=aiohttp.ClientTimeout(total=self.timeout_s)
            ) as response:
                body = await response.read()
                status, retry_after_s = response.status, _seconds(response.headers.get("Retry-After"))
                if status == OK:
                    text = str(json.loads(body)["text"])
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError):
            status = NO_ANSWER
        finally:
            self.in_flight -= 1
        return Reply(status, text, retry_after_s, started_s, time.perf_counter())

    async def measure(self, sound: Sound, due_s: float) -> Reply:
        """Transcribe once and keep the sample."""
        reply = await self.post(sound.wav, sound.name, sound.language)
        errors, words = word_errors(sound.text, reply.text) if reply.status == OK else (0, 0)
        changed = reply.status == OK and reply.text != self.idle_texts.get(sound.name, reply.text)
        self.samples.append(
            Sample(due_s, reply.started_s, reply.ended_s, reply.status, sound.audio_s, errors, words, changed)
        )
        return reply


def _seconds(retry_after: str | None) -> float:
    try:
        return min(float(retry_after or 1.0), LONGEST_RETRY_S)
    except ValueError:
        return 1.0


@asynccontextmanager
async def target(url: str, *, api_key: str, timeout_s: float) -> AsyncIterator[Target]:
    """Connect to the service; as many connections as callers."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        yield Target(session, url, timeout_s)


async def warm_up(service: Target, sounds: list[Sound], rounds: int) -> None:
    """Send each sound alone, `rounds` times, and keep the idle service's text.

    Raises:
        ConnectionError: it does not transcribe even then.
    """
    for _ in range(max(1, rounds)):
        for sound in sounds:
            reply = await service.post(sound.wav, sound.name, sound.language)
            if reply.status != OK:
                said = f"status {reply.status}" if reply.status else "no answer"
                raise ConnectionError(f"{service.url}: {said} to a single request for {sound.name}")
            service.idle_texts[sound.name] = reply.text


async def closed_loop(service: Target, sounds: list[Sound], *, clients: int, requests: int, patient: bool) -> None:
    """Let `clients` callers send `requests` in all, each its next one when its last one is answered.

    A patient caller respects Retry-After after a busy answer; an impatient one continues at once.
    """
    queue = iter(range(requests))

    async def caller() -> None:
        for number in queue:
            reply = await service.measure(sounds[number % len(sounds)], time.perf_counter())
            if patient and reply.status in BUSY:
                await asyncio.sleep(reply.retry_after_s)

    await _watched(service, [caller() for _ in range(clients)])


async def open_loop(service: Target, sounds: list[Sound], *, due_s: list[float]) -> None:
    """Send one request at each of these moments, whether or not earlier ones are answered."""
    begun_s = time.perf_counter()

    async def caller(number: int, moment_s: float) -> None:
        await asyncio.sleep(max(0.0, begun_s + moment_s - time.perf_counter()))
        await service.measure(sounds[number % len(sounds)], begun_s + moment_s)

    await _watched(service, [caller(number, moment_s) for number, moment_s in enumerate(due_s)])


async def live(
    service: Target, sounds: list[Sound], *, clients: int, duration_s: float, dice: random.Random
) -> list[LiveStream]:
    """Let that many speakers talk for `duration_s`; each begins somewhere within the first two seconds."""
    pcm = pcm_of(sounds)
    streams = [LiveStream() for _ in range(clients)]

    async def speaker(stream: LiveStream, offset_s: float) -> None:
        await asyncio.sleep(offset_s)
        begun_s = time.perf_counter()
        while (now_s := time.perf_counter() - begun_s) < duration_s:
            window = stream.next_window(now_s)
            if window is None:
                await asyncio.sleep(LIVE_STEP_S)
                continue
            await _send(service, stream, window, pcm, begun_s)
        for _ in range(LAST_TRIES):
            last = stream.last_window(duration_s)
            if last is None or await _send(service, stream, last, pcm, begun_s):
                break
            await asyncio.sleep(1.0)
        stream.end(duration_s)

    await _watched(service, [speaker(stream, dice.uniform(0.0, 2.0)) for stream in streams])
    return streams


async def _send(service: Target, stream: LiveStream, window: Window, pcm: bytes, begun_s: float) -> bool:
    """Send the window; return whether it was transcribed."""
    wav = await asyncio.to_thread(cut, pcm, window.begin_s, window.end_s)
    reply = await service.post(wav, "audio.wav")
    service.samples.append(Sample(reply.started_s, reply.started_s, reply.ended_s, reply.status, window.audio_s))
    now_s = reply.ended_s - begun_s
    if reply.status == OK:
        stream.served(window, now_s)
    else:
        stream.refused(now_s, reply.retry_after_s)
    return reply.status == OK


async def _watched(service: Target, work: list[Awaitable[None]]) -> None:
    """Do the work and print its progress every second."""
    begun_s = time.perf_counter()
    first = len(service.samples)

    def line() -> str:
        done = service.samples[first:]
        ok = sum(sample.status == OK for sample in done)
        busy = sum(sample.status in BUSY for sample in done)
        return (
            f"{time.perf_counter() - begun_s:6.0f} s   {len(done)} done: {ok} ok, {busy} busy, "
            f"{len(done) - ok - busy} failed   {service.in_flight} in flight"
        )

    progress = asyncio.create_task(_show(line))
    try:
        await asyncio.gather(*work)
    finally:
        progress.cancel()
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{line()}\n")


async def _show(line: Callable[[], str]) -> None:
    end = "" if sys.stderr.isatty() else "\n"
    start = "\r" if sys.stderr.isatty() else ""
    while True:
        await asyncio.sleep(SHOW_EVERY_S)
        sys.stderr.write(f"{start}{line()}{end}")
        sys.stderr.flush()
