"""Read the encoder's tensors from a CTranslate2 Whisper model. Blocking.

The file holds a header, then every variable as name, shape, type and bytes, then the aliases.
Quantized variables have a `<name>_scale` beside them: value = stored / scale, one scale per row.
Source: CTranslate2 python/ctranslate2/specs/model_spec.py (_serialize), src/models/model.cc.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

FORMAT_VERSION = 6
SPEC = "WhisperSpec"
PREFIX = "encoder/"
SCALE = "_scale"
BFLOAT16 = 5
TYPES = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2", BFLOAT16: "<u2"}
HEAD_WIDTH = 64  # of every Whisper; older files do not name the number of heads
LAYER_TENSORS = tuple(
    f"{part}/{tensor}"
    for part, tensors in (
        ("self_attention/layer_norm", ("gamma", "beta")),
        ("self_attention/linear_0", ("weight", "bias")),
        ("self_attention/linear_1", ("weight", "bias")),
        ("ffn/layer_norm", ("gamma", "beta")),
        ("ffn/linear_0", ("weight", "bias")),
        ("ffn/linear_1", ("weight", "bias")),
    )
    for tensor in tensors
)
OTHER_TENSORS = (
    *("conv1/weight", "conv1/bias", "conv2/weight", "conv2/bias"),
    *("layer_norm/gamma", "layer_norm/beta", "position_encodings/encodings"),
)


class UnknownModelFormat(ValueError):
    """The file is not a Whisper model of the known format; the message says what differs."""


@dataclass(frozen=True, slots=True)
class EncoderWeights:
    """The encoder of one model.

    Attributes:
        tensors: float32, by name without `encoder/`.
        n_heads: attention heads of each layer.
        n_layers: layers.
    """

    tensors: Mapping[str, Array]
    n_heads: int
    n_layers: int

    @property
    def n_mels(self) -> int:
        """Mel bands of the features."""
        return int(self.tensors["conv1/weight"].shape[1])

    @property
    def width(self) -> int:
        """Numbers per position of the output."""
        return int(self.tensors["layer_norm/gamma"].shape[0])


def read_encoder(path: Path) -> EncoderWeights:
    """Read `model.bin` and return the encoder's weights as float32; the decoder's are passed over.

    Raises:
        UnknownModelFormat: another format, another kind of model, or an encoder with other parts.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        try:
            stored = _variables(file)
        except (struct.error, KeyError, UnicodeDecodeError, ValueError) as exc:
            raise UnknownModelFormat(
                f"{path}: not a Whisper model of CTranslate2's format {FORMAT_VERSION} ({exc})"
            ) from exc
    tensors = {
        name: _dequantized(array, stored.get(name + SCALE))
        for name, array in stored.items()
        if not name.endswith(SCALE) and name != "num_heads"
    }
    n_layers = len({name.split("/")[0] for name in tensors if name.startswith("layer_") and name[6].isdigit()})
    expected = {*OTHER_TENSORS, *(f"layer_{layer}/{name}" for layer in range(n_layers) for name in LAYER_TENSORS)}
    if different := expected ^ tensors.keys():
        raise UnknownModelFormat(
            f"{path}: the encoder has other parts than Whisper's: {', '.join(sorted(different)[:3])}"
        )
    heads = stored.get("num_heads")
    n_heads = int(heads) if heads is not None else tensors["layer_norm/gamma"].shape[0] // HEAD_WIDTH
    return EncoderWeights(tensors, n_heads, n_layers)


def _variables(file: BinaryIO) -> dict[str, Array]:
    """The variables of the encoder, as stored, by name without the prefix."""
    version, spec = _number(file, "I"), _text(file)
    if version != FORMAT_VERSION or spec != SPEC:
        raise ValueError(f"format {version}, {spec or 'no name'}")
    _number(file, "I")  # the revision of the spec
    found: dict[str, Array] = {}
    for _ in range(_number(file, "I")):
        name = _text(file)
        shape = [_number(file, "I") for _ in range(_number(file, "B"))]
        type_id, n_bytes = _number(file, "B"), _number(file, "I")
        if not name.startswith(PREFIX):
            file.seek(n_bytes, 1)
            continue
        array: Array = np.frombuffer(file.read(n_bytes), TYPES[type_id]).reshape(shape)
        if type_id == BFLOAT16:  # the upper half of a float32
            array = (array.astype(np.uint32) << 16).view(np.float32)
        found[name.removeprefix(PREFIX)] = array
    return found


def _dequantized(stored: Array, scale: Array | None) -> Array:
    values = stored.astype(np.float32)
    if scale is None:
        return values
    per_row = scale.astype(np.float32).reshape(-1, *[1] * (stored.ndim - 1))  # [n_rows, 1, ...]; int16 has one for all
    return values / per_row


def _number(file: BinaryIO, code: str) -> int:
    """One unsigned little-endian number."""
    size = struct.calcsize(code)
    return int(struct.unpack(f"<{code}", file.read(size))[0])


def _text(file: BinaryIO) -> str:
    """A string: its length with the closing zero byte, then its bytes."""
    return file.read(_number(file, "H"))[:-1].decode("utf-8")
