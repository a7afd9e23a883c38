from __future__ import annotations

from collections.abc import Hashable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

import ctranslate2
import numpy as np
import pytest
from faster_whisper.audio import pad_or_trim

from app.engine.batching.batcher import Batcher
from app.engine.batching.lanes import DEFERRED, LIVE, LONG, SHORT
from app.engine.whisper.calls import BatchedWhisper, ModelCall, SharedModel, repeatable
from app.engine.whisper.decoding import FALLBACK_STEPS
from app.engine.whisper.model import Model
from tests.engine.transcribing import CountingModel
from tests.samples import pcm_of

SOT = 50258
SAMPLED = {"beam_size": 1, "num_hypotheses": 5, "sampling_topk": 0, "sampling_temperature": 0.2, "max_length": 448}


class Recorder:
    """Stands for the batcher: remembers what was submitted and answers at once."""

    def __init__(self) -> None:
        self.jobs: list[SimpleNamespace] = []
        self.announced: list[Hashable] = []

    def announce(self, owner: Hashable, lane: int) -> None:
        """The batcher's seam."""
        assert lane == SHORT
        self.announced.append(owner)

    def submit(self, call: ModelCall, **about: Any) -> Future[Any]:
        """The batcher's seam."""
        self.jobs.append(SimpleNamespace(call=call, **about))
        future: Future[Any] = Future()
        future.set_result(np.zeros((1, 50, 8), np.float32) if call.kind == "encode" else call.kind)
        return future

    @property
    def keys(self) -> list[Hashable]:
        """The key of each job."""
        return [job.key for job in self.jobs]


def view_of(
    recorder: Recorder, *, repeat_beam: int | None = 5, adapt_context: bool = False, lane: int = LONG
) -> BatchedWhisper:
    """One request's view over the recorder."""
    facts = SimpleNamespace(is_multilingual=True, device="cpu", device_index=[0], n_mels=80)
    return BatchedWhisper(
        facts, cast("Batcher[ModelCall, Any]", recorder), owner="me", lane=lane, max_rows=8, encode_rows=3,
        cancelled=lambda: False, start_token=SOT, repeat_beam=repeat_beam, adapt_context=adapt_context,
    )  # fmt: skip


def encoded(n_positions: int = 1500) -> np.ndarray:
    """What an encoder gave."""
    return np.zeros((1, n_positions, 8), np.float32)


def same_call(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """May two generate calls share a batch?"""
    recorder = Recorder()
    for asked in (first, second):
        view_of(recorder).generate(encoded(asked.pop("n_positions", 1500)), [asked.pop("prompt", [SOT, 1, 2])], **asked)
    return recorder.keys[0] == recorder.keys[1]


@pytest.mark.parametrize("lane", [LIVE, SHORT, LONG, DEFERRED])
def test_the_encoder_call_of_a_short_request_announces_its_decoding(lane: int) -> None:
    """Requests of one window gather for shared calls; live text never waits, and files have rows enough."""
    recorder = Recorder()
    view_of(recorder, lane=lane).encode(np.ones((1, 80, 3000), np.float32))
    assert recorder.announced == (["me"] if lane == SHORT else [])


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ({}, {}, True),
        ({"prompt": [SOT, 1, 2]}, {"prompt": [SOT, 7, 8]}, True),  # another language and task
        ({"prompt": [9, 9, SOT, 1, 2]}, {"prompt": [8, 7, SOT, 1, 2]}, True),  # other words, as many
        ({"prompt": [9, SOT, 1, 2]}, {"prompt": [SOT, 1, 2]}, False),  # start token elsewhere
        ({"prompt": [SOT, 1, 2, 3]}, {"prompt": [SOT, 1, 2]}, False),  # without timestamps
        ({"n_positions": 1500}, {"n_positions": 250}, False),
        ({"beam_size": 5}, {"beam_size": 1}, False),
        ({"suppress_tokens": [1, 2]}, {"suppress_tokens": [1, 2]}, True),
        ({"suppress_tokens": [1, 2]}, {"suppress_tokens": [1, 3]}, False),
        ({"max_length": 448}, {"max_length": 100}, False),
        ({"sampling_temperature": 0.2}, {"sampling_temperature": 0.4}, False),
    ],
)
def test_what_may_share_a_decoding_call(first: dict[str, Any], second: dict[str, Any], *, shared: bool) -> None:
    """CTranslate2's rule and nothing more: languages, tasks and words may differ, the shape may not."""
    assert same_call(dict(first), dict(second)) is shared


def test_each_kind_of_call_has_its_own_key_and_size() -> None:
    """Encoding, detection, decoding and alignment never mix; alignments never share a call at all."""
    recorder = Recorder()
    view = view_of(recorder)
    view.encode(np.ones((1, 80, 3000), np.float32))
    view.detect_language(encoded())
    view.generate(encoded(), [[SOT, 1, 2]])
    for _ in range(2):
        view.align(encoded(), [SOT, 1, 2], [[5, 6]], 100)
    assert [job.call.kind for job in recorder.jobs] == ["encode", "detect_language", "generate", "align", "align"]
    assert len(set(recorder.keys)) == 5
    assert [job.max_rows for job in recorder.jobs] == [3, 1, 8, 1, 1]
    assert {(job.owner, job.lane) for job in recorder.jobs} == {("me", 2)}


def test_an_alignment_never_looks_behind_the_encoded_audio() -> None:
    """With a short context the number of frames is cut to what was encoded."""
    recorder = Recorder()
    view_of(recorder).align(encoded(125), [SOT], [[5]], 3000)
    view_of(recorder).align(encoded(1500), [SOT], [[5]], 700)
    assert [dict(job.call.options)["num_frames"] for job in recorder.jobs] == [250, 700]


def test_a_short_window_is_encoded_at_its_own_length_only_when_asked() -> None:
    """AUDIO_CONTEXT=auto cuts the padding, full does not touch the window."""
    recorder, features = Recorder(), np.zeros((1, 80, 3000), np.float32)
    features[..., :200] = 1.0
    for adapt in (False, True):
        view_of(recorder, adapt_context=adapt).encode(features)
    assert [job.call.rows.shape for job in recorder.jobs] == [(1, 80, 3000), (1, 80, 500)]
    assert all(job.call.rows.flags.c_contiguous for job in recorder.jobs)


def test_a_short_window_gets_the_output_for_silence_behind_it(demo: Model) -> None:
    """750 positions: first what its own frames give, then what 30 s of silence give at those positions."""
    shared, features = SharedModel(demo.whisper.model), np.zeros((1, demo.whisper.model.n_mels, 500), np.float32)
    features[..., :200] = 1.0
    [short] = shared.run("e", [ModelCall("encode", features)])
    assert short.shape[1] == 250
    silent = np.zeros((1, demo.whisper.model.n_mels, 3000), np.float32)
    [silence] = shared.run("e", [ModelCall("encode", silent)])
    shared.encode_silence()
    first, second = shared.run("e", [ModelCall("encode", features), ModelCall("encode", features * 0.5)])
    assert first.shape == second.shape == (1, 750, silence.shape[-1])
    assert np.abs(first[:, :250] - short).max() < 1e-3
    for row in (first, second):
        assert np.array_equal(row[:, 250:], silence[:, 250:750])


def test_a_longer_window_gets_silence_up_to_thirty_seconds(demo: Model) -> None:
    """A window of 15 s has 1500 positions, as a full one has."""
    shared = SharedModel(demo.whisper.model)
    shared.encode_silence()
    [row] = shared.run("e", [ModelCall("encode", np.ones((1, demo.whisper.model.n_mels, 1500), np.float32))])
    assert row.shape[1] == 1500


def test_a_full_window_is_not_padded(demo: Model) -> None:
    """A window of 30 s is returned as the encoder gives it."""
    shared = SharedModel(demo.whisper.model)
    shared.encode_silence()
    [row] = shared.run("e", [ModelCall("encode", np.ones((1, demo.whisper.model.n_mels, 3000), np.float32))])
    assert row.shape[1] == 1500


def test_short_windows_share_a_decoding_call(demo: Model) -> None:
    """Padded to the same positions, a clip of two seconds and one of six have one key and one call gives both texts."""
    shared = SharedModel(demo.whisper.model)
    shared.encode_silence()
    rows = [
        shared.run("e", [ModelCall("encode", np.zeros((1, demo.whisper.model.n_mels, n), np.float32))])[0]
        for n in (500, 1000)
    ]
    recorder = Recorder()
    for row in rows:
        view_of(recorder).generate(row, [[SOT, 1, 2]])
    assert recorder.keys[0] == recorder.keys[1]
    prompt = tuple(int(demo.start_token) + offset for offset in (0, 1))
    results = shared.run("g", [ModelCall("generate", row, prompt, (("max_length", 8),)) for row in rows])
    assert len(results) == 2


def test_retries_of_repeatable_requests_never_sample() -> None:
    """Every try above 0 becomes a deterministic one that forbids repetition."""
    for temperature in FALLBACK_STEPS:
        options = repeatable({**SAMPLED, "sampling_temperature": temperature}, 5)
        assert not {name for name in options if name.startswith("sampling")} | {"num_hypotheses"} & set(options)
        assert options["no_repeat_ngram_size"] == FALLBACK_STEPS[temperature]["no_repeat_ngram_size"]
        assert options["max_length"] == 448
    assert repeatable(SAMPLED, 5)["beam_size"] == 5
    assert repeatable({**SAMPLED, "sampling_temperature": 0.9}, 5)["no_repeat_ngram_size"] > 0


def test_only_requests_that_ask_for_sampling_sample() -> None:
    """With a temperature of its own a request is sampled as it asked; a first try at 0 is left alone."""
    recorder = Recorder()
    view_of(recorder, repeat_beam=None).generate(encoded(), [[SOT, 1, 2]], **SAMPLED)
    view_of(recorder, repeat_beam=5).generate(encoded(), [[SOT, 1, 2]], **SAMPLED)
    view_of(recorder, repeat_beam=5).generate(encoded(), [[SOT, 1, 2]], beam_size=5, patience=1)
    sampled, repeated, first = (dict(job.call.options) for job in recorder.jobs)
    assert sampled == SAMPLED
    assert "sampling_temperature" not in repeated
    assert first == {"beam_size": 5, "patience": 1}


FILES = ("en-00.wav", "de-00.wav", "es-01.wav", "en-10.wav")
LANGUAGES = ("en", "de", "es", "en")


@pytest.fixture(scope="module")
def windows(demo: Model) -> list[np.ndarray]:
    """[1, n_mels, 1000] of four clips."""
    features = [demo.whisper.feature_extractor(pcm_of(file)) for file in FILES]
    return [np.ascontiguousarray(pad_or_trim(each, 1000)[None]) for each in features]


def prompts(demo: Model) -> list[tuple[int, ...]]:
    """A start sequence for each clip, in its language."""
    ids = demo.whisper.hf_tokenizer.token_to_id
    return [(demo.start_token, ids(f"<|{language}|>"), ids("<|transcribe|>")) for language in LANGUAGES]


def test_rows_of_a_call_get_what_they_would_get_alone(demo: Model, windows: list[np.ndarray]) -> None:
    """Encoded and decoded together or alone: the same numbers, tokens and scores, in the same order."""
    counting = CountingModel(demo.whisper.model)
    model = SharedModel(counting)
    alone = [model.run("e", [ModelCall("encode", each)])[0] for each in windows]
    together = model.run("e", [ModelCall("encode", each) for each in windows])
    for one, row in zip(alone, together, strict=True):
        assert one.shape == row.shape == (1, 500, one.shape[2])
        np.testing.assert_array_equal(one, row)
    options = (("beam_size", 3), ("return_scores", True), ("return_no_speech_prob", True))
    calls = [ModelCall("generate", rows, prompt, options) for rows, prompt in zip(together, prompts(demo), strict=True)]
    batched = model.run("g", calls)
    singles = [model.run("g", [call])[0] for call in calls]
    assert counting.calls["generate"] == 5
    for one, other in zip(batched, singles, strict=True):
        assert one.sequences_ids == other.sequences_ids
        assert one.sequences_ids[0]
        assert one.scores == pytest.approx(other.scores, abs=1e-5)
        assert one.no_speech_prob == pytest.approx(other.no_speech_prob, abs=1e-5)


def test_language_and_alignment_use_the_encoded_rows(demo: Model, windows: list[np.ndarray]) -> None:
    """Detection and word alignment accept what encoding gave, without another encoder call."""
    counting = CountingModel(demo.whisper.model)
    model = SharedModel(counting)
    row = model.run("e", [ModelCall("encode", windows[1])])[0]
    [found] = model.run("d", [ModelCall("detect_language", row)])
    assert len(found) > 90
    assert all(token.startswith("<|") for token, _ in found)
    options = (("start_sequence", list(prompts(demo)[1])), ("text_tokens", [[400, 401]]), ("num_frames", 300),
               ("median_filter_width", 7))  # fmt: skip
    [[aligned]] = model.run("a", [ModelCall("align", row, options=options)])
    assert len(aligned.text_token_probs) == 2
    assert counting.calls == {"encode": 1, "detect_language": 1, "align": 1}


def test_half_precision_output_can_be_read(demo: Model) -> None:
    """NumPy has no bfloat16: such an encoder's output is widened, others are handed on as they are."""
    values = np.arange(24, dtype=np.float32).reshape(1, 4, 6)
    for data_type in (ctranslate2.DataType.float32, ctranslate2.DataType.float16, ctranslate2.DataType.bfloat16):
        storage = ctranslate2.StorageView.from_array(values).to(data_type)
        fake = SimpleNamespace(device="cuda", encode=lambda _rows, *, to_cpu, storage=storage: storage if to_cpu else 0)
        [row] = SharedModel(fake).run("e", [ModelCall("encode", np.zeros((1, 80, 100), np.float32))])
        np.testing.assert_array_equal(np.asarray(row, np.float32), values)


def test_another_encoder_takes_the_place_of_ctranslate2s(demo: Model) -> None:
    """It gets all rows of a call as one array, and each row of its output is decoded by CTranslate2."""
    counting, seen = CountingModel(demo.whisper.model), list[tuple[int, ...]]()

    def encode(features: np.ndarray) -> np.ndarray:
        seen.append(features.shape)
        return SharedModel(demo.whisper.model).encode(features)

    model = SharedModel(counting, encode)
    rows = [np.full((1, 80, 100), value, np.float32) for value in (0.1, 0.2)]
    encoded = model.run("e", [ModelCall("encode", row) for row in rows])
    assert seen == [(2, 80, 100)]
    assert [row.shape[:2] for row in encoded] == [(1, 50), (1, 50)]
    model.run("d", [ModelCall("detect_language", encoded[0])])
    assert counting.calls == {"detect_language": 1}
