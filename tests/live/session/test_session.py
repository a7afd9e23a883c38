"""Whole sessions in virtual time: testing a minute of refusals takes a second."""

import asyncio
from itertools import pairwise

import numpy as np
import pytest

from app.contracts.whisperlive import END_OF_AUDIO
from app.live.policy import overlap, stream
from app.live.policy.stream_policy import StreamPolicy
from app.live.session.connection import SessionLimits
from tests.live import live, tones, virtual
from tests.live.backend import Backend

RATE = tones.RATE


def run(recording, backend, *, limits=None, policy=None, slots=8, **options):
    """One client from handshake to close; returns its socket."""

    async def main():
        async with live.gateway(backend, limits=limits, policy=policy, slots=slots) as gate:
            return await live.stream(gate, recording, **options)

    return virtual.run(main())


def covered(recording, requests, *, step_s=0.02):
    """Is every active part of the recording inside some accepted request? Compares samples."""
    source = (np.clip(recording.pcm, -1, 1) * 32767).astype("<i2").tobytes()
    held = np.zeros(len(source) // 2, dtype=bool)
    for request in requests:
        at = source.find((request.pcm * 32768).astype("<i2").tobytes().rstrip(b"\0"))
        assert at >= 0, "the service got samples that nobody sent"
        held[at // 2 : at // 2 + len(request.pcm)] = True
    return all(held[round(word.start * RATE) : round(word.end * RATE)].all() for word in recording.words)


def test_a_minute_of_refusals_loses_nothing():
    """While the service refuses everything for 60 s no sample is lost, and text catches up within 10 s."""
    recording = tones.chatter(120, seed=21)
    backend = Backend(delay_s=0.5, refuse=lambda request: 503 if 20 < request.at_s < 80 else None, retry_after="1")
    socket = run(recording, backend, stats=True)
    assert socket.words == recording.text
    assert covered(recording, backend.accepted())
    assert max(backend.most_in_flight.values()) == 1
    assert socket.messages[-1]["stats"]["dropped_s"] == 0
    refused = [request for request in backend.log if request.status == 503]
    assert 30 < len(refused) < 62
    assert all(later.at_s - earlier.at_s >= 1.0 for earlier, later in pairwise(refused))
    sizes = [request.duration_s for request in refused]
    growing = [size for size in sizes if size < 20]
    assert sizes[: len(growing)] == sorted(growing)
    assert max(sizes) <= StreamPolicy().max_window_s
    spoken_by_90 = [word.text for word in recording.words if word.end < 87]
    final_by_90 = tones.plain(
        "".join(
            {
                s["start"]: s["text"]
                for at, m in socket.received
                if at <= 90
                for s in m.get("segments", ())
                if s["completed"]
            }.values()
        )
    )
    assert final_by_90[: len(spoken_by_90) - 3] == spoken_by_90[:-3]
    assert any("late" in warning for warning in socket.warnings)


@pytest.mark.parametrize("status", [429, 500, 502, 504])
def test_other_refusals_lose_nothing_either(status):
    """Whatever temporary failure a service or a proxy answers with, the words arrive once."""
    recording = tones.chatter(40, seed=22)
    backend = Backend(delay_s=0.3, refuse=lambda request: status if 10 < request.at_s < 25 else None)
    assert run(recording, backend).words == recording.text


@pytest.mark.parametrize("body", [{}, {"error": {"message": "out of memory"}}])
def test_answers_without_a_transcript_lose_nothing(body):
    """A 200 without a transcript is a failure: the client is warned, and the audio is sent again."""
    recording = tones.chatter(40, seed=24)
    backend = Backend(delay_s=0.3, change=lambda answer, request: body if 10 < request.at_s < 30 else answer)
    socket = run(recording, backend)
    assert socket.words == recording.text
    assert any("without a transcript" in warning for warning in socket.warnings)


def test_slow_service_loses_nothing():
    """Requests that take longer than their audio make text late, not wrong."""
    recording = tones.chatter(60, seed=23)
    backend = Backend(delay_s=7.0)
    assert run(recording, backend).words == recording.text
    assert len(backend.log) < 14


def test_hanging_service_loses_nothing():
    """A request without an answer is cancelled after its timeout, and its audio is sent again."""
    recording = tones.chatter(50, seed=24)
    backend = Backend(delay_s=0.2)

    async def main():
        async with live.gateway(backend, timeout_s=5.0) as gate:
            task = asyncio.create_task(live.stream(gate, recording))
            await asyncio.sleep(10)
            backend.delay_s = 1e6
            await asyncio.sleep(12)
            backend.delay_s = 0.2
            return await task

    socket = virtual.run(main())
    assert socket.words == recording.text
    assert backend.cancelled >= 2


def test_service_too_slow_for_long_windows_recovers_from_an_outage():
    """If a full window takes longer than the timeout, shorter ones transcribe the audio of an outage."""
    recording = tones.chatter(90, seed=36)
    backend = Backend()

    def refuse(request):
        backend.delay_s = 0.3 if request.duration_s < 12 else 1e6
        return 503 if 10 < request.at_s < 60 else None

    backend.refuse = refuse

    async def main():
        async with live.gateway(backend, timeout_s=5.0) as gate:
            return await live.stream(gate, recording, stats=True)

    socket = virtual.run(main())
    assert socket.words == recording.text
    assert socket.messages[-1]["stats"]["dropped_s"] == 0


def test_wrong_setup_is_reported_and_nothing_is_lost():
    """A wrong key delays text, with a warning; once it is corrected, everything arrives."""
    recording = tones.chatter(60, seed=25)
    backend = Backend(delay_s=0.2, refuse=lambda request: 401 if request.at_s < 30 else None)
    socket = run(recording, backend)
    assert socket.words == recording.text
    assert any("refuses requests of this gateway" in warning for warning in socket.warnings)
    late = [warning for warning in socket.warnings if " s late" in warning]
    assert late
    assert not any("busy" in warning for warning in late)
    assert len([request for request in backend.log if request.status == 401]) < 8


def test_unknown_language_is_detected_instead():
    """A client that names a language unknown to the service is warned and loses nothing."""
    recording = tones.chatter(10, seed=26)

    backend = Backend(refuse=lambda request: 400 if request.fields.get("language") == ["tlh"] else None)
    backend.refusal = {"error": {"message": "no such language", "param": "language"}}
    socket = run(recording, backend, language="tlh", stats=True)
    assert socket.words == recording.text
    assert socket.messages[-1]["stats"]["dropped_s"] == 0
    assert [w for w in socket.warnings if "'tlh' is not known" in w]
    assert len([request for request in backend.log if request.status == 400]) == 1


def test_unavailable_translation_is_reported_and_text_arrives():
    """A model that cannot translate transcribes instead: one refused request, one warning, every word."""
    recording = tones.chatter(10, seed=26)
    backend = Backend(refuse=lambda request: 400 if "task" in request.fields else None)
    backend.refusal = {"error": {"message": "this model only transcribes", "param": "model"}}
    socket = run(recording, backend, task="translate")
    assert socket.words == recording.text
    assert socket.warnings == ["Translation is not available here; the transcript is not translated."]
    assert len([request for request in backend.log if request.status == 400]) == 1


def test_long_wishes_are_cut():
    """A service may refuse a long prompt every time, so only the last thousand characters of each part are sent."""
    backend = Backend()
    run(tones.speak([["alpha"]]), backend, initial_prompt="x" * 5000 + "Vexa", hotwords="y" * 5000)
    (prompt,) = backend.log[0].fields["prompt"]
    assert len(prompt) == 2001
    assert "Vexa" in prompt


@pytest.mark.parametrize("field", ["initial_prompt", "hotwords", "language", "model", "target_language"])
def test_half_a_character_in_a_wish_costs_the_wish_only(field):
    """JSON can contain half of a surrogate pair, which no request can: the stream continues without that option."""
    recording = tones.speak([["alpha"]])
    socket = run(recording, Backend(), **{field: "a\ud800"})
    assert socket.words == recording.text
    assert socket.closed == (1000, "")


def test_audio_the_service_never_takes_is_skipped_loudly():
    """Audio that is rejected twice is skipped, with its seconds in a warning; the rest arrives."""
    recording = tones.speak([["alpha", "bravo"], ["kilo", "lima"], ["papa", "tango"]], pause_s=2.0)

    def refuse(request):
        recognised = [word["word"].strip(" .") for s in tones.hear(request.pcm) for word in s["words"]]
        return 400 if "kilo" in recognised else None

    backend = Backend(refuse=refuse)
    socket = run(recording, backend, stats=True)
    assert [word for word in socket.words if word in {"alpha", "bravo", "papa", "tango"}] == [
        "alpha",
        "bravo",
        "papa",
        "tango",
    ]
    lost = socket.messages[-1]["stats"]["dropped_s"]
    assert 0 < lost < 6
    assert any("s of audio were lost (rejected)" in warning for warning in socket.warnings)


def test_burst_of_a_whole_file():
    """A client that sends everything at once gets all its text, although its audio exceeds the buffer."""
    recording = tones.chatter(200, seed=26)
    backend = Backend(delay_s=0.5)
    limits = SessionLimits(buffer_max_s=60)
    peak = 0.0

    async def main():
        nonlocal peak
        async with live.gateway(backend, limits=limits) as gate:
            task = asyncio.create_task(live.stream(gate, recording, speed=1e6))
            while not task.done():
                await asyncio.sleep(0.1)
                peak = max(peak, gate.health()["buffered_s"])
            return await task

    socket = virtual.run(main())
    assert socket.words == recording.text
    assert peak < 62
    assert not socket.warnings


def test_overflow_is_loud_and_bounded():
    """With a service that is down for good, memory stays bounded, and every lost second is reported and counted."""
    recording = tones.chatter(200, seed=27)
    backend = Backend(refuse=lambda request: 503 if request.at_s < 150 else None)
    limits = SessionLimits(buffer_max_s=60, buffer_stall_s=10)
    peak = 0.0

    async def main():
        nonlocal peak
        async with live.gateway(backend, limits=limits) as gate:
            task = asyncio.create_task(live.stream(gate, recording, stats=True))
            while not task.done():
                await asyncio.sleep(0.5)
                peak = max(peak, gate.health()["buffered_s"])
            return await task, gate.render_metrics()[0].decode()

    socket, metrics = virtual.run(main())
    lost = socket.messages[-1]["stats"]["dropped_s"]
    assert peak < 62
    assert lost > 30
    warned_s = sum(float(w.split()[0]) for w in socket.warnings if "lost (overflow)" in w)
    assert warned_s == pytest.approx(lost, abs=0.5)
    assert f'wsgw_dropped_audio_seconds_total{{reason="overflow"}} {lost}' in metrics
    last = recording.words[-1]
    assert float(socket.completed[-1]["end"]) == pytest.approx(last.end, abs=0.1)


def test_silence_costs_no_request():
    """Ten minutes of a quiet room lead to no request."""
    silence = np.random.default_rng(0).normal(0, 5e-4, 600 * RATE).astype(np.float32)
    backend = Backend()
    run(tones.Recording(silence, ()), backend)
    assert backend.log == []


def test_zeros_are_reported_not_transcribed():
    """A broken bridge sends zeros: the client is warned, and the service gets no request."""
    backend = Backend()
    socket = run(tones.Recording(np.zeros(20 * RATE, dtype=np.float32), ()), backend)
    assert backend.log == []
    assert len([w for w in socket.warnings if "nothing but zeros" in w]) == 1


def test_frozen_audio_is_reported():
    """One frame repeated is detected although it is loud."""
    frame = np.random.default_rng(0).normal(0, 0.1, live.CHUNK).astype(np.float32)
    backend = Backend()
    socket = run(tones.Recording(np.tile(frame, 100), ()), backend)
    assert any("the same frame repeated" in warning for warning in socket.warnings)
    assert sum(request.duration_s for request in backend.log) < 5


def test_file_client_gets_its_last_words_without_end_marker():
    """The stock file client stops sending and waits: the rest is flushed when no audio arrives."""
    recording = tones.speak([["alpha", "bravo", "charlie"]], tail_s=0.0, pause_s=0.0)
    backend = Backend(delay_s=0.2)

    async def main():
        async with live.gateway(backend) as gate:
            socket = live.MemorySocket()
            served = asyncio.create_task(gate.serve(socket, live.LOCAL))
            socket.say(live.handshake())
            await live.play(socket, recording.pcm)
            await asyncio.sleep(2.0)
            words = socket.words
            socket.leave()
            await served
            return words

    assert virtual.run(main()) == recording.text


@pytest.mark.parametrize("marker", [END_OF_AUDIO, "END_OF_AUDIO"])
def test_end_marker_flushes_and_closes(marker):
    """After END_OF_AUDIO the last words come at once, then a normal close; a second END_OF_AUDIO is harmless."""
    recording = tones.speak([["alpha", "bravo", "charlie"]], tail_s=0.0, pause_s=0.0)
    backend = Backend(delay_s=0.2)

    async def main():
        async with live.gateway(backend) as gate:
            socket = live.MemorySocket()
            served = asyncio.create_task(gate.serve(socket, live.LOCAL))
            socket.say(live.handshake())
            await live.play(socket, recording.pcm)
            ended = asyncio.get_running_loop().time()
            socket.say(marker)
            socket.say(marker)
            await served
            return socket, asyncio.get_running_loop().time() - ended

    socket, seconds = virtual.run(main())
    assert socket.words == recording.text
    assert socket.closed == (1000, "")
    assert seconds < 0.6


def test_leaving_frees_everything_at_once():
    """When a client just closes, its request is cancelled and its place is free."""
    recording = tones.chatter(10, seed=28)
    backend = Backend(delay_s=60.0)

    async def main():
        async with live.gateway(backend) as gate:
            await live.stream(gate, recording, end=False)
            return gate.health()

    health = virtual.run(main())
    assert health["active_connections"] == 0
    assert health["upstream"] == {"in_flight": 0, "waiting": 0}
    assert backend.cancelled == 1


def test_overtime_flushes_disconnects_and_waits_for_the_client():
    """When its time is over, the client gets its last words and DISCONNECT, and its socket stays open a while."""
    recording = tones.chatter(60, seed=29)
    backend = Backend(delay_s=0.2)

    async def main():
        async with live.gateway(backend, limits=SessionLimits(max_connection_time_s=20)) as gate:
            socket = live.MemorySocket()
            served = asyncio.create_task(gate.serve(socket, live.LOCAL))
            socket.say(live.handshake())
            playing = asyncio.create_task(live.play(socket, recording.pcm))
            while not any(m.get("message") == "DISCONNECT" for m in socket.messages):
                await asyncio.sleep(0.1)
            disconnect_at_s = asyncio.get_running_loop().time()
            playing.cancel()
            await served
            return socket, disconnect_at_s, asyncio.get_running_loop().time()

    socket, disconnect_at_s, closed = virtual.run(main())
    said = [word.text for word in recording.words if word.end < 19.5]
    assert socket.words[: len(said)] == said
    assert 20 <= disconnect_at_s < 22
    assert closed - disconnect_at_s == pytest.approx(25, abs=0.2)
    assert socket.closed[0] == 1000


def test_idle_client_gives_its_place_back():
    """A client without audio for the idle time gets DISCONNECT."""

    async def main():
        async with live.gateway(Backend(), limits=SessionLimits(idle_timeout_s=30)) as gate:
            socket = live.MemorySocket()
            served = asyncio.create_task(gate.serve(socket, live.LOCAL))
            socket.say(live.handshake())
            socket.say('{"type": "speaker_activity"}')
            await served
            return socket

    socket = virtual.run(main())
    assert socket.messages[-1]["message"] == "DISCONNECT"


def test_client_that_stops_reading_is_cut_off():
    """It costs others no memory and no time, and its connection is dropped after the send timeout."""
    deaf_words = tones.chatter(60, seed=30)
    other = tones.chatter(60, seed=31)
    backend = Backend(delay_s=0.2)

    async def main():
        async with live.gateway(backend, limits=SessionLimits(send_timeout_s=10)) as gate:
            deaf = live.MemorySocket()
            served = asyncio.create_task(gate.serve(deaf, live.LOCAL))
            deaf.say(live.handshake(uid="deaf"))
            await asyncio.sleep(0.1)
            deaf.deaf = True
            playing = asyncio.create_task(live.play(deaf, deaf_words.pcm))
            neighbour = await live.stream(gate, other, uid="other")
            await served
            await playing
            return deaf, neighbour

    deaf, neighbour = virtual.run(main())
    assert deaf.aborted
    assert neighbour.words == other.text


def test_samples_that_are_no_numbers():
    """NaN and infinities become silence; the words around them arrive, and the client is warned."""
    recording = tones.speak([["alpha", "bravo"], ["kilo", "lima"]], pause_s=2.0)
    recording.pcm[round(2.0 * RATE) : round(2.3 * RATE)] = np.nan
    backend = Backend()
    socket = run(recording, backend)
    assert socket.words == recording.text
    assert any("not finite" in warning for warning in socket.warnings)
    assert all(np.isfinite(request.pcm).all() for request in backend.log)


def test_options_that_are_not_available_are_named():
    """Translation and speaker labels are not available: the client is warned, and served."""
    recording = tones.speak([["alpha"]])
    socket = run(recording, Backend(), enable_translation=True, enable_diarization=True)
    assert socket.words == ["alpha"]
    assert any("translated text and speaker labels" in warning for warning in socket.warnings)


def test_vexa_bot_gets_both_ready_shapes():
    """A Vexa handshake is answered with the status form first, every other one with the message form only."""
    recording = tones.speak([["alpha"]])
    vexa = run(recording, Backend(), platform="teams", meeting_url="https://m", token="t", meeting_id=5)  # noqa: S106  no secret
    assert vexa.messages[0] == {"uid": "u-1", "status": "SERVER_READY"}
    assert vexa.messages[1]["message"] == "SERVER_READY"
    stock = run(recording, Backend())
    assert stock.messages[0]["message"] == "SERVER_READY"


def test_order_of_messages_when_language_is_detected():
    """READY, language, then text, with nothing in between, because a browser counts messages."""
    recording = tones.chatter(6, seed=32)
    socket = run(recording, Backend(delay_s=0.1), language=None)
    kinds = [
        "language" if "language" in m else "segments" if "segments" in m else m.get("message") for m in socket.messages
    ]
    assert kinds[:3] == ["SERVER_READY", "language", "segments"]
    assert kinds.count("language") == 1


def test_handshake_options_reach_the_service():
    """The handshake's language, task, prompt and tier are in every request."""
    recording = tones.speak([["alpha"]])
    backend = Backend()
    run(
        recording,
        backend,
        language="DE",
        task="translate",
        initial_prompt="Vexa",
        hotwords="kilo",
        transcription_tier="deferred",
    )
    fields = backend.log[0].fields
    assert fields["language"] == ["de"]
    assert fields["task"] == ["translate"]
    assert fields["prompt"] == ["Vexa kilo"]
    assert fields["transcription_tier"] == ["deferred"]


def test_word_times_when_asked_for():
    """word_timestamps adds words to completed segments."""
    recording = tones.speak([["alpha", "bravo"]])
    socket = run(recording, Backend(), word_timestamps=True)
    assert [word["word"].strip() for word in socket.completed[0]["words"]] == ["alpha", "bravo"]


def test_bug_ends_one_session_only(monkeypatch):
    """An unexpected exception becomes an ERROR and a 1011 for that client; other clients are not affected."""
    recording = tones.chatter(10, seed=33)

    def change(body, request):
        if request.fields["language"] == ["xx"]:
            body["segments"] = [{"text": "boom", "start": 0, "end": 1}]
        return body

    def explode(words, tail):
        if any(word.text == " boom" for word in words):
            raise RuntimeError("planted")
        return overlap.count_committed(words, tail)

    monkeypatch.setattr(stream, "count_committed", explode)

    async def main():
        async with live.gateway(Backend(change=change)) as gate:
            return await asyncio.gather(
                live.stream(gate, recording, uid="bad", language="xx"), live.stream(gate, recording, uid="good")
            )

    bad, good = virtual.run(main())
    assert bad.closed[0] == 1011
    assert bad.messages[-1]["status"] == "ERROR"
    assert "planted" not in str(bad.messages)
    assert good.words == recording.text


def test_policy_is_the_sessions():
    """A longer step leads to fewer requests."""
    recording = tones.chatter(30, seed=34, words_per_sentence=(20, 20))
    often, seldom = Backend(), Backend()
    run(recording, often)
    run(recording, seldom, policy=StreamPolicy(step_s=4.0))
    assert len(seldom.log) < 0.5 * len(often.log)
