"""Write small files in CTranslate2's format, and run an encoder in NumPy: both independent of the code under test."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from app.engine.whisper.encoders.tensors import EncoderWeights

Array = npt.NDArray[Any]

WIDTH, N_MELS, N_POSITIONS = 64, 80, 50
TYPE_IDS = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4, "uint16": 5}  # 5 is bfloat16


def tiny_variables(n_layers: int = 1) -> dict[str, Array]:
    """The variables of an encoder with one head, in float32, and one of a decoder."""
    rng = np.random.default_rng(0)

    def random(*shape: int) -> Array:
        return (rng.standard_normal(shape) / math.sqrt(shape[-1])).astype(np.float32)

    variables: dict[str, Array] = {
        "encoder/num_heads": np.array(1, np.int16),
        "encoder/conv1/weight": random(WIDTH, N_MELS, 3),
        "encoder/conv1/bias": random(WIDTH),
        "encoder/conv2/weight": random(WIDTH, WIDTH, 3),
        "encoder/conv2/bias": random(WIDTH),
        "encoder/position_encodings/encodings": random(N_POSITIONS, WIDTH),
        "encoder/layer_norm/gamma": random(WIDTH) + 1,
        "encoder/layer_norm/beta": random(WIDTH),
        "decoder/embeddings/weight": random(5, WIDTH),
    }
    for layer in range(n_layers):
        for part, n_in, n_out in (
            ("self_attention/linear_0", WIDTH, 3 * WIDTH),
            ("self_attention/linear_1", WIDTH, WIDTH),
            ("ffn/linear_0", WIDTH, 4 * WIDTH),
            ("ffn/linear_1", 4 * WIDTH, WIDTH),
        ):
            variables[f"encoder/layer_{layer}/{part}/weight"] = random(n_out, n_in)
            variables[f"encoder/layer_{layer}/{part}/bias"] = random(n_out)
        for part in ("self_attention", "ffn"):
            variables[f"encoder/layer_{layer}/{part}/layer_norm/gamma"] = random(WIDTH) + 1
            variables[f"encoder/layer_{layer}/{part}/layer_norm/beta"] = random(WIDTH)
    return variables


def write_model(path: Path, variables: Mapping[str, Array], *, version: int = 6, spec: str = "WhisperSpec") -> Path:
    """Write the file; uint16 stands for bfloat16."""

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    parts = [struct.pack("<I", version), text(spec), struct.pack("<II", 3, len(variables))]
    for name, array in variables.items():
        shape = struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        head = struct.pack("<BI", TYPE_IDS[array.dtype.name], array.nbytes)
        parts += [text(name), shape, head, array.tobytes()]
    path.write_bytes(b"".join([*parts, struct.pack("<I", 0)]))
    return path


def encode(weights: EncoderWeights, features: Array) -> Array:
    """Whisper's encoder for one row: [1, n_mels, n_frames] -> [1, n_positions, width], in float64."""
    tensors = {name: value.astype(np.float64) for name, value in weights.tensors.items()}

    def linear(hidden: Array, name: str) -> Array:
        product: Array = hidden @ tensors[f"{name}/weight"].T + tensors[f"{name}/bias"]
        return product

    def norm(hidden: Array, name: str) -> Array:
        centred = hidden - hidden.mean(-1, keepdims=True)
        scaled: Array = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        return scaled * tensors[f"{name}/gamma"] + tensors[f"{name}/beta"]

    def convolved(hidden: Array, name: str, stride: int) -> Array:
        padded = np.pad(hidden, ((0, 0), (1, 1)))  # [n_in, n_frames + 2]
        columns = np.stack([padded[:, at : at + 3].ravel() for at in range(0, hidden.shape[1], stride)])
        kernel = tensors[f"{name}/weight"]
        return gelu(columns @ kernel.reshape(kernel.shape[0], -1).T + tensors[f"{name}/bias"]).T

    hidden = convolved(convolved(features[0].astype(np.float64), "conv1", 1), "conv2", 2).T
    hidden = hidden + tensors["position_encodings/encodings"][: len(hidden)]
    for layer in (f"layer_{index}" for index in range(weights.n_layers)):
        joined = linear(norm(hidden, f"{layer}/self_attention/layer_norm"), f"{layer}/self_attention/linear_0")
        query, key, value = (
            np.stack(np.split(part, weights.n_heads, axis=1)) for part in np.split(joined, 3, axis=1)
        )  # each [n_heads, n_positions, head_width]
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[2])
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = np.concatenate(list(shares / shares.sum(-1, keepdims=True) @ value), axis=1)
        hidden = hidden + linear(mixed, f"{layer}/self_attention/linear_1")
        inner = gelu(linear(norm(hidden, f"{layer}/ffn/layer_norm"), f"{layer}/ffn/linear_0"))
        hidden = hidden + linear(inner, f"{layer}/ffn/linear_1")
    return norm(hidden, "layer_norm")[np.newaxis]


def gelu(values: Array) -> Array:
    """Gaussian error linear unit, the exact form."""
    activated: Array = values * 0.5 * (1 + np.vectorize(math.erf)(values / math.sqrt(2)))
    return activated
