"""How sessions end, in virtual time."""

import asyncio

import pytest

from app.contracts.whisperlive import END_OF_AUDIO
from app.live.admission import StreamLimits
from app.live.session.connection import SessionLimits
from tests.live import live, tones, virtual
from tests.live.backend import Backend


def warned_s(socket, reason):
    """Seconds that the client was warned are lost for this reason."""
    return sum(float(warning.split()[0]) for warning in socket.warnings if f"lost ({reason})" in warning)


def dropped(gate):
    """Seconds counted as lost, by reason."""
    lines = gate.render_metrics()[0].decode().splitlines()
    counts = (line.split() for line in lines if line.startswith("wsgw_dropped_audio_seconds_total{"))
    return {name.split('"')[1]: float(seconds) for name, seconds in counts if float(seconds) > 0}


def left_at_drain(gate):
    """Seconds counted as untranscribed because of a shutdown."""
    lines = gate.render_metrics()[0].decode().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("wsgw_left_at_drain_audio_seconds_total ")))


def test_audio_after_the_time_is_over_is_reported():
    """A client that keeps sending after its time is warned of every second that is not transcribed."""
    recording = tones.chatter(60, seed=29)

    async def main():
        async with live.gateway(Backend(delay_s=0.2), limits=SessionLimits(max_connection_time_s=20)) as gate:
            socket = live.MemorySocket()
            served = asyncio.create_task(gate.serve(socket, live.LOCAL))
            socket.say(live.handshake(stats=True))
            await asyncio.gather(served, live.play(socket, recording.pcm[: 40 * tones.RATE]))
            return socket

    socket = virtual.run(main())
    assert warned_s(socket, "ended") == pytest.approx(20, abs=0.6)
    assert socket.closed == (1000, "time is over")


def test_audio_during_a_stop_is_counted():
    """At a restart the client sends the audio again elsewhere: no warning, but the metrics count it."""
    recording = tones.chatter(60, seed=29)

    async def main():
        backend = Backend(delay_s=0.2)
        async with live.gateway(backend, limits=SessionLimits(drain_grace_s=5)) as gate:
            socket = live.MemorySocket()
            served = asyncio.create_task(gate.serve(socket, live.LOCAL))
            socket.say(live.handshake())
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


@pytest.mark.parametrize("how", ["left", "replaced", "stuck", "failed", "cancelled"])
def test_whoever_goes_with_a_backlog_is_accounted_for(how, caplog, monkeypatch):
    """However a session is dropped, its untranscribed seconds are counted under its ending and logged."""
    recording = tones.chatter(25, seed=31)
    caplog.set_level("INFO")

    async def main():
        backend = Backend(refuse=lambda request: 503)
        async with live.gateway(backend, limits=SessionLimits(send_timeout_s=3)) as gate:
            socket = live.MemorySocket()
            served = asyncio.create_task(gate.serve(socket, live.LOCAL))
            socket.say(live.handshake())
            await live.play(socket, recording.pcm)
            if how == "left":
                socket.leave()
            elif how == "replaced":
                newer = live.MemorySocket()
                newer.say(live.handshake())
                newer.leave()
                await gate.serve(newer, live.LOCAL)
            elif how == "stuck":
                socket.deaf = True
                await asyncio.sleep(40)  # until there is something to send: text is late
            elif how == "failed":
                monkeypatch.setattr("app.live.policy.stream.Stream.feed", None)
                socket.say(b"\0" * 4096)
            else:
                served.cancel()
            await asyncio.gather(served, return_exceptions=True)
            return socket, dropped(gate), left_at_drain(gate)

    socket, lost, left = virtual.run(main())
    reason = "left" if how == "cancelled" else how
    active_s = sum(word.end - word.start for word in recording.words)
    assert lost.keys() == {reason}
    assert active_s * 0.9 < lost[reason] < 26
    assert left == 0
    ended = next(r for r in caplog.records if r.message == "session ended" and r.__dict__["fields"]["audio_s"] > 1)
    assert ended.__dict__["fields"]["untranscribed_s"] == pytest.approx(lost[reason], abs=0.1)
    assert ended.__dict__["fields"]["lost_s"] == pytest.approx(lost[reason], abs=0.1)
    assert ended.__dict__["fields"]["close_code"] == (1011 if how == "failed" else None)
    assert bool(warned_s(socket, reason)) == (how == "failed")


def test_frames_nobody_had_read_are_counted_too():
    """If a client leaves while memory is full, frames that arrived but were not read count as lost too."""

    async def main():
        backend = Backend(refuse=lambda request: 503)
        async with live.gateway(backend, limits=SessionLimits(buffer_max_s=35, buffer_stall_s=1e3)) as gate:
            socket = live.MemorySocket()
            served = asyncio.create_task(gate.serve(socket, live.LOCAL))
            socket.say(live.handshake())
            pcm = tones.chatter(60, seed=3, pause_s=0.2).pcm
            await live.play(socket, pcm, speed=100)
            socket.leave()
            await served
            return dropped(gate)["left"], len(pcm) / tones.RATE

    lost, whole = virtual.run(main())
    assert lost > whole - 0.4 * 35


@pytest.mark.parametrize("how", ["end of audio", "overtime", "held"])
def test_a_shutdown_shortens_a_session_that_is_ending(how):
    """Whatever a session is waiting for, a shutdown takes at most its grace time, and recognised words are final."""
    recording = tones.chatter(30, seed=95, words_per_sentence=(40, 40))
    backend = Backend(delay_s=0.2)
    limits = SessionLimits(drain_grace_s=5, max_connection_time_s=11 if how == "overtime" else 1e4)

    async def main():
        async with live.gateway(backend, limits=limits) as gate:
            socket = live.MemorySocket()
            served = asyncio.create_task(gate.serve(socket, live.LOCAL))
            socket.say(live.handshake())
            await live.play(socket, recording.pcm[: 10 * tones.RATE])
            if how == "held":
                await asyncio.sleep(5)
            else:
                backend.delay_s = 1e6
                await live.play(socket, recording.pcm[10 * tones.RATE : 12 * tones.RATE])
            if how != "overtime":
                socket.say(END_OF_AUDIO)
            await asyncio.sleep(2)
            began_s = asyncio.get_running_loop().time()
            await gate.drain()
            seconds = asyncio.get_running_loop().time() - began_s
            await served
            return socket, seconds

    socket, seconds = virtual.run(main())
    assert seconds == pytest.approx(5, abs=0.1)
    recognised = [word.text for word in recording.words if word.end < 9]
    assert socket.words[: len(recognised)] == recognised
    assert socket.closed[0] == (1000 if how == "held" else 1012)


@pytest.mark.parametrize(("leaves_s", "seconds"), [(None, 25), (15, 15)])
def test_a_late_end_marker_is_followed_by_another(leaves_s, seconds):
    """The stock RTSP client sends END_OF_AUDIO 5 s after its audio and again 15 s later: its socket is kept open."""
    recording = tones.speak([["alpha", "bravo"]])

    async def main():
        async with live.gateway(Backend(delay_s=0.2)) as gate:
            socket = live.MemorySocket()
            served = asyncio.create_task(gate.serve(socket, live.LOCAL))
            socket.say(live.handshake())
            await live.play(socket, recording.pcm)
            await asyncio.sleep(5)
            socket.say(END_OF_AUDIO)
            began_s = asyncio.get_running_loop().time()
            if leaves_s is not None:
                asyncio.get_running_loop().call_later(leaves_s, socket.say, END_OF_AUDIO)
            await served
            return socket, asyncio.get_running_loop().time() - began_s

    socket, took_s = virtual.run(main())
    assert took_s == pytest.approx(seconds, abs=0.1)
    assert socket.words == recording.text
    assert socket.closed == (1000, "")


def test_audio_after_the_end_marker_is_counted():
    """Audio that arrives while the socket is kept open for a second END_OF_AUDIO is counted as lost too."""

    async def main():
        async with live.gateway(Backend()) as gate:
            socket = live.MemorySocket()
            served = asyncio.create_task(gate.serve(socket, live.LOCAL))
            socket.say(live.handshake())
            await live.play(socket, tones.speak([["alpha"]]).pcm)
            await asyncio.sleep(5)
            socket.say(END_OF_AUDIO)
            await asyncio.sleep(1)
            await live.play(socket, tones.speak([["bravo"]]).pcm[:32_000])
            await served
            return dropped(gate)

    assert virtual.run(main()) == {"ended": pytest.approx(2.0)}


def test_a_client_that_leaves_while_memory_is_full_is_noticed():
    """Its frames are not read then, but its place is free at once."""

    async def main():
        backend = Backend(refuse=lambda request: 503)
        async with live.gateway(backend, limits=SessionLimits(buffer_max_s=35, buffer_stall_s=1e3)) as gate:
            socket = live.MemorySocket()
            served = asyncio.create_task(gate.serve(socket, live.LOCAL))
            socket.say(live.handshake())
            await live.play(socket, tones.chatter(60, seed=3).pcm, speed=100)
            await asyncio.sleep(5)
            socket.leave()
            await asyncio.sleep(0.1)
            count = gate.health()["active_connections"]
            served.cancel()
            await asyncio.gather(served, return_exceptions=True)
            return count

    assert virtual.run(main()) == 0


def test_a_uid_that_comes_again_and_again_holds_one_place():
    """Also while its older connections are flushing against a service that does not answer."""
    recording = tones.speak([["alpha", "bravo"]])

    async def main():
        async with live.gateway(Backend(delay_s=1e6), admission=StreamLimits(max_clients=2)) as gate:
            tasks = []
            for _ in range(10):
                socket = live.MemorySocket()
                tasks.append(asyncio.create_task(gate.serve(socket, live.LOCAL)))
                socket.say(live.handshake(uid="same"))
                await live.play(socket, recording.pcm)
                socket.say(END_OF_AUDIO)
                await asyncio.sleep(0.5)
            count = gate.health()["active_connections"]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            return count

    assert virtual.run(main()) == 1
