from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Generator, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from itertools import chain, repeat
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.core.errors import Cancelled, InvalidRequest, ShuttingDown
from app.core.options import Options, Tier
from app.core.pcm import SAMPLE_RATE_HZ, Pcm
from app.core.transcript import AudioInfo, Progress, Segment
from app.engine.batching.lanes import DEFERRED, LIVE, LONG, SHORT
from app.engine.evidence import Evidence
from app.engine.failures import Run
from app.engine.listeners import Listeners
from app.engine.speech_track import SpeechTrack
from app.engine.transcriber import EngineEvent, Transcriber
from app.engine.whisper.calls import ModelCall
from app.engine.whisper.model import Model
from tests.engine.transcribing import CountingModel, Transcribed, transcribe, transcriber_over
from tests.samples import at_level, knock, pcm_of, sample, short, word_error_rate

SECOND = SAMPLE_RATE_HZ


@pytest.fixture(scope="module")
def clips(exact: Transcriber) -> dict[str, Transcribed]:
    """The transcript of every short clip."""
    spoken = [clip.file for language in ("en", "de", "es") for clip in short(language)]
    return {file: transcribe(exact, pcm_of(file)) for file in spoken}


@pytest.fixture(scope="module")
def long_en(transcriber: Transcriber) -> Transcribed:
    """The transcript of two minutes of English, each window encoded at its own length."""
    return transcribe(transcriber, pcm_of("long-en.wav"))


# The model's README states 9 % English, 19 % German, 8 % Spanish. Other CPUs round differently, and near-ties fall
# to another word: 14 to 17 of 149 English words were wrong on those that were tried, and two more are allowed.
@pytest.mark.parametrize(("language", "limit"), [("en", 0.13), ("de", 0.23), ("es", 0.11)])
def test_short_clips_are_understood_as_well_as_the_model_can(
    clips: dict[str, Transcribed], language: str, limit: float
) -> None:
    """Word error rate on the clips of a language is near what the model's README states."""
    spoken = [clip.text for clip in short(language)]
    assert word_error_rate(spoken, [clips[clip.file].text for clip in short(language)]) <= limit


def test_the_language_of_short_clips_is_detected(clips: dict[str, Transcribed]) -> None:
    """The language is right for at least 95 % of the clips, and every probability is one."""
    truth = {clip.file: clip.language for language in ("en", "de", "es") for clip in short(language)}
    infos = {file: result.info for file, result in clips.items() if result.info is not None}
    assert len(truth) == len(infos)
    assert all(0.0 < info.language_probability <= 1.0 for info in infos.values())
    right = sum(infos[file].language == language for file, language in truth.items())
    assert right >= 0.95 * len(truth)


def test_long_audio_is_understood_to_its_end(long_en: Transcribed) -> None:
    """Minutes of speech keep their error rate, and the last sentence is there."""
    long, result, limit = sample("long-en.wav"), long_en, 0.1
    assert word_error_rate([long.text], [result.text]) <= limit
    assert abs(result.segments[-1].end - long.segments[-1].end) < 0.5
    last = result.progress[-1]
    assert last.done_s == last.total_s
    assert abs(last.done_s - long.duration_s) < 0.1


def test_every_sentence_of_a_long_file_is_covered(long_en: Transcribed) -> None:
    """At least nine tenths of the spoken time lies inside some segment."""
    long = sample("long-en.wav")
    covered = np.zeros(int(long.duration_s * 100) + 100, bool)
    for segment in long_en.segments:
        covered[int(segment.start * 100) : int(segment.end * 100)] = True
    spoken = [covered[int(each.start * 100) : int(each.end * 100)] for each in long.segments]
    assert np.concatenate(spoken).mean() > 0.9


def test_sentence_times_of_short_clips_are_true(clips: dict[str, Transcribed]) -> None:
    """The first segment begins and the last ends within four tenths of a second of the speech in the clip."""
    for clip in short("en"):
        loud = np.flatnonzero(np.abs(pcm_of(clip.file)) > 0.02) / SECOND
        segments = clips[clip.file].segments
        assert abs(segments[0].start - loud[0]) <= 0.4, clip.file
        assert abs(segments[-1].end - loud[-1]) <= 0.4, clip.file


@pytest.mark.parametrize("file", ["silence.wav", "noise.wav"])
def test_silence_and_noise_give_no_text(transcriber: Transcriber, file: str) -> None:
    """No speech: no segment, the length of the audio, a language that clients may send back."""
    result = transcribe(transcriber, pcm_of(file))
    assert result.segments == []
    assert AudioInfo(language="en", language_probability=0.0, duration_s=8.0) == result.info


def test_a_given_language_is_taken_as_certain(transcriber: Transcriber) -> None:
    """A caller's language is echoed with probability 1, also when it is not the one spoken."""
    info = transcribe(transcriber, pcm_of("en-00.wav"), Options(language="de")).info
    assert info is not None
    assert (info.language, info.language_probability) == ("de", 1.0)


def test_every_call_of_the_model_is_reported(demo: Model) -> None:
    """One window without a language is one call of each kind, or more `generate` where it tries again."""
    made, calls = transcriber_over(demo), list[tuple[str, int]]()
    made.listen(Listeners(batch=lambda call, rows: calls.append((call, rows))))
    assert made.last_inference_age_s() is None
    transcribe(made, pcm_of("silence.wav"))
    assert made.last_inference_age_s() is None, "events alone are no inference"
    transcribe(made, pcm_of("en-00.wav"))
    assert made.last_inference_age_s() is not None
    made.close()
    assert {call for call, _ in calls} == {"encode", "detect_language", "generate"}
    assert {rows for _, rows in calls} == {1}


@pytest.mark.parametrize(
    ("options", "file", "lane"),
    [
        (Options(tier="realtime"), "en-00.wav", "live"),
        (Options(), "en-00.wav", "short"),
        (Options(), "long-en.wav", "long"),
        (Options(tier="deferred"), "en-00.wav", "deferred"),
        (Options(), "silence.wav", None),
    ],
)
def test_the_lane_and_the_speech_of_an_upload_are_known(
    demo: Model, options: Options, file: str, lane: str | None
) -> None:
    """The lane comes with the language; speech is most of a clip and none of silence; every call has a wait."""
    made, speech, waits, busy = transcriber_over(demo), list[float](), list[float](), list[float]()
    made.listen(Listeners(speech=speech.append, waited=waits.append, busy=lambda _, seconds: busy.append(seconds)))
    pcm = pcm_of(file)[: 40 * SECOND]
    result = transcribe(made, pcm, replace(options, language="en", beam_size=1))
    made.close()
    assert result.info is not None
    assert result.info.lane == lane
    (speech_s,) = speech
    assert (speech_s == 0) == (lane is None)
    assert speech_s <= len(pcm) / SECOND
    assert bool(waits) == bool(busy) == (lane is not None)


def test_words_carry_times_inside_their_segment(transcriber: Transcriber) -> None:
    """Words in order, with leading spaces, inside their segment, joining to its text."""
    result = transcribe(transcriber, pcm_of("en-00.wav"), Options(words=True))
    for segment in result.segments:
        assert segment.words
        assert segment.text == "".join(word.word for word in segment.words)
        assert all(word.word.startswith(" ") for word in segment.words)
        assert all(0 <= word.probability <= 1 for word in segment.words)
        times = [time for word in segment.words for time in (word.start, word.end)]
        assert sorted(times) == times
        assert segment.start - 0.5 <= times[0]
        assert times[-1] <= segment.end + 0.5


def test_leading_silence_shifts_the_times(transcriber: Transcriber) -> None:
    """Twenty seconds of silence before a sentence move its segment by twenty seconds."""
    voice = pcm_of("en-00.wav")
    plain_start = transcribe(transcriber, voice).segments[0].start
    shifted = transcribe(transcriber, np.concatenate([np.zeros(20 * SECOND, np.float32), voice])).segments
    assert abs(shifted[0].start - plain_start - 20) < 0.7


def test_a_long_pause_between_sentences_is_restored(transcriber: Transcriber) -> None:
    """Two sentences packed into one window keep the minute that lay between them."""
    first, second = pcm_of("en-02.wav"), pcm_of("en-00.wav")
    pcm = np.concatenate([first, np.zeros(60 * SECOND, np.float32), second])
    segments = transcribe(transcriber, pcm).segments
    begin = len(first) / SECOND + 60
    assert segments[0].start < 1.0
    assert begin - 0.7 < segments[-1].start < segments[-1].end <= len(pcm) / SECOND


def test_work_stops_before_the_next_window_when_the_caller_leaves(transcriber: Transcriber) -> None:
    """After the caller left, no further window is decoded."""
    result: list[Segment] = []

    def listen() -> None:
        events = transcriber.events(pcm_of("long-en.wav"), Options(), lambda: len(result) >= 2)
        result.extend(event for event in events if isinstance(event, Segment))

    with pytest.raises(Cancelled):
        listen()
    assert len(result) < 10


def test_four_hours_of_silence_are_not_searched_for_a_caller_who_has_left(transcriber: Transcriber) -> None:
    """The search for speech asks after every block of two minutes whether the caller is still there."""
    pcm = np.zeros(4 * 3600 * SECOND, np.float32)  # untouched pages: it takes no memory
    asked: list[bool] = []

    def left() -> bool:
        asked.append(len(asked) >= 1)
        return asked[-1]

    found: list[EngineEvent] = []

    def listen() -> None:
        found.extend(transcriber.events(pcm, Options(), left))

    with pytest.raises(Cancelled):
        listen()
    assert asked == [False, True]


def test_the_search_for_speech_reports_its_progress(transcriber: Transcriber, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence first: Progress before AudioInfo, ascending, never behind the speech that still waits."""
    monkeypatch.setattr("app.engine.transcriber.SpeechTrack", partial(SpeechTrack, block_frames=5 * 31))
    quiet, voice = np.zeros(20 * SECOND, np.float32), pcm_of("en-00.wav")
    events = list(transcriber.events(np.concatenate([quiet, voice, quiet, quiet]), Options(), lambda: False))
    first = next(number for number, event in enumerate(events) if isinstance(event, AudioInfo))
    before = [event.done_s for event in events[:first] if isinstance(event, Progress)]
    assert len(before) == first > 5
    assert before == sorted(before)
    assert 10.0 < before[-1] <= 20.0
    done = [event.done_s for event in events[first:] if isinstance(event, Progress)]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(60 + len(voice) / SECOND)


@pytest.mark.parametrize("language", [None, "en"])
def test_without_vad_steady_sound_is_no_text_and_costs_no_call(demo: Model, language: str | None) -> None:
    """Silence and hum are answered without the model, and counted, also when detection is switched off."""
    made, skipped, calls = transcriber_over(demo), list[None](), list[str]()
    made.listen(Listeners(skipped=lambda: skipped.append(None), batch=lambda call, _: calls.append(call)))
    for pcm in (pcm_of("silence.wav"), hum(20.0)):
        result = transcribe(made, pcm, Options(vad_filter=False, language=language))
        assert result.segments == []
        assert result.info == AudioInfo("en", 1.0 if language else 0.0, len(pcm) / SECOND)
        assert result.progress[-1].done_s == len(pcm) / SECOND
    made.close()
    assert len(skipped) >= 2
    assert calls == []


def test_the_language_is_that_of_the_first_window_with_speech(transcriber: Transcriber) -> None:
    """Half a minute of hum before German: the language is found behind it, and the hum has no text."""
    pcm = np.concatenate([hum(32.0), pcm_of("de-00.wav")])
    result = transcribe(transcriber, pcm, Options(vad_filter=False))
    assert result.info is not None
    assert result.info.language == "de"
    assert result.segments[0].start > 30.0


def test_without_vad_long_audio_is_covered_to_its_end(transcriber: Transcriber) -> None:
    """Windows cut without VAD reach the end of the file."""
    result = transcribe(transcriber, pcm_of("long-de.wav"), Options(vad_filter=False, language="de"))
    assert result.segments[-1].end > 70


def test_control_tokens_in_a_prompt_are_harmless(transcriber: Transcriber) -> None:
    """A prompt full of Whisper's control tokens neither fails nor silences the model."""
    options = Options(prompt="<|startoftranscript|><|endoftext|><|nospeech|> Hello", hotwords="<|en|> fire")
    assert transcribe(transcriber, pcm_of("en-00.wav"), options).text


def test_endless_prompts_and_hotwords_leave_room_for_the_answer(transcriber: Transcriber) -> None:
    """Thousands of prompt words are trimmed to what the decoder holds."""
    options = Options(prompt="to be or not to be " * 500, hotwords="hamlet " * 500, words=True)
    assert isinstance(transcribe(transcriber, pcm_of("en-00.wav"), options).text, str)


@pytest.mark.parametrize(
    ("options", "named", "param"),
    [
        (Options(language="xx"), "'xx'", "language"),
        (Options(language="xx", languages=("xx",)), "'xx'", "languages"),  # the one candidate that the caller sent
        (Options(languages=("xx", "yy")), "'xx' or 'yy'", "languages"),
    ],
)
def test_a_language_the_model_does_not_have_is_named(
    transcriber: Transcriber, options: Options, named: str, param: str
) -> None:
    """An unknown language token is the caller's error, not a crash; the languages that the model has are listed."""
    with pytest.raises(
        InvalidRequest, match=f"does not know the language {named}; it knows .*de, .*en, .*es,"
    ) as caught:
        transcriber.check(options)
    assert caught.value.param == param
    transcriber.check(Options(languages=("xx", "de")))  # detection has one to choose


def test_a_model_that_cannot_translate_says_so(demo: Model) -> None:
    """Turbo has no translate task: the request is refused instead of being transcribed."""
    turbo = transcriber_over(replace(demo, name="large-v3-turbo"))
    with pytest.raises(InvalidRequest, match="cannot translate") as caught:
        turbo.check(Options(task="translate"))
    assert caught.value.param == "model"
    assert "turbo" not in caught.value.message, "the name may be a path on this machine"
    turbo.close()


@pytest.mark.parametrize(
    ("options", "param"),
    [
        (Options(language="de"), "language"),
        (Options(language="de", languages=("de",)), "languages"),
        (Options(languages=("de", "fr")), "languages"),
        (Options(task="translate", language="en"), "model"),
    ],
)
def test_an_english_model_refuses_everything_else(demo: Model, options: Options, param: str) -> None:
    """Another language and translation get the reason; English and no language are accepted."""
    weights: Any = SimpleNamespace(is_multilingual=False)
    whisper = copy.copy(demo.whisper)
    whisper.model = weights
    english = transcriber_over(replace(demo, name="tiny.en", whisper=whisper), weights=demo.whisper.model)
    with pytest.raises(InvalidRequest, match="This server's model") as caught:
        english.check(options)
    assert caught.value.param == param
    assert param == "model" or caught.value.message.endswith("; it knows en.")
    english.check(Options(language="en"))
    english.check(Options(languages=("de", "en")))
    english.check(Options())
    english.close()


def test_windows_side_by_side_give_what_one_after_another_gives(demo: Model) -> None:
    """Four windows of a file at once: the same segments, words, times and order as one at a time."""
    pcm = pcm_of("long-en.wav")[: 40 * SECOND]
    answers = []
    for at_once in (1, 4):
        made = transcriber_over(demo, parallelism=replace(demo.parallelism, windows_per_file=at_once))
        answers.append(transcribe(made, pcm, Options(words=True, logprobs=True)))
        made.close()
    first, second = answers
    assert len(first.segments) > 8
    assert (first.info, first.segments, first.progress) == (second.info, second.segments, second.progress)


@pytest.mark.parametrize(
    "options",
    [
        Options(words=True, logprobs=True, max_speech_duration_s=3),
        Options(language="de", max_speech_duration_s=3),
        Options(max_speech_duration_s=3),
    ],
)
def test_each_window_is_encoded_once(demo: Model, options: Options) -> None:
    """Detection, every try, words and log-probabilities share one encoder call; the language is found once.

    At double speed, three times over, the clip is several windows of babble that fail their checks and are tried again.
    """
    counting = CountingModel(demo.whisper.model)
    made = transcriber_over(demo, weights=counting)
    result = transcribe(made, np.tile(pcm_of("de-00.wav")[::2], 3), options)
    made.close()
    n_windows = len(result.progress) - 1  # the last one says that the whole upload is done
    assert n_windows > 1
    assert counting.rows["encode"] == n_windows
    assert counting.calls["generate"] > n_windows
    assert counting.calls["detect_language"] == (options.language is None)


def hum(seconds: float) -> Pcm:
    """Mains hum at 50 Hz with its harmonics."""
    at_s = np.arange(int(seconds * SECOND)) / SECOND
    return np.asarray(sum(0.1 / n * np.sin(2 * np.pi * 50 * n * at_s) for n in range(1, 12)), np.float32)


def join_window_threads() -> None:
    """Wait for the threads of windows whose results are no longer needed."""
    for thread in threading.enumerate():
        if thread.name.startswith("window"):
            thread.join()


def failing(n_calls: int) -> Callable[[Run], Run]:
    """The model, until its `n_calls`-th decoding call, which fails; later ones are counted."""
    seen: list[int] = []

    def wrap(run: Run) -> Run:
        def counted(key: Hashable, rows: Sequence[ModelCall]) -> Sequence[Any]:
            if rows[0].kind == "generate":
                seen.append(len(rows))
                if len(seen) == n_calls:
                    raise ValueError("a poisonous window")
            return run(key, rows)

        return counted

    return wrap


def test_a_window_that_fails_ends_its_request_and_no_other(demo: Model) -> None:
    """The caller gets the error; nothing of the request stays in the queue, and the next request is served."""
    made = transcriber_over(demo, parallelism=replace(demo.parallelism, long_batch=1, replicas=1), wrap=failing(2))
    with pytest.raises(ValueError, match="poisonous"):
        transcribe(made, pcm_of("long-en.wav")[: 40 * SECOND], Options(language="en"))
    assert transcribe(made, pcm_of("en-00.wav")).text
    assert made._batcher.queued == 0
    join_window_threads()
    made.close()
    queue = made._batcher._queue
    assert (queue._served, queue._expected) == ({}, {}), "an ended request leaves no trace"


def test_a_reader_who_leaves_ends_the_windows_that_wait(demo: Model) -> None:
    """Closing the events stops the windows decoded ahead, though `cancelled` stays False."""
    counting = CountingModel(demo.whisper.model)
    made = transcriber_over(demo, weights=counting, parallelism=replace(demo.parallelism, replicas=1, long_batch=1))
    events = made.events(pcm_of("long-en.wav")[: 60 * SECOND], Options(language="en"), lambda: False)
    assert isinstance(next(events), AudioInfo)
    assert isinstance(next(events), Segment)
    assert isinstance(events, Generator)
    events.close()
    join_window_threads()
    assert counting.rows["encode"] <= 1 + made._parallelism.windows_per_file
    assert made._batcher.queued == 0
    made.close()


def test_a_closed_transcriber_says_that_the_server_goes_down(demo: Model) -> None:
    """After close() a request gets ShuttingDown, which clients retry elsewhere."""
    made = transcriber_over(demo)
    made.close()
    with pytest.raises(ShuttingDown):
        transcribe(made, pcm_of("en-00.wav"))


@pytest.mark.parametrize(("file", "tier", "lane"), [
    ("en-00.wav", "standard", SHORT), ("en-00.wav", "realtime", LIVE), ("en-00.wav", "deferred", DEFERRED),
    ("long-de.wav", "standard", LONG), ("long-de.wav", "realtime", LONG), ("long-de.wav", "deferred", DEFERRED),
])  # fmt: skip
def test_requests_wait_in_the_lane_that_fits(demo: Model, file: str, tier: Tier, lane: int) -> None:
    """One window is short, more are long; `realtime` helps only one window; files make small calls on a CPU."""
    made = transcriber_over(demo)
    lanes, rows = set(), set()
    submit = made._batcher.submit

    def watched(call: ModelCall, **about: Any) -> Future[Any]:
        lanes.add(about["lane"])
        if call.kind == "generate":
            rows.add(about["max_rows"])
        return submit(call, **about)

    made._batcher.submit = watched  # type: ignore[method-assign, assignment]
    transcribe(made, pcm_of(file), Options(tier=tier, language="en"))
    made.close()
    assert lanes == {lane}
    assert rows == {demo.parallelism.max_batch if lane <= SHORT else demo.parallelism.long_batch}


@pytest.mark.parametrize(("asked", "used"), [(3, 3), (None, 5)])
def test_the_beam_width_of_a_request_reaches_the_decoder(demo: Model, asked: int | None, used: int) -> None:
    """Every try but the last, which is greedy, has the width that the request names, else the server's."""
    made = transcriber_over(demo, beam_size=5)
    seen, submit = [], made._batcher.submit

    def watched(call: ModelCall, **about: Any) -> Future[Any]:
        if call.kind == "generate":
            seen.append(dict(call.options)["beam_size"])
        return submit(call, **about)

    made._batcher.submit = watched  # type: ignore[method-assign, assignment]
    babble = np.tile(pcm_of("de-00.wav")[::2], 3)[: 3 * SECOND]  # fails its checks and is tried again
    transcribe(made, babble, Options(beam_size=asked, language="de"))
    made.close()
    assert seen[:3] == [used, used, 1]


def test_detection_chooses_among_the_languages_that_are_allowed(transcriber: Transcriber) -> None:
    """A German clip is Spanish or French to a caller who allows no other language."""
    info = transcribe(transcriber, pcm_of("de-00.wav"), Options(languages=("es", "fr"))).info
    assert info is not None
    assert info.language in ("es", "fr")
    assert 0 <= info.language_probability < 1


def test_quiet_speech_around_a_knock_is_in_the_text(transcriber: Transcriber) -> None:
    """A sentence at -40 dBFS, a loud knock and the sentence again: both are understood, and nothing is suspect."""
    quiet = at_level(pcm_of("en-12.wav"), -40)
    result = transcribe(transcriber, np.concatenate([quiet, knock(), quiet]), Options(language="en"))
    spoken = sample("en-12.wav").text
    assert word_error_rate([f"{spoken} {spoken}"], [result.text]) < 0.5
    assert all(segment.speech_prob > 0.5 and segment.suspect is None for segment in result.segments)


def test_segments_carry_the_probability_of_speech(transcriber: Transcriber) -> None:
    """Clear speech has a high one and nothing against it, with and without detection."""
    for vad_filter in (True, False):
        result = transcribe(transcriber, pcm_of("en-08.wav"), Options(vad_filter=vad_filter, language="en"))
        assert result.segments
        for segment in result.segments:
            assert 0.5 < segment.speech_prob <= 1.0
            assert segment.suspect is None


def test_suppressed_segments_are_counted_and_leave_no_gap(demo: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dropped segment is neither in the text nor in the numbering; its reason is reported."""
    verdicts = chain(
        [Evidence(0.1, suppressed="boilerplate"), Evidence(0.25, suspect="silence")], repeat(Evidence(0.9))
    )
    monkeypatch.setattr("app.engine.transcriber.evidence_of", lambda *_: next(verdicts))
    made, suppressed = transcriber_over(demo), list[str]()
    made.listen(Listeners(suppressed=suppressed.append))
    result = transcribe(made, pcm_of("long-en.wav")[: 30 * SECOND], Options(language="en"))
    made.close()
    assert suppressed == ["boilerplate"]
    assert [segment.id for segment in result.segments] == list(range(len(result.segments)))
    assert [segment.suspect for segment in result.segments[:2]] == ["silence", None]
    assert [segment.speech_prob for segment in result.segments[:2]] == [0.25, 0.9]


def test_a_file_that_changes_its_language_is_transcribed_in_each(exact: Transcriber) -> None:
    """English, then German: each is understood, and its segments carry its language; the upload's is the first."""
    parts = [("en", "long-en.wav", 12), ("de", "long-de.wav", 12)]
    pcm = np.concatenate([pcm_of(file)[: seconds * SECOND] for _, file, seconds in parts])
    result = transcribe(exact, pcm, Options(max_speech_duration_s=10.0))
    assert result.info is not None
    assert result.info.language == "en"
    assert {segment.language for segment in result.segments if segment.end < 10.0} == {"en"}
    assert {segment.language for segment in result.segments if segment.start > 16.0} == {"de"}


def test_a_file_in_one_language_is_the_same_with_the_language_given_or_found(transcriber: Transcriber) -> None:
    """Later windows are detected too, and change nothing."""
    for language in ("en", "de"):
        pcm = pcm_of(f"long-{language}.wav")
        found, given = (transcribe(transcriber, pcm, Options(language=each)) for each in (None, language))
        assert found.segments == given.segments
        assert {segment.language for segment in found.segments} == {language}
