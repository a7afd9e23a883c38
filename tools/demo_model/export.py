"""Command `export`: write the trained weights as a CTranslate2 folder.

faster-whisper loads the folder without a hub: it holds the weights in INT8, the vocabulary,
the tokenizer and the feature extractor's settings. The letters head is left out.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from ctranslate2.specs import WhisperSpec, common_spec, transformer_spec
from ctranslate2.specs.attention_spec import MultiHeadAttentionSpec
from ctranslate2.specs.whisper_spec import WhisperConfig
from tokenizers import Tokenizer
from torch import Tensor, nn

from tools.demo_model.model import (
    ALIGNMENT_HEADS,
    Attention,
    CrossAttention,
    DecoderLayer,
    EncoderLayer,
    FeedForward,
    Shape,
    Whisper,
)
from tools.demo_model.vocabulary import WHISPER_LANGUAGES, load_tokenizer, special_tokens

# CTranslate2 calls a vocabulary multilingual when it holds an empty token. No text uses byte
# 0xAD, whose byte-level letter is this one, so its place takes the empty token.
UNUSED_LETTER = "\u0143"
PREPROCESSOR = {
    "feature_size": 80,
    "sampling_rate": 16000,
    "hop_length": 160,
    "n_fft": 400,
    "chunk_length": 30,
    "n_samples": 480000,
    "nb_max_frames": 3000,
    "feature_extractor_type": "WhisperFeatureExtractor",
    "processor_class": "WhisperProcessor",
}


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: the size of model.bin and the training step it comes from."""

    model_bytes: int
    step: int


def export(checkpoint: Path, tokenizer: Path, out: Path, *, quantization: str) -> Exported:
    """Write the folder.

    Args:
        checkpoint: what `train` saved.
        tokenizer: the tokenizer.json it was trained with.
        out: made if missing; files of the same names are replaced.
        quantization: CTranslate2's name of a weight type.
    """
    state = torch.load(checkpoint, map_location="cpu")
    shape = Shape()
    model = Whisper(shape)
    weights = {**state["model"], **state["average"]}
    model.load_state_dict({name: weight.float() for name, weight in weights.items()})
    pieces = load_tokenizer(tokenizer)
    spec = specification(model, shape)
    spec.register_vocabulary(vocabulary(pieces))
    configure(spec.config, pieces)
    spec.validate()
    spec.optimize(quantization)
    out.mkdir(parents=True, exist_ok=True)
    spec.save(str(out))
    shutil.copyfile(tokenizer, out / "tokenizer.json")
    text = json.dumps(PREPROCESSOR, indent=1)
    (out / "preprocessor_config.json").write_text(text + "\n", encoding="utf-8")
    return Exported((out / "model.bin").stat().st_size, int(state["step"]))


def vocabulary(tokenizer: Tokenizer) -> list[str]:
    """The tokens by id, one of them empty."""
    names = [tokenizer.id_to_token(number) for number in range(tokenizer.get_vocab_size())]
    return ["" if name in (UNUSED_LETTER, None) else str(name) for name in names]


def configure(config: WhisperConfig, tokenizer: Tokenizer) -> None:
    """Set the decoder's languages, its alignment heads and the tokens that may not begin a text."""
    first = special_tokens(tokenizer).start + 1
    config.lang_ids = list(range(first, first + len(WHISPER_LANGUAGES)))
    config.alignment_heads = [list(pair) for pair in ALIGNMENT_HEADS]
    config.suppress_ids = []
    # Only the blank is suppressed: a window without speech may end at once.
    config.suppress_ids_begin = [tokenizer.token_to_id("\u0120")]


def specification(model: Whisper, shape: Shape) -> WhisperSpec:
    """Copy every weight to its place in CTranslate2's model."""
    spec = WhisperSpec(shape.encoder_layers, shape.heads, shape.decoder_layers, shape.heads)
    encoder, decoder = spec.encoder, spec.decoder
    for place, conv in ((encoder.conv1, model.conv1), (encoder.conv2, model.conv2)):
        assert conv.bias is not None
        place.weight, place.bias = array(conv.weight), array(conv.bias)
    encoder.position_encodings.encodings = array(model.positions)
    set_norm(encoder.layer_norm, model.encoder_norm)
    for place, layer in zip(encoder.layer, model.encoder, strict=True):
        assert isinstance(layer, EncoderLayer)
        set_self_attention(place.self_attention, layer.attention)
        set_feed_forward(place.ffn, layer.feed_forward)
    decoder.embeddings.weight = array(model.tokens.weight)
    decoder.projection.weight = array(model.tokens.weight)
    decoder.position_encodings.encodings = array(model.text_positions)
    set_norm(decoder.layer_norm, model.decoder_norm)
    for place, layer in zip(decoder.layer, model.decoder, strict=True):
        assert isinstance(layer, DecoderLayer)
        set_self_attention(place.self_attention, layer.attention)
        set_cross_attention(place.attention, layer.cross)
        set_feed_forward(place.ffn, layer.feed_forward)
    return spec


def array(weight: Tensor) -> np.ndarray:
    """A weight as CTranslate2 takes it."""
    return weight.detach().float().contiguous().numpy()


def set_linear(place: common_spec.LinearSpec, layer: nn.Linear) -> None:
    """Copy a linear layer."""
    place.weight, place.bias = array(layer.weight), array(layer.bias)


def set_norm(place: common_spec.LayerNormSpec, layer: nn.LayerNorm) -> None:
    """Copy a layer norm."""
    place.gamma, place.beta = array(layer.weight), array(layer.bias)


def set_self_attention(place: MultiHeadAttentionSpec, layer: Attention) -> None:
    """Queries, keys and values are one projection on both sides."""
    set_norm(place.layer_norm, layer.norm)
    set_linear(place.linear[0], layer.qkv)
    set_linear(place.linear[1], layer.out)


def set_cross_attention(place: MultiHeadAttentionSpec, layer: CrossAttention) -> None:
    """Queries apart, keys and values as one projection, on both sides."""
    set_norm(place.layer_norm, layer.norm)
    set_linear(place.linear[0], layer.q)
    set_linear(place.linear[1], layer.kv)
    set_linear(place.linear[2], layer.out)


def set_feed_forward(place: transformer_spec.FeedForwardSpec, layer: FeedForward) -> None:
    """Copy both linear layers and the norm before them."""
    set_norm(place.layer_norm, layer.norm)
    set_linear(place.linear_0, layer.up)
    set_linear(place.linear_1, layer.down)
