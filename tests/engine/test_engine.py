from __future__ import annotations

import asyncio
import io
import logging
import threading
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from app.core.errors import AudioUndecodable, Cancelled, EngineFailure, InvalidRequest, ShuttingDown
from app.core.options import Options
from app.core.pcm import Pcm
from app.core.transcript import AudioInfo, Progress, Segment
from app.engine.engine import EngineInfo, WhisperEngine, in_thread, transcribe
from app.engine.failures import FailureWatch
from app.engine.listeners import Listeners
from app.engine.stage_times import StageTimes
from app.engine.transcriber import EngineEvent, Transcriber
from app.http.admission import Admission
from tests.clients import tone_wav


class ScriptedTranscriber:
    """Three windows; waits before each until the test lets it go on."""

    def __init__(self, *, broken: bool = False) -> None:
        self.may_go = threading.Semaphore(0)
        self.windows = 0
        self.stopped = threading.Event()
        self.threads: set[str] = set()
        self.sweeps = 0
        self.closed = False
        self._broken = broken

    def last_inference_age_s(self) -> float | None:
        """A second after the first window."""
        return 1.0 if self.windows else None

    def sweep(self) -> None:
        """Called when a caller has left or has read everything."""
        self.sweeps += 1

    def listen(self, listeners: Listeners) -> None:
        """Nobody is told anything."""

    def close(self) -> None:
        """The last call."""
        self.closed = True

    def events(
        self, pcm: Pcm, options: Options, cancelled: Callable[[], bool], times: StageTimes | None = None
    ) -> Iterator[EngineEvent]:
        """The transcriber's seam."""
        total_s = len(pcm) / 16_000
        yield AudioInfo("en", 0.9, total_s)
        try:
            for number in range(3):
                self.may_go.acquire()
                if cancelled():
                    raise Cancelled("left")
                if self._broken:
                    raise ZeroDivisionError("sk-secret")
                self.windows += 1
                self.threads.add(threading.current_thread().name)
                yield Segment(number, 0, number, number + 1.0, f" w{number}", (1,), -0.1, 1.0, 0.0, options.temperature)
                yield Progress(number + 1.0, total_s)
        finally:
            self.stopped.set()


class HeldSource(io.BytesIO):
    """A file of a minute whose fourth read waits for the test."""

    def __init__(self) -> None:
        super().__init__(tone_wav(60.0))
        self.n_reads = 0
        self.may_go = threading.Event()

    def read(self, size: int | None = -1, /) -> bytes:
        """Wait, then read."""
        self.n_reads += 1
        if self.n_reads > 3:
            self.may_go.wait()
        return super().read(size)


def engine_of(transcriber: ScriptedTranscriber, *, slots: int = 1) -> tuple[WhisperEngine, Admission]:
    """An engine over the script, and its slots."""
    admission = Admission(slots=slots, max_queue=10, fail_fast=False, retry_after_s=1)
    admission.open()
    info = EngineInfo("scripted", "cpu", "int8", "int8")
    return WhisperEngine(cast("Transcriber", transcriber), info, slots=slots, max_audio_s=60), admission


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until it is so."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def test_a_transcript_is_gathered_from_events() -> None:
    """Segments in order, the audio's facts, and where the time went."""
    script = ScriptedTranscriber()
    engine, admission = engine_of(script)
    script.may_go.release(3)
    transcript = await transcribe(engine, io.BytesIO(tone_wav(3.0)), Options(), await admission.acquire())
    assert transcript.text == "w0 w1 w2"
    assert AudioInfo("en", 0.9, 3.0) == transcript.info
    assert transcript.timings.audio_decode_s > 0
    assert transcript.timings.model_s > 0
    assert all(name.startswith("request") for name in script.threads)
    await until(lambda: admission.active == 0)
    await engine.close()


async def test_segments_arrive_before_the_work_is_done() -> None:
    """The first segment can be read while the second window has not been decoded."""
    script = ScriptedTranscriber()
    engine, admission = engine_of(script)
    script.may_go.release()
    stream = engine.stream(tone_wav(3.0), Options(), await admission.acquire())
    kinds = [type(await anext(stream)), type(await anext(stream))]
    assert [AudioInfo, Segment] == kinds
    assert script.windows == 1
    await stream.aclose()
    script.may_go.release()
    await until(script.stopped.is_set)
    await engine.close()


async def test_a_caller_that_leaves_stops_the_work_and_then_frees_the_slot() -> None:
    """Cancelled in the middle: no further window, and the slot is free only when the thread has stopped."""
    script = ScriptedTranscriber()
    engine, admission = engine_of(script)
    script.may_go.release()
    work = asyncio.create_task(transcribe(engine, tone_wav(3.0), Options(), await admission.acquire()))
    await until(lambda: script.windows == 1)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert admission.active == 1, "the native call still runs"
    assert script.sweeps == 1, "what waits for the model is dropped at once"
    script.may_go.release()
    await until(lambda: admission.active == 0)
    assert script.windows == 1
    await engine.close()


async def test_our_own_errors_reach_the_caller_as_they_are() -> None:
    """The audio decoder's error reaches the caller unchanged."""
    engine, admission = engine_of(ScriptedTranscriber())
    with pytest.raises(AudioUndecodable):
        await transcribe(engine, b"no audio", Options(), await admission.acquire())
    await until(lambda: admission.active == 0)
    await engine.close()


async def test_a_strangers_error_is_logged_and_hidden(caplog: pytest.LogCaptureFixture) -> None:
    """An unexpected exception becomes EngineFailure; its text stays in the log."""
    script = ScriptedTranscriber(broken=True)
    engine, admission = engine_of(script)
    script.may_go.release()
    with pytest.raises(EngineFailure) as caught, caplog.at_level(logging.ERROR):
        await transcribe(engine, tone_wav(), Options(), await admission.acquire())
    assert "secret" not in caught.value.message
    assert any(record.exc_info for record in caplog.records)
    await until(lambda: admission.active == 0)
    await engine.close()


async def test_requests_run_side_by_side_up_to_the_slots() -> None:
    """Two slots: two requests are in the model at once."""
    script = ScriptedTranscriber()
    engine, admission = engine_of(script, slots=2)
    work = [asyncio.create_task(transcribe(engine, tone_wav(), Options(), await admission.acquire())) for _ in range(2)]
    script.may_go.release(6)
    await asyncio.gather(*work)
    assert script.windows == 6
    await engine.close()


async def test_closing_stops_what_runs_at_its_next_window() -> None:
    """close() waits for the window that runs, and no longer."""
    script = ScriptedTranscriber()
    engine, admission = engine_of(script)
    script.may_go.release()
    work = asyncio.create_task(transcribe(engine, tone_wav(3.0), Options(), await admission.acquire()))
    await until(lambda: script.windows == 1)
    closing = asyncio.create_task(engine.close())
    await asyncio.sleep(0)
    script.may_go.release(2)
    await closing
    with pytest.raises(Cancelled):
        await work
    assert script.windows == 1
    assert script.closed, "the model threads end last"


async def test_the_age_of_the_last_inference_is_known() -> None:
    """None until the model has answered: an event without an inference, like AudioInfo, does not count."""
    script = ScriptedTranscriber()
    engine, admission = engine_of(script)
    stream = engine.stream(tone_wav(), Options(), await admission.acquire())
    assert isinstance(await anext(stream), AudioInfo)
    assert engine.last_inference_age_s is None
    script.may_go.release(3)
    assert [event async for event in stream]
    assert engine.last_inference_age_s == 1.0
    await engine.close()


@pytest.mark.parametrize("closed", [False, True])
async def test_a_stream_that_is_never_read_frees_its_slot(*, closed: bool) -> None:
    """Dropped or closed before its first event: the work stops at its next window and gives the permit back."""
    script = ScriptedTranscriber()
    engine, admission = engine_of(script)
    stream = engine.stream(tone_wav(3.0), Options(), await admission.acquire())
    if closed:
        await stream.aclose()
    del stream
    script.may_go.release(3)
    await until(lambda: admission.active == 0)
    assert script.windows <= 1
    await engine.close()


async def test_a_closed_engine_refuses_and_keeps_no_permit() -> None:
    """After close() there is no thread for the work: ShuttingDown, and the slot is free."""
    engine, admission = engine_of(ScriptedTranscriber())
    await engine.close()
    permit = await admission.acquire()
    with pytest.raises(ShuttingDown):
        engine.stream(tone_wav(), Options(), permit)
    assert admission.active == 0


async def test_a_caller_that_leaves_during_audio_decoding_stops_it() -> None:
    """No more is read after the caller has left, and the model never gets the audio."""
    script, source = ScriptedTranscriber(), HeldSource()
    engine, admission = engine_of(script)
    work = asyncio.create_task(transcribe(engine, source, Options(), await admission.acquire()))
    await until(lambda: source.n_reads == 4)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    source.may_go.set()
    await until(lambda: admission.active == 0)
    assert source.n_reads == 4
    assert not script.stopped.is_set()
    await engine.close()


async def test_a_lost_device_makes_the_engine_critical() -> None:
    """Each listener gets the reason once, also one that is set afterwards."""
    failures, told = FailureWatch(), list[str]()
    info = EngineInfo("scripted", "cuda", "int8", "int8")
    engine = WhisperEngine(cast("Transcriber", ScriptedTranscriber()), info, slots=1, max_audio_s=60, failures=failures)
    engine.listen(Listeners(critical=told.append))
    assert engine.critical is None
    failures.failed(RuntimeError("CUDA failed with error unspecified launch failure"), 4)
    failures.failed(RuntimeError("CUDA failed with error unspecified launch failure"), 4)
    assert told == [engine.critical]
    late: list[str] = []
    engine.listen(Listeners(critical=late.append))
    assert late == told
    await engine.close()


async def test_a_request_on_a_lost_device_may_be_sent_elsewhere() -> None:
    """Its failure is the worker's, not the request's: a 503 that another worker answers, not a final 500."""
    failures = FailureWatch()
    failures.failed(RuntimeError("CUDA failed with error unspecified launch failure"), 1)
    info = EngineInfo("scripted", "cuda", "int8", "int8")
    script = ScriptedTranscriber(broken=True)
    script.may_go.release()
    engine = WhisperEngine(cast("Transcriber", script), info, slots=1, max_audio_s=60, failures=failures)
    _, admission = engine_of(script)
    with pytest.raises(ShuttingDown):
        await transcribe(engine, tone_wav(), Options(), await admission.acquire())
    await engine.close()


def listening() -> tuple[Listeners, list[str]]:
    """Listeners that note what they are told, without the seconds."""
    told: list[str] = []
    listeners = Listeners(
        decoded=lambda _: told.append("decoded"),
        transcribed=lambda _: told.append("transcribed"),
        failed=told.append,
    )
    return listeners, told


async def test_stages_are_reported_when_they_end() -> None:
    """Audio decoding is reported before the model is done, and the model when it is."""
    script, (listeners, told) = ScriptedTranscriber(), listening()
    engine, admission = engine_of(script)
    engine.listen(listeners)
    stream = engine.stream(tone_wav(3.0), Options(), await admission.acquire())
    await anext(stream)
    assert told == ["decoded"]
    script.may_go.release(3)
    assert [event async for event in stream]
    assert told == ["decoded", "transcribed"]


@pytest.mark.parametrize(
    ("data", "broken", "expected"),
    [
        (b"not audio", False, ["decoded"]),
        (None, True, ["decoded", "transcribed", "other"]),
    ],
    ids=["bad audio", "a bug"],
)
async def test_stages_of_work_that_fails_are_reported_too(
    data: bytes | None, *, broken: bool, expected: list[str]
) -> None:
    """Bad audio is the caller's fault and no failure of the engine; an error that is not ours is one."""
    script, (listeners, told) = ScriptedTranscriber(broken=broken), listening()
    engine, admission = engine_of(script)
    engine.listen(listeners)
    script.may_go.release()
    with pytest.raises((AudioUndecodable, EngineFailure)):
        await transcribe(engine, data or tone_wav(), Options(), await admission.acquire())
    assert told == expected


async def test_a_decoder_that_fails_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the audio decoder that is not the upload's fault has a kind of its own."""

    def decode_audio(*_: object, **__: object) -> Pcm:
        raise ZeroDivisionError

    monkeypatch.setattr("app.engine.engine.decode_audio", decode_audio)
    listeners, told = listening()
    engine, admission = engine_of(ScriptedTranscriber())
    engine.listen(listeners)
    with pytest.raises(EngineFailure):
        await transcribe(engine, tone_wav(), Options(), await admission.acquire())
    assert told == ["decode", "decoded"]


async def test_stages_of_a_caller_that_leaves_are_reported_too() -> None:
    """The work stops at its next window, and its time is known."""
    script, (listeners, told) = ScriptedTranscriber(), listening()
    engine, admission = engine_of(script)
    engine.listen(listeners)
    stream = engine.stream(tone_wav(3.0), Options(), await admission.acquire())
    await anext(stream)
    await stream.aclose()
    script.may_go.release()
    await until(lambda: admission.active == 0)
    assert told == ["decoded", "transcribed"]


async def test_an_option_that_the_model_does_not_support_takes_no_time_of_it() -> None:
    """The request is refused before the model begins, so only its audio decoding is reported."""
    script, (listeners, told) = ScriptedTranscriber(), listening()
    script.events = refuse  # type: ignore[assignment]
    engine, admission = engine_of(script)
    engine.listen(listeners)
    with pytest.raises(InvalidRequest):
        await transcribe(engine, tone_wav(), Options(), await admission.acquire())
    assert told == ["decoded"]


def refuse(*_: object) -> Iterator[EngineEvent]:
    """The transcriber's seam: another language."""
    raise InvalidRequest("This server's model does not know the language 'de'; it knows en.", param="language")


async def test_heavy_work_runs_aside() -> None:
    """A function given to in_thread() does not run on the loop's thread."""
    assert threading.get_ident() != await in_thread(threading.get_ident)
