"""What a session owes its client when it ends, in virtual time."""

import asyncio

import pytest

from app.streaming.connection import Limits
from tests.streaming import live, tones, virtual
from tests.streaming.backend import Backend


def told(socket, reason):
    """Seconds the client was told are lost for this reason."""
    return sum(float(warning.split()[0]) for warning in socket.warnings if f"lost ({reason})" in warning)


def left_at_drain(gate):
    """Seconds counted as not heard because of a stop."""
    lines = gate.metrics_text().decode().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("wsgw_left_at_drain_audio_seconds_total ")))


def test_audio_after_the_time_is_over_is_told():
    """A client that goes on speaking after its time hears of every second that was not taken."""
    recording = tones.chatter(60, seed=29)

    async def main():
        async with live.gateway(Backend(delay_s=0.2), limits=Limits(max_connection_time_s=20)) as gate:
            socket = live.MemorySocket()
            served = asyncio.create_task(gate.serve(socket))
            socket.say(live.hello(stats=True))
            await asyncio.gather(served, live.play(socket, recording.pcm[: 40 * tones.RATE]))
            return socket

    socket = virtual.run(main())
    assert told(socket, "ended") == pytest.approx(20, abs=0.6)
    assert socket.closed == (1000, "time is over")


def test_audio_during_a_stop_is_counted():
    """At a restart the client sends it again elsewhere: no warning, but the operator can see it."""
    recording = tones.chatter(60, seed=29)

    async def main():
        backend = Backend(delay_s=0.2)
        async with live.gateway(backend, limits=Limits(drain_grace_s=5)) as gate:
            socket = live.MemorySocket()
            served = asyncio.create_task(gate.serve(socket))
            socket.say(live.hello())
            playing = asyncio.create_task(live.play(socket, recording.pcm))
            await asyncio.sleep(10)
            backend.delay_s = 1e6
            await gate.drain()
            await served
            playing.cancel()
            return socket, left_at_drain(gate)

    socket, seconds = virtual.run(main())
    assert seconds >= 4.5
    assert socket.warnings == []
    assert socket.closed[0] == 1012
