from __future__ import annotations

import asyncio

import pytest

from app.core.options import Options, Tier
from app.engine.engine import transcribe
from app.engine.fake import FakeEngine
from app.engine.listeners import Listeners
from app.http.admission import Admission
from tests.clients import tone_wav


def admitted() -> Admission:
    """One open slot."""
    admission = Admission(slots=1, max_queue=0, fail_fast=True, retry_after_s=1)
    admission.open()
    return admission


async def test_audio_of_several_windows_is_transcribed_second_by_second() -> None:
    """A hundred seconds give a hundred numbered words in four windows, none lost and none doubled."""
    admission = admitted()
    engine = FakeEngine()
    transcript = await transcribe(engine, tone_wav(100.0), Options(words=True), await admission.acquire())
    words = [word for segment in transcript.segments for word in segment.words or ()]
    assert [f" word{second:04d}" for second in range(100)] == [word.word for word in words]
    assert [float(second) for second in range(100)] == [word.start for word in words]
    assert transcript.segments[-1].end == transcript.info.duration_s == 100.0
    assert engine.windows_done >= 4


async def test_the_same_audio_gives_the_same_transcript() -> None:
    """Two runs over one file agree in everything but the time they took."""
    first, second = [
        await transcribe(FakeEngine(), tone_wav(40.0), Options(), await admitted().acquire()) for _ in range(2)
    ]
    assert (first.info, first.segments) == (second.info, second.segments)


async def test_digital_silence_gives_no_text() -> None:
    """Zeros give no segment."""
    transcript = await transcribe(FakeEngine(), tone_wav(0.0) + bytes(64_000), Options(), await admitted().acquire())
    assert transcript.segments == ()


async def test_the_permit_comes_back() -> None:
    """After the answer the slot is free."""
    admission = admitted()
    await transcribe(FakeEngine(), tone_wav(), Options(), await admission.acquire())
    assert admission.active == 0


@pytest.mark.parametrize("closed", [False, True])
async def test_a_stream_that_is_never_read_frees_its_slot(*, closed: bool) -> None:
    """Dropped or closed before its first event: the permit comes back."""
    admission = admitted()
    stream = FakeEngine().stream(tone_wav(), Options(), await admission.acquire())
    if closed:
        await stream.aclose()
    del stream
    await asyncio.sleep(0)
    assert admission.active == 0


async def test_words_and_logprobs_only_when_asked() -> None:
    """As the real engine: None unless the request wants them."""
    asked = Options(words=True, logprobs=True)
    (plain,), (full,) = [
        (await transcribe(FakeEngine(), tone_wav(), options, await admitted().acquire())).segments
        for options in (Options(), asked)
    ]
    assert (plain.words, plain.logprobs) == (None, None)
    assert full.words is not None
    assert full.logprobs is not None
    assert [bytes(each.utf8).decode() for each in full.logprobs] == [word.word for word in full.words]


async def test_language_is_one_of_those_allowed() -> None:
    """A given language is certain, candidates restrict the choice, the default is English."""
    heard = [
        (await transcribe(FakeEngine(), tone_wav(), options, await admitted().acquire())).info
        for options in (Options(), Options(languages=("de", "fr")), Options(language="es"))
    ]
    assert [(info.language, info.language_probability) for info in heard] == [("en", 0.9), ("de", 0.9), ("es", 1.0)]


@pytest.mark.parametrize(
    ("tier", "seconds", "lane"), [("realtime", 2.0, "live"), ("standard", 2.0, "short"), ("standard", 40.0, "long")]
)
async def test_listeners_are_told_as_by_the_real_engine(tier: Tier, seconds: float, lane: str) -> None:
    """Each window is two calls of one row; the speech of the upload and the lane of the request are known."""
    engine, calls, busy, speech, stages = FakeEngine(), list[str](), list[int](), list[float](), list[str]()
    engine.listen(
        Listeners(
            batch=lambda call, _: calls.append(call),
            busy=lambda replica, _: busy.append(replica),
            speech=speech.append,
            decoded=lambda _: stages.append("decoded"),
            transcribed=lambda _: stages.append("transcribed"),
        )
    )
    source = tone_wav(seconds)
    transcript = await transcribe(engine, source, Options(tier=tier), await admitted().acquire())
    assert transcript.info.lane == lane
    assert calls == ["encode", "generate"] * engine.windows_done
    assert busy == [0] * engine.windows_done
    assert speech == [seconds]
    assert stages == ["decoded", "transcribed"]
