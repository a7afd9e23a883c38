"""The four calls faster-whisper makes to CTranslate2, as jobs that can share a call.

`SharedModel.run` makes one call for the rows of a batch. `BatchedWhisper` takes the place of
`WhisperModel.model` in faster-whisper and turns its calls into jobs of one request. CTranslate2
decides what may share a `generate` call: the start token at the same index, the same number of task
tokens after it, the same options, the same length of audio. Languages and tasks may differ.
Source: CTranslate2 src/models/whisper.cc (check_prompts). Decision: docs/decisions/0001.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import ctranslate2
import numpy as np
import numpy.typing as npt

from app.engine.batching.batcher import Batcher
from app.engine.batching.lanes import SHORT
from app.engine.batching.queue import JobCall
from app.engine.stage_times import CallTimes
from app.engine.whisper.audio_context import FULL_FRAMES, context_frames, decoder_positions
from app.engine.whisper.decoding import FALLBACK_STEPS

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One row of one call.

    Attributes:
        kind: encode | detect_language | generate | align.
        rows: the row's tensor, [1, n_mels, n_frames] for encode, else [1, n_positions, width].
        prompt: token ids of the prompt (generate).
        options: keyword arguments of the call.
    """

    kind: str
    rows: Array
    prompt: tuple[int, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()


class SharedModel:
    """One set of weights; every replica of it may run one call at a time.

    A window that is encoded at its own length gets the encoder's output for silence behind it, up to one of two
    lengths, so windows of up to 10 s share a call whatever their lengths, and so do longer ones.

    Args:
        model: CTranslate2's Whisper.
        encode: another encoder, [B, n_mels, n_frames] -> [B, n_positions, width]; None = CTranslate2's.
    """

    def __init__(self, model: Any, encode: Callable[[Array], Array] | None = None) -> None:
        self._model = model
        self._on_gpu = model.device == "cuda"
        self._encode = encode or self.encode
        self._silence: Array | None = None  # [1, 1500, width]

    def encode_silence(self) -> None:
        """Make this model able to take windows shorter than 30 s; blocking, one encoder call."""
        self._silence = self._encode(np.zeros((1, int(self._model.n_mels), FULL_FRAMES), dtype=np.float32))

    def run(self, _: Hashable, calls: Sequence[ModelCall]) -> list[Any]:
        """Make one call for rows that share a key; returns a result per row."""
        rows = _stack([call.rows for call in calls])
        if calls[0].kind == "encode":
            encoded = self._padded(self._encode(rows))
            return [encoded[row : row + 1] for row in range(len(calls))]
        stacked = ctranslate2.StorageView.from_array(rows)
        options = dict(calls[0].options)
        if calls[0].kind == "generate":
            prompts = [list(call.prompt) for call in calls]
            results = self._model.generate(stacked, prompts, asynchronous=True, **options)
            del stacked, rows  # CTranslate2 has its own copy: 2.3 MB less for each row of tiny while it decodes
            return [result.result() for result in results]
        if calls[0].kind == "detect_language":
            return list(self._model.detect_language(stacked))
        # align takes one start sequence a call and is exact only alone: never more than one row
        return [self._model.align(stacked, **options)]

    def encode(self, features: Array) -> Array:
        """CTranslate2's encoder: [B, n_mels, n_frames] -> [B, n_positions, width]."""
        return _array(self._model.encode(ctranslate2.StorageView.from_array(features), to_cpu=self._on_gpu))

    def _padded(self, encoded: Array) -> Array:
        """[B, n_positions, width] -> [B, 750 or 1500, width], if the output for silence is known."""
        if self._silence is None or encoded.shape[1] >= self._silence.shape[1]:
            return encoded
        tail = self._silence[:, encoded.shape[1] : decoder_positions(encoded.shape[1])]  # [1, n_silent, width]
        return np.concatenate([encoded, np.repeat(tail, len(encoded), axis=0)], axis=1)


class BatchedWhisper:
    """CTranslate2's Whisper for one request: the same methods, over jobs of the shared model.

    Args:
        model: the shared model, for its properties.
        batcher: runs the jobs.
        owner: the request.
        lane: its lane.
        max_rows: windows in one `generate` call.
        encode_rows: windows in one `encode` call.
        cancelled: whether the caller has left.
        start_token: id of `<|startoftranscript|>`.
        repeat_beam: replace sampling by `FALLBACK_STEPS`, with this beam; None = sample.
        adapt_context: encode a short window at its own length; see `SharedModel.encode_silence`.
        on_call: called with each call, on a model thread.
    """

    def __init__(
        self,
        model: Any,
        batcher: Batcher[ModelCall, Any],
        *,
        owner: Hashable,
        lane: int,
        max_rows: int,
        encode_rows: int,
        cancelled: Callable[[], bool],
        start_token: int,
        repeat_beam: int | None,
        adapt_context: bool,
        on_call: Callable[[CallTimes], None] = lambda _: None,
    ) -> None:
        self.is_multilingual: bool = model.is_multilingual
        self.device: str = model.device
        self.device_index: list[int] = model.device_index
        self.n_mels: int = model.n_mels
        self._batcher = batcher
        self._owner = owner
        self._lane = lane
        self._max_rows = max_rows
        self._encode_rows = encode_rows
        self._cancelled = cancelled
        self._start_token = start_token
        self._repeat_beam = repeat_beam
        self._adapt_context = adapt_context
        self._on_call = on_call

    def encode(self, features: Any, *, to_cpu: bool = False) -> Array:  # noqa: ARG002 - CTranslate2's signature
        """[1, n_mels, n_frames] -> [1, n_positions, width]."""
        rows = np.asarray(features)
        if self._adapt_context:
            rows = np.ascontiguousarray(rows[..., : context_frames(rows)])
        if self._lane == SHORT:
            self._batcher.announce(self._owner, SHORT)
        encoded: Array = self._do(ModelCall("encode", rows), key=("encode", rows.shape[-1]), max_rows=self._encode_rows)
        return encoded

    def detect_language(self, encoded: Array) -> list[Any]:
        """[1, n_positions, width] -> one list of (language token, probability), best first."""
        return [self._do(ModelCall("detect_language", encoded), key=("detect_language", encoded.shape[1]))]

    def generate(self, encoded: Array, prompts: Sequence[Sequence[int]], **options: Any) -> list[Any]:
        """One row's hypotheses; see CTranslate2 for the options."""
        prompt = tuple(prompts[0])
        if self._repeat_beam is not None and options.get("sampling_temperature"):
            options = repeatable(options, self._repeat_beam)
        frozen = tuple(sorted((name, _frozen(value)) for name, value in options.items()))
        key = ("generate", encoded.shape[1], prompt.index(self._start_token), len(prompt), frozen)
        return [self._do(ModelCall("generate", encoded, prompt, frozen), key=key, max_rows=self._max_rows)]

    def align(
        self,
        encoded: Array,
        start_sequence: Sequence[int],
        text_tokens: Sequence[Sequence[int]],
        num_frames: int,
        *,
        median_filter_width: int = 7,
    ) -> list[Any]:
        """Word alignments of one window's texts."""
        options = (
            ("start_sequence", list(start_sequence)),
            ("text_tokens", [list(tokens) for tokens in text_tokens]),
            ("num_frames", min(num_frames, 2 * encoded.shape[1])),
            ("median_filter_width", median_filter_width),
        )
        result: list[Any] = self._do(ModelCall("align", encoded, options=options), key=("align", object()))
        return result

    def _do(self, call: ModelCall, *, key: Hashable, max_rows: int = 1) -> Any:
        return self._batcher.submit(
            call,
            key=key,
            owner=self._owner,
            lane=self._lane,
            max_rows=max_rows,
            cancelled=self._cancelled,
            on_call=lambda made: self._on_call(_times_of(call.kind, made)),
        ).result()


def _times_of(kind: str, made: JobCall) -> CallTimes:
    waited_s = made.started_s - made.added_s
    return CallTimes(made.number, kind, made.rows, waited_s, made.started_s, made.ended_s)


def repeatable(options: dict[str, Any], beam_size: int) -> dict[str, Any]:
    """The options of a sampled try, made deterministic: see `FALLBACK_STEPS`."""
    step = FALLBACK_STEPS.get(float(options["sampling_temperature"]), FALLBACK_STEPS[max(FALLBACK_STEPS)])
    sampled = ("sampling_temperature", "sampling_topk", "num_hypotheses")
    kept = {name: value for name, value in options.items() if name not in sampled}
    return {**kept, "beam_size": beam_size, "patience": 1, **step}


def _array(storage: Any) -> Array:
    """The numbers of a CTranslate2 tensor, without a copy; numpy has no bfloat16."""
    if storage.dtype == ctranslate2.DataType.bfloat16:
        storage = storage.to(ctranslate2.DataType.float32)
    return np.asarray(storage)


def _stack(rows: Sequence[Array]) -> Array:
    return np.ascontiguousarray(rows[0]) if len(rows) == 1 else np.concatenate(rows)  # [B, ...]


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
