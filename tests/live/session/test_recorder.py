"""What a session tells its recorder, in virtual time: everything, at once, and once."""

import asyncio
import json

import pytest

from app.contracts.whisperlive import END_OF_AUDIO
from app.live.policy.windows import Update
from app.live.session.connection import SessionEnd, SessionLimits
from app.live.session.recorder import NotRecorded
from tests.live import live, tones, virtual
from tests.live.backend import Backend

SPEECH = tones.speak([["alpha", "bravo"], ["charlie"]])


class Recording:
    """Keeps what the sessions of a gateway say."""

    def __init__(self):
        self.calls = []
        self.finals = []
        self.n_samples = 0

    def recorder(self, session_id, handshake):
        """One for all sessions."""
        self.calls.append(("recorder", handshake.uid))
        return self

    def health(self):
        """Something."""
        return {"connected": True}

    def audio(self, n_samples):
        """Count."""
        self.n_samples += n_samples

    def update(self, update):
        """Keep finals, and when they came."""
        now_s = asyncio.get_running_loop().time()
        self.finals += [(now_s, segment.text) for segment in update.completed]

    def control(self, kind, payload):
        """Keep."""
        self.calls.append((kind, payload))

    def end(self, ending, *, unheard_s):
        """Keep, with the number of finals before it."""
        self.calls.append(("end", ending, len(self.finals)))

    @property
    def words(self):
        """The words of all finals."""
        return tones.plain("".join(text for _, text in self.finals))

    @property
    def endings(self):
        """The reasons of all ends."""
        return [call[1] for call in self.calls if call[0] == "end"]


def serve(scenario, **options):
    """Run a scenario with a gateway that records; returns what it recorded."""
    recording = Recording()

    async def main():
        async with live.gateway(Backend(delay_s=0.2), recording=recording, **options) as gate:
            await scenario(gate)

    virtual.run(main())
    return recording


def test_a_whole_session():
    """All audio, all words that the client gets as final, control messages, and one end after the last final."""
    received = []

    async def scenario(gate):
        socket = live.MemorySocket()
        served = asyncio.create_task(gate.serve(socket, live.LOCAL))
        socket.say(live.handshake())
        socket.say(json.dumps({"type": "speaker_activity", "payload": {"participant_name": "Ann"}}))
        await live.play(socket, SPEECH.pcm)
        socket.say(END_OF_AUDIO)
        await served
        received.append(socket.words)

    recording = serve(scenario)
    assert recording.words == SPEECH.text == received[0]
    assert recording.n_samples == len(SPEECH.pcm)
    assert recording.calls == [
        ("recorder", "u-1"),
        ("speaker_activity", {"participant_name": "Ann"}),
        ("end", "end_of_audio", len(recording.finals)),
    ]


def test_a_client_that_does_not_read_is_recorded_at_once():
    """Text is stored when it is final, not when the client takes it."""

    async def scenario(gate):
        socket = live.MemorySocket(deaf=True)
        served = asyncio.create_task(gate.serve(socket, live.LOCAL))
        socket.say(live.handshake())
        await live.play(socket, SPEECH.pcm)
        await asyncio.sleep(3)
        assert socket.received == []
        await served

    recording = serve(scenario, limits=SessionLimits(send_timeout_s=60))
    assert recording.words == SPEECH.text
    assert recording.finals[-1][0] < SPEECH.duration_s + 3
    assert recording.endings == ["stuck"]


@pytest.mark.parametrize("ending", [SessionEnd.LEFT, SessionEnd.REPLACED, SessionEnd.DRAIN, SessionEnd.FAILED])
def test_every_ending_is_told_once(ending):
    """However the session ends, the last call is its end."""

    async def scenario(gate):
        socket = live.MemorySocket()
        served = asyncio.create_task(gate.serve(socket, live.LOCAL))
        socket.say(live.handshake())
        await live.play(socket, SPEECH.pcm[: 3 * tones.RATE])
        if ending is SessionEnd.LEFT:
            socket.leave()
        else:
            (connection,) = gate._connections.values()
            connection.session.stop(ending)
        await served

    recording = serve(scenario)
    assert recording.endings == [ending.value]
    assert recording.calls[-1][2] == len(recording.finals)


def test_a_cancelled_session_is_ended_too():
    """Its task was cancelled, for whatever reason."""

    async def scenario(gate):
        socket = live.MemorySocket()
        served = asyncio.create_task(gate.serve(socket, live.LOCAL))
        socket.say(live.handshake())
        await asyncio.sleep(1)
        served.cancel()
        await asyncio.gather(served, return_exceptions=True)

    assert serve(scenario).endings == ["left"]


def test_health_shows_the_publishing():
    """Only with details, and only if transcripts are published."""

    async def scenario(gate):
        assert gate.health()["publishing"] == {"connected": True}
        assert "publishing" not in gate.health(details=False)

    serve(scenario)


def test_without_a_recorder_nothing_happens():
    """Every call is ignored."""
    nobody = NotRecorded()
    nobody.audio(1)
    nobody.update(Update())
    nobody.control("x", {})
    nobody.end("left", unheard_s=0)
