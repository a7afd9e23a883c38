"""Clients that send faster than real time, in virtual time."""

import asyncio

import numpy as np

from app.contracts.whisperlive import END_OF_AUDIO
from app.live.session.connection import SessionLimits
from app.live.session.reader import MAX_SPEED
from tests.live import live, tones, virtual
from tests.live.backend import Backend

MINUTE = np.zeros(60 * tones.RATE, dtype="<f4").tobytes()


def test_a_flood_of_silence_is_slowed_down():
    """Zeros never fill memory; a client far ahead of real time is read at a limited speed nevertheless."""

    async def main():
        async with live.gateway(Backend(), limits=SessionLimits(buffer_max_s=60)) as gate:
            socket = live.MemorySocket()
            served = asyncio.create_task(gate.serve(socket, live.LOCAL))
            socket.say(live.handshake())
            for _ in range(100):
                socket.say(MINUTE)
            await asyncio.sleep(30)
            (session,) = gate.health()["sessions"]
            socket.leave()
            served.cancel()
            await asyncio.gather(served, return_exceptions=True)
            return session["audio_s"]

    audio_s = virtual.run(main())
    assert audio_s < 60 + 30 * MAX_SPEED + 2 * 60


def test_queued_frames_let_others_run():
    """A connection whose frames have all arrived lets other tasks run between any two of them."""

    async def main():
        turns = 0

        async def neighbour():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with live.gateway(Backend()) as gate:
            socket = live.MemorySocket()
            socket.say(live.handshake())
            for _ in range(1000):
                socket.say('{"type": "speaker_activity"}')
            socket.say(END_OF_AUDIO)
            task = asyncio.create_task(neighbour())
            await gate.serve(socket, live.LOCAL)
            task.cancel()
            return turns

    assert virtual.run(main()) > 1000
