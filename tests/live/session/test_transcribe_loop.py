"""What follows from each outcome of a request; test_session covers whole sessions."""

import asyncio
from itertools import pairwise

import httpx
import pytest

from app.contracts.whisperlive import Handshake
from app.core.pcm import to_pcm16
from app.live.metrics import GatewayMetrics
from app.live.policy.stream import Stream
from app.live.policy.stream_policy import StreamPolicy
from app.live.protocols.whisperlive.renderer import WhisperLiveRenderer
from app.live.remote import RemoteOptions, RemoteTranscriber
from app.live.scheduler import Scheduler
from app.live.session.outbox import Outbox
from app.live.session.transcribe_loop import TranscribeLoop
from app.live.session.warnings import SessionWarnings
from tests.live import tones, virtual
from tests.live.backend import Backend

RECORDING = tones.chatter(6, seed=1)


def ask_all(backend):
    """Transcribe a finished stream; returns (final words, log of requests)."""

    async def main():
        async with httpx.AsyncClient(transport=backend.transport()) as client:
            box = Outbox(WhisperLiveRenderer("u", last_n=10, with_words=False))
            metrics = GatewayMetrics()
            stream = Stream(StreamPolicy(), language="en")
            transcribe_loop = TranscribeLoop(
                stream,
                RemoteOptions(request_id="s"),
                remote=RemoteTranscriber(client, url="http://service/x"),
                scheduler=Scheduler(2),
                outbox=box,
                warnings=SessionWarnings(Handshake(uid="u"), box, metrics, "s"),
                metrics=metrics,
            )
            stream.feed(to_pcm16(RECORDING.pcm), 0.0)
            stream.finish()
            await transcribe_loop.run()
            messages = [m for m in await box.take() if hasattr(m, "segments")]
            finals = {(s.start, s.text) for m in messages for s in m.segments if s.completed}
            return tones.plain("".join(text for _, text in sorted(finals, key=lambda f: float(f[0]))))

    return virtual.run(main())


def gaps(backend):
    """Seconds between requests."""
    times = [request.at_s for request in backend.log]
    return [later - earlier for earlier, later in pairwise(times)]


def test_everything_is_asked_and_then_it_ends():
    """A finished stream is transcribed until nothing is left, with no further request."""
    backend = Backend()
    assert ask_all(backend) == RECORDING.text
    assert len(backend.log) < 4


def test_retry_after_is_kept_and_spread():
    """The wait is never shorter than Retry-After, at most a quarter longer, and not always the same."""
    backend = Backend(retry_after="2")
    backend.refuse = lambda request: 503 if len(backend.log) <= 8 else None
    assert ask_all(backend) == RECORDING.text
    waits = gaps(backend)[:7]
    assert all(2.0 <= wait <= 2.5 for wait in waits)
    assert len({round(wait, 3) for wait in waits}) > 1


@pytest.mark.parametrize("status", [500, 404])
def test_failures_are_asked_about_ever_more_seldom(status):
    """Without Retry-After, the waits grow up to a limit."""
    backend = Backend()
    backend.refuse = lambda request: status if len(backend.log) <= 7 else None
    assert ask_all(backend) == RECORDING.text
    waits = gaps(backend)[:6]
    assert waits[0] < waits[2] < waits[3]
    assert max(waits) <= 50


def test_cancelling_leaves_no_turn_behind():
    """If it is cancelled during a request, the slot is free again."""

    async def main():
        backend = Backend(delay_s=100)
        async with httpx.AsyncClient(transport=backend.transport()) as client:
            box = Outbox(WhisperLiveRenderer("u", last_n=10, with_words=False))
            metrics, scheduler, stream = GatewayMetrics(), Scheduler(1), Stream(StreamPolicy(), language="en")
            transcribe_loop = TranscribeLoop(
                stream,
                RemoteOptions(),
                remote=RemoteTranscriber(client, url="http://service/x"),
                scheduler=scheduler,
                outbox=box,
                warnings=SessionWarnings(Handshake(uid="u"), box, metrics, "s"),
                metrics=metrics,
            )
            stream.feed(to_pcm16(RECORDING.pcm), 0.0)
            stream.finish()
            task = asyncio.create_task(transcribe_loop.run())
            await asyncio.sleep(1)
            busy = scheduler.in_flight
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return busy, scheduler.in_flight

    assert virtual.run(main()) == (1, 0)
