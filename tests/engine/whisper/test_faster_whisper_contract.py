"""What the engine uses of faster-whisper beyond its documented API: a new version that changes it fails here first."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
from faster_whisper import WhisperModel
from faster_whisper.audio import pad_or_trim
from faster_whisper.feature_extractor import FeatureExtractor
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import Segment, TranscriptionOptions, Word, get_suppressed_tokens
from faster_whisper.utils import _MODELS, available_models, download_model
from faster_whisper.vad import VadOptions, get_speech_timestamps

from app.engine.whisper.calls import BatchedWhisper
from app.engine.whisper.model import Model

SIGNATURES: list[tuple[Callable[..., Any], str]] = [
    (WhisperModel.generate_segments, "self features tokenizer options log_progress encoder_output"),
    (WhisperModel.generate_with_fallback, "self encoder_output prompt tokenizer options"),
    (WhisperModel.encode, "self features"),
    (WhisperModel.find_alignment, "self tokenizer text_tokens encoder_output num_frames median_filter_width"),
    (get_suppressed_tokens, "tokenizer suppress_tokens"),
    (get_speech_timestamps, "audio vad_options sampling_rate kwargs"),
    (pad_or_trim, "array length axis"),
    (Tokenizer.__init__, "self tokenizer multilingual task language"),
    (FeatureExtractor.__call__, "self waveform padding chunk_length"),
    (FeatureExtractor.__init__, "self feature_size sampling_rate hop_length chunk_length n_fft"),
    (available_models, ""),
    (download_model, "size_or_id output_dir local_files_only cache_dir revision use_auth_token"),
]


@pytest.mark.parametrize(("function", "parameters"), SIGNATURES, ids=lambda value: getattr(value, "__qualname__", ""))
def test_functions_take_what_the_engine_passes(function: Callable[..., Any], parameters: str) -> None:
    """Names and order of the parameters."""
    assert list(inspect.signature(function).parameters) == parameters.split()


def test_segments_words_and_search_options_have_their_fields() -> None:
    """Segments and words are copied with other values, so each of their fields counts."""
    expected = {
        Segment: "id seek start end text tokens avg_logprob compression_ratio no_speech_prob words temperature",
        Word: "start end word probability",
        VadOptions: "threshold neg_threshold min_speech_duration_ms max_speech_duration_s min_silence_duration_ms "
        "speech_pad_ms",
    }
    for kind, fields in expected.items():
        assert [field.name for field in dataclasses.fields(kind)] == fields.split()


def test_every_decoding_option_is_set_by_the_engine() -> None:
    """None has a default, so a new option cannot be missed."""
    fields = dataclasses.fields(TranscriptionOptions)
    assert len(fields) == 26
    assert all(field.default is dataclasses.MISSING for field in fields)


def test_the_shared_model_offers_what_faster_whisper_calls() -> None:
    """Every attribute of `WhisperModel.model` that the library uses exists on the view that takes its place."""
    used = set(re.findall(r"self\.model\.(\w+)", inspect.getsource(WhisperModel)))
    offered = {name for name in dir(BatchedWhisper) if not name.startswith("_")} | set(BatchedWhisper.__annotations__)
    offered |= set(re.findall(r"self\.(\w+): ", inspect.getsource(BatchedWhisper.__init__)))
    assert used == {"align", "detect_language", "device", "device_index", "encode", "generate", "is_multilingual"}
    assert used <= offered


def test_tries_at_a_window_call_nothing_of_the_model_but_generate() -> None:
    """Their results are recorded by a stand-in that has only that."""
    used = set(re.findall(r"self\.model\.(\w+)", inspect.getsource(WhisperModel.generate_with_fallback)))
    assert used == {"generate"}
    assert "self.generate_with_fallback(" in inspect.getsource(WhisperModel.generate_segments)


def test_a_loaded_model_has_the_parts_that_views_share(demo: Model) -> None:
    """Tokenizer, feature extractor, its arguments, and the table of sizes."""
    whisper = demo.whisper
    assert isinstance(whisper.feat_kwargs, dict)
    assert whisper.feature_extractor.nb_max_frames == 3000
    assert whisper.feature_extractor.mel_filters.shape[0] == whisper.model.n_mels
    tokenizer = Tokenizer(whisper.hf_tokenizer, multilingual=True, task="transcribe", language="en")
    assert len(tokenizer.sot_sequence) == 3
    assert tokenizer.eot == whisper.hf_tokenizer.token_to_id("<|endoftext|>")
    assert tokenizer.tokenizer.id_to_token(tokenizer.eot) == "<|endoftext|>"
    assert set(_MODELS) == set(available_models())
