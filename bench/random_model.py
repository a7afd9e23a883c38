"""Write a CTranslate2 Whisper of a real architecture with random weights.

Running it costs as much as running the real model of that size, without a download. Its text is random, so it is
used for speed, memory and load tests, not for accuracy. The length of the text is fixed when the model is written: each
window has an opening timestamp, exactly `n_tokens` words, and the end of text.

How it works: one channel of the decoder's residual stream (END) depends only on the position. Nothing else writes to
it, and only the end of text reads it, so the text ends at the same position for any audio. A bias on the output layer
suppresses timestamps and control tokens where they are not forced. Each position strongly favours one word. Therefore
the usual checks of a transcript (log-probability, compression ratio) pass at temperature 0, and rounding, which differs
between instruction sets and would otherwise decide between almost equal words, does not change the text. The
disadvantage: every window has the same text, so `bench/identity.py` uses a trained model to check that answers belong
to the right audio.
Source: CTranslate2 `python/ctranslate2/specs/whisper_spec.py`; sizes, openai/whisper model cards.
"""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ctranslate2.specs import whisper_spec

from bench.random_vocabulary import END_OF_TEXT, Vocabulary, build_vocabulary

Array = npt.NDArray[np.float32]

CACHE = Path(__file__).resolve().parents[1] / ".cache" / "bench"
# Part of a cached model's name: increase it when the weights for the same arguments change.
REVISION = 5
AUDIO_POSITIONS = 1500
TEXT_POSITIONS = 448
# CTranslate2 generates at most half of the text positions; two are the opening timestamp and the end.
MAX_TOKENS = TEXT_POSITIONS // 2 - 2
# <|startoftranscript|>, language and task come before the first timestamp, whose output is word one.
FIRST_WORD_POSITION = 3

END = 0
END_LEVEL = 6.0  # of the position's signal, in units of the other channels' standard deviation
LOGIT_STD = 20.0
TOKEN_NORM = 1.5  # small; otherwise the model repeats its last token
FAVOUR = 24.0  # of a position for its word, as a length; a random word has one of about 1
NEVER = -1000.0


@dataclass(frozen=True, slots=True)
class Architecture:
    """The dimensions of one Whisper size."""

    width: int
    n_encoder_layers: int
    n_decoder_layers: int
    n_heads: int
    n_mels: int
    n_languages: int
    alignment_heads: tuple[tuple[int, int], ...]  # (layer, head) pairs that give word times


ARCHITECTURES = {
    "tiny": Architecture(384, 4, 4, 6, 80, 99, ((2, 2), (3, 0), (3, 2), (3, 3), (3, 4), (3, 5))),
    "base": Architecture(
        512, 6, 6, 8, 80, 99, ((3, 1), (4, 2), (4, 3), (4, 7), (5, 1), (5, 2), (5, 4), (5, 6))
    ),
    "small": Architecture(
        768, 12, 12, 12, 80, 99,
        ((5, 3), (5, 9), (8, 0), (8, 4), (8, 7), (8, 8), (9, 0), (9, 7), (9, 9), (10, 5)),
    ),
    "medium": Architecture(
        1024, 24, 24, 16, 80, 99, ((13, 15), (15, 4), (15, 15), (16, 1), (20, 0), (23, 4))
    ),
    "large-v3-turbo": Architecture(
        1280, 32, 4, 20, 128, 100, ((2, 4), (2, 11), (3, 3), (3, 6), (3, 11), (3, 14))
    ),
}  # fmt: skip


class Filler:
    """Fills the layers of a specification with seeded normal values."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def normal(self, *shape: int, std: float) -> Array:
        """Values around 0."""
        return np.float32(std) * self._random.standard_normal(shape, dtype=np.float32)

    def choice(self, ids: range, n_chosen: int) -> npt.NDArray[np.int64]:
        """Different ids, [n_chosen]."""
        return self._random.choice(ids, n_chosen, replace=False)

    def linear(self, layer: Any, n_out: int, n_in: int, *, gain: float = 1.0) -> None:
        """A matrix that keeps the variance of its input, times gain squared."""
        layer.weight = self.normal(n_out, n_in, std=gain / math.sqrt(n_in))
        layer.bias = self.normal(n_out, std=0.02)

    def convolution(self, layer: Any, n_out: int, n_in: int) -> None:
        """Three frames wide."""
        layer.weight = self.normal(n_out, n_in, 3, std=1 / math.sqrt(3 * n_in))
        layer.bias = self.normal(n_out, std=0.02)

    def norm(self, layer: Any, width: int) -> None:
        """Near the identity."""
        layer.gamma = 1 + self.normal(width, std=0.05)
        layer.beta = self.normal(width, std=0.02)

    def self_attention(self, layer: Any, width: int) -> None:
        """Query, key and value in one matrix, then the output."""
        self.norm(layer.layer_norm, width)
        self.linear(layer.linear[0], 3 * width, width)
        self.linear(layer.linear[1], width, width, gain=0.5)

    def cross_attention(self, layer: Any, width: int) -> None:
        """Query; key and value; output."""
        self.norm(layer.layer_norm, width)
        self.linear(layer.linear[0], width, width)
        self.linear(layer.linear[1], 2 * width, width)
        self.linear(layer.linear[2], width, width, gain=0.5)

    def feed_forward(self, layer: Any, width: int) -> None:
        """Four times as wide inside."""
        self.norm(layer.layer_norm, width)
        self.linear(layer.linear_0, 4 * width, width)
        self.linear(layer.linear_1, width, 4 * width)


def fill_encoder(encoder: Any, shape: Architecture, filler: Filler) -> None:
    """Set every variable of the encoder."""
    filler.convolution(encoder.conv1, shape.width, shape.n_mels)
    filler.convolution(encoder.conv2, shape.width, shape.width)
    encoder.position_encodings.encodings = _sinusoids(AUDIO_POSITIONS, shape.width)
    for layer in encoder.layer:
        filler.self_attention(layer.self_attention, shape.width)
        filler.feed_forward(layer.ffn, shape.width)
    filler.norm(encoder.layer_norm, shape.width)


def fill_decoder(decoder: Any, shape: Architecture, filler: Filler, vocabulary: Vocabulary, n_tokens: int) -> None:
    """Set every variable of the decoder."""
    width = shape.width
    for layer in decoder.layer:
        filler.self_attention(layer.self_attention, width)
        filler.cross_attention(layer.attention, width)
        filler.feed_forward(layer.ffn, width)
        for output in (layer.self_attention.linear[1], layer.attention.linear[2], layer.ffn.linear_1):
            output.weight[END], output.bias[END] = 0, 0

    end_of_text = vocabulary.id_of(END_OF_TEXT)
    tokens = filler.normal(len(vocabulary.tokens), width, std=TOKEN_NORM / math.sqrt(width))
    tokens[:, END] = 0
    tokens[end_of_text] = 0
    # Far above the cost of a beam's other words: all beams end at the first end, as certain text would.
    tokens[end_of_text, END] = LOGIT_STD
    decoder.embeddings.weight = tokens
    decoder.projection.weight = tokens  # one matrix, as in every Whisper

    favourites = filler.choice(vocabulary.words, TEXT_POSITIONS)
    positions = filler.normal(TEXT_POSITIONS, width, std=1.0)
    # Again and again, so that a window with a prompt in front, which shifts the positions, also ends.
    ends = np.zeros(TEXT_POSITIONS, bool)
    ends[FIRST_WORD_POSITION + n_tokens :: n_tokens] = True
    positions[~ends] += FAVOUR / TOKEN_NORM * tokens[favourites[~ends]]
    positions[:, END] = np.where(ends, END_LEVEL, -END_LEVEL)
    decoder.position_encodings.encodings = positions

    bias = np.full(len(vocabulary.tokens), NEVER, np.float32)
    bias[vocabulary.words] = 0
    bias[end_of_text] = 0
    bias[[vocabulary.id_of("<|en|>"), vocabulary.first_timestamp]] = NEVER / 2  # the best of their kind
    decoder.projection.bias = bias

    filler.norm(decoder.layer_norm, width)
    decoder.layer_norm.gamma *= np.float32(LOGIT_STD / TOKEN_NORM)
    decoder.layer_norm.beta[END] = 0


def _sinusoids(n_positions: int, width: int) -> Array:
    """Whisper's fixed encoder positions, [n_positions, width]."""
    slowness = np.exp(-math.log(10_000) * np.arange(width // 2) / (width // 2 - 1))
    angles = np.outer(np.arange(n_positions), slowness)
    return np.hstack([np.sin(angles), np.cos(angles)]).astype(np.float32)


def write_model(size: str, directory: Path, *, n_tokens: int, quantization: str = "int8", seed: int = 0) -> None:
    """Write model.bin, its configuration and its tokenizer; the same arguments give the same files.

    Raises:
        ValueError: no such size, or more tokens than a window can hold.
    """
    if size not in ARCHITECTURES:
        raise ValueError(f"size {size!r} is not one of {', '.join(ARCHITECTURES)}")
    if not 1 <= n_tokens <= MAX_TOKENS:
        raise ValueError(f"n_tokens {n_tokens} is not from 1 to {MAX_TOKENS}")
    shape = ARCHITECTURES[size]
    vocabulary = build_vocabulary(shape.n_languages)
    spec = whisper_spec.WhisperSpec(shape.n_encoder_layers, shape.n_heads, shape.n_decoder_layers, shape.n_heads)
    filler = Filler(seed)
    fill_encoder(spec.encoder, shape, filler)
    fill_decoder(spec.decoder, shape, filler, vocabulary, n_tokens)
    spec.register_vocabulary(list(vocabulary.tokens))
    spec.config.suppress_ids = [vocabulary.id_of(token) for token in vocabulary.controls[:-1]]
    spec.config.suppress_ids_begin = [vocabulary.id_of(END_OF_TEXT)]
    spec.config.lang_ids = [vocabulary.id_of(token) for token in vocabulary.languages]
    spec.config.alignment_heads = [list(pair) for pair in shape.alignment_heads]
    spec.validate()
    spec.optimize(quantization=None if quantization == "float32" else quantization)
    directory.mkdir(parents=True, exist_ok=True)
    spec.save(str(directory))
    vocabulary.tokenizer().save(str(directory / "tokenizer.json"))
    features = {"feature_size": shape.n_mels, "sampling_rate": 16_000, "hop_length": 160, "n_fft": 400}
    features |= {"chunk_length": 30, "n_samples": 480_000, "nb_max_frames": 3000}
    (directory / "preprocessor_config.json").write_text(json.dumps(features, indent=2) + "\n", encoding="utf-8")


def cached_model(size: str, *, n_tokens: int, quantization: str = "int8") -> Path:
    """The directory of such a model, written on first use below `.cache/bench`."""
    directory = CACHE / f"{size}-{n_tokens}-{quantization}-r{REVISION}"
    if not (directory / "model.bin").is_file():
        unfinished = directory.with_name(directory.name + ".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        write_model(size, unfinished, n_tokens=n_tokens, quantization=quantization)
        unfinished.rename(directory)
    return directory
