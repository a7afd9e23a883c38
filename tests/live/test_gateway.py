"""Several clients at one gateway, in virtual time."""

import asyncio
import json
import logging
import re

import numpy as np
import pytest

from app.contracts.whisperlive import END_OF_AUDIO
from app.live.admission import Caller, StreamLimits
from app.live.session.connection import SessionLimits
from app.live.session.session import Session
from app.ops.logs import JsonFormatter
from app.ops.trace_context import TraceContext, current
from app.ops.version import VERSION
from tests.live import live, tones, virtual
from tests.live.backend import Backend
from tests.spans import SPAN_ID, TRACE_ID, assert_nested, recorded

STRANGER = Caller(address="203.0.113.1")
TRACE = TraceContext(TRACE_ID, SPAN_ID, sampled=True)
NEIGHBOUR = Caller(address="203.0.113.2")


def test_eight_streams_never_mix():
    """Eight recordings in eight languages at once: each client gets its own words, each request its own language."""
    languages = ["en", "de", "es", "fr", "it", "nl", "pt", "pl"]
    recordings = [tones.chatter(40, seed=40 + i) for i in range(8)]
    backend = Backend(delay_s=0.4, jitter_s=0.05)

    async def main():
        async with live.gateway(backend, slots=3) as gate:
            return await asyncio.gather(
                *(
                    live.stream(gate, recording, uid=f"u{i}", language=language, initial_prompt=f"p{i}")
                    for i, (recording, language) in enumerate(zip(recordings, languages, strict=True))
                )
            )

    sockets = virtual.run(main())
    for i, (socket, recording) in enumerate(zip(sockets, recordings, strict=True)):
        assert socket.words == recording.text
        assert {message["uid"] for message in socket.messages} == {f"u{i}"}
    by_stream: dict[str, set[tuple[str, str]]] = {}
    for request in backend.log:
        by_stream.setdefault(request.stream, set()).add((request.fields["language"][0], request.fields["prompt"][0]))
    assert sorted(by_stream.values(), key=str) == sorted([{(x, f"p{i}")} for i, x in enumerate(languages)], key=str)
    assert backend.most_at_once <= 3


def test_calls_never_exceed_the_slots():
    """Twenty streams share two slots: two requests at once, one per stream, and every word arrives."""
    recordings = [tones.chatter(30, seed=60 + i) for i in range(20)]
    backend = Backend(delay_s=0.3)

    async def main():
        async with live.gateway(backend, slots=2) as gate:
            return await asyncio.gather(*(live.stream(gate, r, uid=f"u{i}") for i, r in enumerate(recordings)))

    sockets = virtual.run(main())
    assert all(socket.words == recording.text for socket, recording in zip(sockets, recordings, strict=True))
    assert backend.most_at_once == 2
    assert max(backend.most_in_flight.values()) == 1


def test_full_gateway_says_wait_and_holds_the_socket():
    """A client over the limit gets WAIT with minutes, and its socket stays open until it closes, at most 5 s."""
    recording = tones.chatter(20, seed=80)

    async def main():
        admission = StreamLimits(max_clients=1)
        async with live.gateway(
            Backend(), admission=admission, limits=SessionLimits(max_connection_time_s=600)
        ) as gate:
            first = asyncio.create_task(live.stream(gate, recording, uid="first"))
            await asyncio.sleep(1)
            late = live.MemorySocket()
            started = asyncio.get_running_loop().time()
            late.say(live.handshake(uid="late"))
            await gate.serve(late, live.LOCAL)
            held = asyncio.get_running_loop().time() - started
            again = live.MemorySocket()
            again.say(live.handshake(uid="again"))
            again.leave()
            await gate.serve(again, live.LOCAL)
            return await first, late, held

    first, late, held = virtual.run(main())
    assert late.messages == [{"uid": "late", "status": "WAIT", "message": pytest.approx(9.98, abs=0.1)}]
    assert held == pytest.approx(5.0)
    assert first.words == recording.text


def test_burst_of_clients_cannot_pass_the_limit():
    """Of fifty handshakes at the same time, ten are served and forty get WAIT."""

    async def main():
        async with live.gateway(Backend(), admission=StreamLimits(max_clients=10)) as gate:
            sockets = [live.MemorySocket() for _ in range(50)]
            tasks = [asyncio.create_task(gate.serve(socket, live.LOCAL)) for socket in sockets]
            for i, socket in enumerate(sockets):
                socket.say(live.handshake(uid=f"u{i}"))
            await asyncio.sleep(1)
            count = gate.health()["active_connections"]
            for socket in sockets:
                socket.leave()
            await asyncio.gather(*tasks)
            return count, sockets

    count, sockets = virtual.run(main())
    assert count == 10
    assert sum(1 for socket in sockets if any(m.get("status") == "WAIT" for m in socket.messages)) == 40


@pytest.mark.parametrize("first", [b"\0" * 4096, "no json", '{"uid": ["x"]}', '{"uid": "u", "audio_format": "mp3"}'])
def test_bad_handshake_is_explained_and_closed(first):
    """An ERROR with the reason, then 1008; no session remains."""

    async def main():
        async with live.gateway(Backend()) as gate:
            socket = live.MemorySocket()
            socket.say(first)
            await gate.serve(socket, live.LOCAL)
            return socket, gate.health()["active_connections"]

    socket, count = virtual.run(main())
    assert socket.messages[0]["status"] == "ERROR"
    assert socket.closed == (1008, "bad_handshake")
    assert count == 0


@pytest.mark.parametrize(
    ("first", "uid"),
    [
        ('{"uid": "u", "audio_format": "mp3"}', "u"),
        ('{"uid": 7, "audio_format": "mp3"}', "7"),
        ('{"uid": "\\ud800"}', ""),
        ("no json", ""),
    ],
)
def test_a_refused_handshake_has_the_uid_back(first, uid):
    """The stock client ignores every message without its own uid, so the ERROR must have it."""

    async def main():
        async with live.gateway(Backend()) as gate:
            socket = live.MemorySocket()
            socket.say(first)
            await gate.serve(socket, live.LOCAL)
            return socket

    socket = virtual.run(main())
    assert socket.messages[0]["uid"] == uid
    assert socket.messages[0]["status"] == "ERROR"


def test_missing_handshake_times_out():
    """A silent client is closed after the handshake timeout."""

    async def main():
        async with live.gateway(Backend(), admission=StreamLimits(handshake_timeout_s=10)) as gate:
            socket = live.MemorySocket()
            await gate.serve(socket, live.LOCAL)
            return socket, asyncio.get_running_loop().time()

    socket, seconds = virtual.run(main())
    assert socket.closed == (1008, "handshake_timeout")
    assert seconds == pytest.approx(10)


def test_missing_uid_is_generated():
    """A client without a uid gets one, the same in every message."""

    async def main():
        async with live.gateway(Backend()) as gate:
            return await live.stream(gate, tones.speak([["alpha"]]), uid=None)

    socket = virtual.run(main())
    assert socket.words == ["alpha"]
    assert len({message["uid"] for message in socket.messages}) == 1
    assert socket.messages[0]["uid"]


def test_a_client_that_comes_back_takes_over():
    """With the same uid and address it replaces its old connection, also on a full gateway."""
    recording = tones.chatter(10, seed=81)

    async def main():
        async with live.gateway(Backend(), admission=StreamLimits(max_clients=1)) as gate:
            old = live.MemorySocket()
            served = asyncio.create_task(gate.serve(old, STRANGER))
            old.say(live.handshake(uid="same"))
            await live.play(old, recording.pcm[:48_000])
            new = await live.stream(gate, recording, uid="same", caller=STRANGER)
            await served
            return old, new, gate.health()["active_connections"], gate.render_metrics()[0].decode()

    old, new, count, metrics = virtual.run(main())
    assert old.aborted
    assert new.words == recording.text
    assert count == 0
    assert 'wsgw_sessions_total{ending="replaced"} 1.0' in metrics


@pytest.mark.parametrize(
    ("owner", "other"),
    [(STRANGER, NEIGHBOUR), (Caller(key="k1", address="203.0.113.1"), Caller(key="k2", address="203.0.113.1"))],
    ids=["another address", "another key"],
)
def test_the_uid_of_another_client_replaces_nothing(owner, other):
    """A client that learns a uid can neither end that stream nor exceed the limit with it."""
    recording = tones.chatter(10, seed=82)

    async def main():
        async with live.gateway(Backend(), admission=StreamLimits(max_clients=1)) as gate:
            served = asyncio.create_task(live.stream(gate, recording, uid="same", caller=owner))
            await asyncio.sleep(2)
            thief = live.MemorySocket()
            thief.say(live.handshake(uid="same"))
            await gate.serve(thief, other)
            return await served, thief

    victim, thief = virtual.run(main())
    assert victim.words == recording.text
    assert thief.messages[0]["status"] == "WAIT"
    assert thief.closed == (1013, "full")


def test_one_uid_cannot_pass_the_limit():
    """Of thirty connections with one uid at once, only the last one is served, in a single place."""

    async def main():
        async with live.gateway(Backend(), admission=StreamLimits(max_clients=2)) as gate:
            sockets = [live.MemorySocket() for _ in range(30)]
            tasks = [asyncio.create_task(gate.serve(socket, STRANGER)) for socket in sockets]
            most = 0
            for socket in sockets:
                socket.say(live.handshake(uid="same"))
            for _ in range(300):
                await asyncio.sleep(0.01)
                most = max(most, gate.health()["active_connections"])
            for socket in sockets:
                socket.leave()
            await asyncio.gather(*tasks)
            return most, sockets, gate.health()["active_connections"]

    most, sockets, left = virtual.run(main())
    assert most == 1
    assert left == 0
    assert all(socket.aborted for socket in sockets[:-1])
    assert sockets[-1].messages[0]["message"] == "SERVER_READY"


def test_one_address_cannot_take_every_place():
    """Over its limit a client gets WAIT, counted with its own reason, while others are served."""
    limits = StreamLimits(max_clients=10, max_per_address=3)

    async def main():
        async with live.gateway(Backend(), admission=limits) as gate:
            sockets = [live.MemorySocket() for _ in range(6)]
            callers = [*[STRANGER] * 5, NEIGHBOUR]
            tasks = [asyncio.create_task(gate.serve(s, caller)) for s, caller in zip(sockets, callers, strict=True)]
            for i, socket in enumerate(sockets):
                socket.say(live.handshake(uid=f"u{i}"))
            await asyncio.sleep(1)
            metrics = gate.render_metrics()[0].decode()
            for socket in sockets:
                socket.leave()
            await asyncio.gather(*tasks)
            return sockets, metrics

    sockets, metrics = virtual.run(main())
    first = [socket.messages[0].get("status", "READY") for socket in sockets]
    assert first == ["READY", "READY", "READY", "WAIT", "WAIT", "READY"]
    assert 'wsgw_refused_total{reason="address_limit"} 2.0' in metrics


def test_one_key_cannot_take_every_place():
    """A key counts from all addresses; the estimate is that of its own streams."""
    limits = StreamLimits(max_clients=10, max_per_key=1)

    async def main():
        session = SessionLimits(max_connection_time_s=600)
        async with live.gateway(Backend(), admission=limits, limits=session) as gate:
            others = asyncio.create_task(live.stream(gate, tones.chatter(200, seed=83), caller=Caller(key="k2")))
            await asyncio.sleep(120)
            mine = asyncio.create_task(live.stream(gate, tones.chatter(20, seed=84), caller=Caller(key="k1")))
            await asyncio.sleep(1)
            late = live.MemorySocket()
            late.say(live.handshake(uid="late"))
            await gate.serve(late, Caller(key="k1", address="203.0.113.9"))
            await asyncio.gather(others, mine)
            return late, gate.render_metrics()[0].decode()

    late, metrics = virtual.run(main())
    assert late.messages == [{"uid": "late", "status": "WAIT", "message": pytest.approx(9.98, abs=0.1)}]
    assert late.closed == (1013, "key_limit")
    assert 'wsgw_refused_total{reason="key_limit"} 1.0' in metrics


def test_drain_flushes_and_closes_with_1012():
    """At a shutdown every stream gets its last words, then 1012; new clients are refused."""
    recordings = [tones.chatter(30, seed=90 + i) for i in range(4)]

    async def main():
        async with live.gateway(Backend(delay_s=0.5)) as gate:
            sockets = [live.MemorySocket() for _ in recordings]
            tasks = [asyncio.create_task(gate.serve(socket, live.LOCAL)) for socket in sockets]
            for i, (socket, recording) in enumerate(zip(sockets, recordings, strict=True)):
                socket.say(live.handshake(uid=f"u{i}"))
                tasks.append(asyncio.create_task(live.play(socket, recording.pcm)))
            await asyncio.sleep(12.3)
            await gate.drain()
            seconds = asyncio.get_running_loop().time() - 12.3
            late = live.MemorySocket()
            late.say(live.handshake(uid="late"))
            await gate.serve(late, live.LOCAL)
            for task in tasks:
                task.cancel()
            return sockets, seconds, late, gate.health()["status"]

    sockets, seconds, late, status = virtual.run(main())
    assert seconds < 3
    assert status == "draining"
    assert late.closed[0] == 1013
    for socket, recording in zip(sockets, recordings, strict=True):
        assert socket.closed[0] == 1012
        said = [word.text for word in recording.words if word.end < 11.9]
        assert socket.words[: len(said)] == said


def test_drain_is_bounded_by_its_grace():
    """If the service does not answer, the shutdown takes the grace time, and recognised words become final."""
    recording = tones.chatter(30, seed=95, words_per_sentence=(40, 40))
    backend = Backend(delay_s=0.2)

    async def main():
        async with live.gateway(backend, limits=SessionLimits(drain_grace_s=5)) as gate:
            task = asyncio.create_task(live.stream(gate, recording))
            await asyncio.sleep(10)
            backend.delay_s = 1e6
            await asyncio.sleep(2)
            await gate.drain()
            socket = await task
            return socket, asyncio.get_running_loop().time()

    async def with_limit():
        async with asyncio.timeout(1000):
            return await main()

    socket, _ = virtual.run(with_limit())
    recognised = [word.text for word in recording.words if word.end < 9]
    assert socket.words[: len(recognised)] == recognised
    assert socket.closed[0] == 1012


def test_health_and_metrics_show_the_state():
    """Connections, sessions and lag are visible, but nothing that a client sent."""
    recording = tones.chatter(20, seed=96)
    backend = Backend(refuse=lambda request: 503)

    async def main():
        async with live.gateway(backend) as gate:
            task = asyncio.create_task(live.stream(gate, recording, uid="secret-uid"))
            await asyncio.sleep(15)
            health, metrics = gate.health(), gate.render_metrics()[0].decode()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return health, metrics

    health, metrics = virtual.run(main())
    assert health["status"] == "healthy"
    assert health["active_connections"] == 1
    assert health["lag_s"] > 10
    assert health["sessions"][0]["audio_s"] == pytest.approx(15, abs=0.5)
    assert "secret-uid" not in str(health) + metrics
    assert "wsgw_sessions_active 1.0" in metrics
    assert 'wsgw_upstream_requests_total{outcome="busy"}' in metrics
    assert "wsgw_sessions_limit 100.0" in metrics
    assert "wsgw_draining 0.0" in metrics
    assert health["version"] == VERSION


def test_a_drain_shows_in_the_metrics():
    """From the signal on the gateway counts as draining."""

    async def main():
        async with live.gateway(Backend()) as gate:
            await gate.drain()
            return gate.render_metrics()[0].decode()

    assert "wsgw_draining 1.0" in virtual.run(main())


def test_the_first_text_is_measured_once_per_stream():
    """From the first speech that became text to that text: the silence before it does not count, nor later text."""
    recording = tones.chatter(20, seed=96)
    silence = np.zeros(30 * tones.RATE, np.float32)

    async def main():
        async with live.gateway(Backend(delay_s=0.5)) as gate:
            socket = live.MemorySocket()
            served = asyncio.create_task(gate.serve(socket, live.LOCAL))
            socket.say(live.handshake())
            await live.play(socket, np.concatenate([silence, recording.pcm]))
            socket.say(END_OF_AUDIO)
            await served
            return gate.render_metrics()[0].decode()

    metrics = virtual.run(main())
    (seconds,) = re.findall(r"^wsgw_first_text_seconds_sum (\S+)$", metrics, re.MULTILINE)
    assert "wsgw_first_text_seconds_count 1.0" in metrics
    assert 0.5 < float(seconds) < 3


def test_the_log_says_what_became_of_a_session(caplog):
    """One line for each ended session: times, words, requests, refusals, lost audio and the close code; no text."""
    caplog.set_level("INFO")
    recording = tones.chatter(20, seed=96)
    refusals = [503]
    backend = Backend(delay_s=0.2, refuse=lambda request: refusals.pop() if refusals else None)

    async def main():
        async with live.gateway(backend) as gate:
            return await live.stream(gate, recording)

    socket = virtual.run(main())
    (ended,) = [record for record in caplog.records if record.message == "session ended"]
    fields = ended.__dict__["fields"]
    assert fields.keys() == {
        "session", "ending", "close_code", "duration_s", "audio_s", "words", "calls", "refused", "lost_s",
        "untranscribed_s",
    }  # fmt: skip
    assert fields["words"] == len(socket.words) == len(recording.text)
    assert fields["calls"] == len(backend.log)
    assert fields["refused"] == 1
    assert (fields["ending"], fields["close_code"], fields["lost_s"]) == ("end_of_audio", 1000, 0)
    assert fields["duration_s"] >= fields["audio_s"] > 19


def test_memory_is_flat_over_a_long_talk():
    """However long a stream lasts, it holds only the audio of its newest window."""
    recording = tones.chatter(60, seed=97)

    async def main():
        async with live.gateway(Backend(delay_s=0.2)) as gate:
            socket = live.MemorySocket()
            served = asyncio.create_task(gate.serve(socket, live.LOCAL))
            socket.say(live.handshake())
            peaks = []
            for _ in range(8):
                playing = asyncio.create_task(live.play(socket, recording.pcm, chunk=16_000))
                peak = 0.0
                while not playing.done():
                    await asyncio.sleep(1)
                    peak = max(peak, gate.health()["buffered_s"])
                peaks.append(peak)
                socket.received.clear()
            socket.leave()
            await served
            return peaks

    peaks = virtual.run(main())
    assert max(peaks) < 14
    assert peaks[-1] <= max(peaks[:3]) + 1


def test_a_session_is_a_span_and_so_is_each_request():
    """In the client's trace, with nothing that was said; a session without a trace begins one."""
    recording = tones.chatter(6, seed=3)
    backend = Backend(delay_s=0.1)

    async def main(tracer):
        async with live.gateway(backend, tracer=tracer) as gate:
            await live.stream(gate, recording, caller=Caller(trace=TRACE), uid="secret-uid", initial_prompt="secret")
            await live.stream(gate, recording)

    with recorded() as (tracer, found):
        virtual.run(main(tracer))
    first, second = (span for span in found.seen() if span.name == "stt.session")
    assert (first.trace_id, first.parent_id) == (TRACE_ID, SPAN_ID)
    assert second.trace_id != TRACE_ID
    assert first.attributes["stt.ending"] == "end_of_audio"
    assert first.attributes["stt.audio_s"] == pytest.approx(len(recording.pcm) / tones.RATE, abs=0.1)
    windows = [span for span in found.seen() if span.parent_id == first.span_id]
    assert {span.name for span in windows} == {"stt.window"}
    assert len(windows) + len([span for span in found.seen() if span.parent_id == second.span_id]) == len(backend.log)
    assert_nested(found.seen())
    everything = str([(span.name, span.attributes) for span in found.seen()])
    assert not any(word in everything for word in ("secret", *recording.text))


def test_a_client_that_leaves_gives_no_close_code_to_its_span():
    """OpenTelemetry has no attributes without a value."""

    async def main(tracer):
        async with live.gateway(Backend(), tracer=tracer) as gate:
            socket = live.MemorySocket()
            served = asyncio.create_task(gate.serve(socket, live.LOCAL))
            socket.say(live.handshake())
            await asyncio.sleep(1)
            socket.leave()
            await served

    with recorded() as (tracer, found):
        virtual.run(main(tracer))
    (session,) = (span for span in found.seen() if span.name == "stt.session")
    assert session.attributes["stt.ending"] == "left"
    assert "stt.close_code" not in session.attributes


@pytest.mark.parametrize("failure", [RuntimeError("secret"), asyncio.CancelledError()], ids=["bug", "cancelled"])
def test_a_session_that_breaks_off_ends_its_span(failure, monkeypatch):
    """However a session ends, its span does, with the kind of the failure."""

    async def fail(_):
        raise failure

    monkeypatch.setattr(Session, "run", fail)

    async def main(tracer):
        async with live.gateway(Backend(), tracer=tracer) as gate:
            with pytest.raises(type(failure)):
                await live.stream(gate, tones.speak([["alpha"]]))

    with recorded() as (tracer, found):
        virtual.run(main(tracer))
    (span,) = found.seen()
    assert span.failed
    assert span.attributes["error.type"] == type(failure).__name__
    assert "secret" not in str(span.attributes)


@pytest.mark.parametrize("caller", [Caller(trace=TRACE), Caller()], ids=["traced", "untraced"])
def test_logs_requests_and_latencies_of_a_session_share_a_trace(caller, caplog):
    """Without OpenTelemetry, too: the client's trace, or one that the gateway makes for the session.

    Late words lead to it: it is the exemplar of their latency in OpenMetrics.
    """
    caplog.set_level(logging.INFO, "app.live")
    caplog.handler.setFormatter(JsonFormatter())
    sent = []

    def note(body, request):
        sent.append(current())  # the service runs in the task that calls it
        return body

    backend = Backend(change=note)

    async def main():
        async with live.gateway(backend) as gate:
            await live.stream(gate, tones.chatter(3, seed=3), caller=caller)
            return gate.render_metrics("application/openmetrics-text; version=1.0.0")[0].decode()

    metrics = virtual.run(main())
    seen = [json.loads(line) for line in caplog.text.splitlines()]
    assert {"session started", "session ended"} <= {line["event"] for line in seen}
    ids = {line["trace_id"] for line in seen}
    assert len(ids) == 1
    assert {context.trace_id for context in sent if context is not None} == ids
    assert (ids == {TRACE_ID}) == (caller.trace is not None)
    assert set(re.findall(r'^wsgw_commit_latency_seconds_bucket.* # {trace_id="(\w+)"}', metrics, re.MULTILINE)) == ids
