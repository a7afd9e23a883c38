"""Same bytes in, same text, times, tokens and words out, whoever else is being served."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import pytest

from app.core.options import Options
from app.core.transcript import AudioInfo, Segment
from app.engine.batching.batcher import BatchDetails
from app.engine.transcriber import Transcriber
from app.engine.whisper.model import Model
from tests.engine.transcribing import transcribe, transcriber_over
from tests.samples import pcm_of

# What is measured: short and several windows, language given and found, words, prompts, live text, beam widths.
MEASURED: tuple[tuple[str, Options], ...] = (
    ("en-00.wav", Options(words=True, logprobs=True)),
    ("en-10.wav", Options(words=True)),
    ("de-00.wav", Options(logprobs=True)),
    ("es-00.wav", Options(language="es", words=True)),
    ("es-05.wav", Options()),
    ("en-07.wav", Options(prompt="To be or not to be, that is the question.", words=True)),
    ("en-03.wav", Options(tier="realtime", words=True)),
    ("en-00.wav", Options(beam_size=2)),
    ("en-00.wav", Options(beam_size=8)),
    ("babble of de-00.wav", Options(logprobs=True, max_speech_duration_s=3)),
    ("babble of de-00.wav", Options(beam_size=2, max_speech_duration_s=3)),
    ("gusts of noise.wav", Options(vad_filter=False)),
)
# Who disturbs: every language, prompts of many lengths, hot words, tiers, sampling.
NEIGHBOURS: tuple[tuple[str, Options], ...] = (
    ("en-12.wav", Options(temperature=0.8, words=True)),
    ("de-03.wav", Options(tier="realtime", prompt="Guten Tag.")),
    ("es-02.wav", Options(tier="deferred", hotwords="fuego agua", words=True)),
    ("de-05.wav", Options(temperature=0.4, language="en")),
    ("en-20.wav", Options(prompt="word " * 300, logprobs=True)),
    ("gusts of noise.wav", Options(vad_filter=False, temperature=1.0)),
    ("es-07.wav", Options(language="de", task="transcribe", vad_filter=False)),
    ("en-02.wav", Options(hotwords="kingdom horse")),
    ("en-05.wav", Options(beam_size=3)),
)

BABBLE = "babble of "  # double speed, three times over: it fails its checks and is tried again
GUSTS = "gusts of "  # steady noise never reaches the model
Answer = tuple[AudioInfo | None, list[Segment]]


@dataclass(slots=True)
class Bench:
    """A transcriber and the sizes of its decoding calls."""

    transcriber: Transcriber
    batches: list[BatchDetails]

    def answer(self, file: str, options: Options) -> Answer:
        """Everything a client can see of one request but the time it took."""
        pcm = pcm_of(file.removeprefix(BABBLE).removeprefix(GUSTS))
        if file.startswith(BABBLE):
            pcm = np.tile(pcm[::2], 3)
        if file.startswith(GUSTS):
            pcm = pcm * np.sin(np.arange(len(pcm), dtype=np.float32) / 4000)
        result = transcribe(self.transcriber, pcm, options)
        return result.info, result.segments

    @property
    def largest(self) -> int:
        """The widest decoding call so far."""
        return max(each.rows for each in self.batches if isinstance(each.key, tuple) and each.key[0] == "generate")


@pytest.fixture(scope="module")
def bench(demo: Model) -> Iterator[Bench]:
    """Two replicas; slower lanes ride along and encoder calls hold four, so that all kinds of rows meet."""
    batches: list[BatchDetails] = []
    spread = replace(demo.parallelism, encode_batch=4, long_batch=8)
    made = Bench(transcriber_over(demo, parallelism=spread, mix_lanes=True, on_batch=batches.append), batches)
    yield made
    made.transcriber.close()


@pytest.fixture(scope="module")
def alone(bench: Bench) -> list[Answer]:
    """What each measured request gives on an idle engine."""
    return [bench.answer(*each) for each in MEASURED]


@contextmanager
def neighbours(bench: Bench, n_callers: int) -> Iterator[None]:
    """Other callers keep the engine busy with everything that could disturb."""
    over, asked = threading.Event(), itertools.cycle(NEIGHBOURS)

    def disturb() -> None:
        while not over.is_set():
            bench.answer(*next(asked))

    with ThreadPoolExecutor(n_callers) as callers:
        running = [callers.submit(disturb) for _ in range(n_callers)]
        try:
            yield
        finally:
            over.set()
    for each in running:
        each.result()


def test_the_measured_requests_say_something(alone: list[Answer]) -> None:
    """Equal silence would prove nothing: there is text, with words, in three languages, and a retry."""
    assert {info.language for info, _ in alone if info} == {"en", "de", "es"}
    assert all(segments for (file, _), (_, segments) in zip(MEASURED, alone, strict=True) if not file.startswith(GUSTS))
    assert any(segment.words for _, segments in alone for segment in segments)
    assert any(segment.logprobs for _, segments in alone for segment in segments)
    assert any(segment.temperature > 0 for _, segments in alone for segment in segments), "a window was tried again"


def test_a_second_time_gives_the_same(bench: Bench, alone: list[Answer]) -> None:
    """One caller, twice: nothing is drawn by lot."""
    assert alone == [bench.answer(*each) for each in MEASURED]


def test_sixteen_callers_get_what_one_gets(bench: Bench, alone: list[Answer]) -> None:
    """Everything at once, twice over, in wide calls: the same text, times, tokens, words and scores."""
    bench.batches.clear()
    with ThreadPoolExecutor(16) as callers:
        together = list(callers.map(lambda each: bench.answer(*each), MEASURED * 2))
    assert bench.largest > 2, "windows of different requests have shared calls"
    assert together == alone * 2


def test_neighbours_change_nothing(bench: Bench, alone: list[Answer]) -> None:
    """Beside other languages, prompts, hot words, tiers and sampling a request gets what it gets alone."""
    bench.batches.clear()
    with neighbours(bench, 8), ThreadPoolExecutor(8) as callers:
        disturbed = list(callers.map(lambda each: bench.answer(*each), MEASURED))
    assert bench.largest > 2
    assert disturbed == alone


def test_the_language_found_or_given_gives_the_same_text(bench: Bench, alone: list[Answer]) -> None:
    """A client that sends back the detected language gets the same segments."""
    for (file, options), (info, segments) in zip(MEASURED, alone, strict=True):
        if info is not None and segments and options.language is None:
            assert bench.answer(file, replace(options, language=info.language))[1] == segments
