"""Whisper's encoder as an OpenVINO graph: [B, n_mels, n_frames] -> [B, n_frames / 2, width].

Every size but the batch and the number of frames is fixed. The same code builds the plain graph, the
quantized one and the one that measures the activations. Needs openvino.
Source: openai/whisper model.py (AudioEncoder); CTranslate2 src/models/whisper.cc, src/layers/whisper.cc.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import openvino
from openvino import opset13 as ops

from app.engine.whisper.encoders.calibration import LEVELS, Quantization, quantized_rows
from app.engine.whisper.encoders.tensors import EncoderWeights

Array = npt.NDArray[Any]

LAYER_NORM_EPSILON = 1e-5


def encoder_graph(weights: EncoderWeights, quantization: Quantization | None = None) -> Any:
    """The encoder as an `openvino.Model`; with `quantization`, its linear layers multiply 8-bit integers."""
    built = _Builder(weights, quantization)
    return openvino.Model([ops.result(built.output)], [built.features], "whisper_encoder")


def measuring_graph(weights: EncoderWeights) -> tuple[Any, list[str]]:
    """A graph whose outputs are statistics of the activations, and the activations' names in that order.

    Each output is [4, n_channels]: lowest, highest, mean, mean of squares over batch and positions.
    """
    built = _Builder(weights, None)
    results = [ops.result(_statistics(node)) for node in built.activations.values()]
    return openvino.Model(results, [built.features], "whisper_encoder_activations"), list(built.activations)


class _Builder:
    """Builds the graph once; `features`, `output` and `activations` (by name) are its nodes."""

    def __init__(self, weights: EncoderWeights, quantization: Quantization | None) -> None:
        self._weights = weights
        self._quantization = quantization
        self.activations: dict[str, Any] = {}
        self.features = ops.parameter(openvino.PartialShape([-1, weights.n_mels, -1]), np.float32, name="features")
        hidden = self._gelu_convolution(self.features, "conv1", stride=1)  # [B, width, n_frames]
        hidden = self._gelu_convolution(hidden, "conv2", stride=2)  # [B, width, n_positions]
        hidden = ops.transpose(hidden, _integers(0, 2, 1))  # [B, n_positions, width]
        hidden = ops.add(hidden, self._positions(hidden))
        for layer in range(weights.n_layers):
            hidden = ops.add(hidden, self._attention(hidden, f"layer_{layer}/"))
            hidden = ops.add(hidden, self._feed_forward(hidden, f"layer_{layer}/"))
        self.output = self._layer_norm(hidden, "layer_norm")

    def _attention(self, hidden: Any, layer: str) -> Any:
        heads = self._weights.n_heads
        head_width = self._weights.width // heads
        norm = f"{layer}self_attention/layer_norm"
        hidden = self._activation(self._layer_norm(hidden, norm), f"{layer}attention_input")
        query, key, value = (
            ops.transpose(ops.reshape(part, _integers(0, 0, heads, head_width), True), _integers(0, 2, 1, 3))
            for part in self._linear_in_three(hidden, f"{layer}self_attention/linear_0", norm)
        )  # each [B, n_heads, n_positions, head_width]
        # plain operations: they measured as fast as, or faster than, scaled_dot_product_attention
        scores = ops.matmul(ops.multiply(query, _constant(np.float32(head_width**-0.5))), key, False, True)
        mixed = ops.transpose(ops.matmul(ops.softmax(scores, -1), value, False, False), _integers(0, 2, 1, 3))
        mixed = ops.reshape(mixed, _integers(0, 0, self._weights.width), True)
        return self._linear(self._activation(mixed, f"{layer}attention_output"), f"{layer}self_attention/linear_1")

    def _feed_forward(self, hidden: Any, layer: str) -> Any:
        norm = f"{layer}ffn/layer_norm"
        hidden = self._activation(self._layer_norm(hidden, norm), f"{layer}ffn_input")
        hidden = ops.gelu(self._linear(hidden, f"{layer}ffn/linear_0", norm), "erf")
        return self._linear(self._activation(hidden, f"{layer}ffn_hidden"), f"{layer}ffn/linear_1")

    def _gelu_convolution(self, hidden: Any, name: str, *, stride: int) -> Any:
        hidden = ops.convolution(hidden, _constant(self._tensor(f"{name}/weight")), [stride], [1], [1], [1])
        return ops.gelu(ops.add(hidden, _constant(self._tensor(f"{name}/bias").reshape(1, -1, 1))), "erf")

    def _positions(self, hidden: Any) -> Any:
        """The first rows of the position encodings, [1, n_positions, width]."""
        encodings = _constant(self._tensor("position_encodings/encodings")[np.newaxis])
        n_positions = ops.gather(ops.shape_of(hidden), _integers(1), _constant(np.int64(0)))
        return ops.slice(encodings, _integers(0), n_positions, _integers(1), _integers(1))

    def _layer_norm(self, hidden: Any, name: str) -> Any:
        smoothing = self._smoothing(name)
        gamma, beta = (self._tensor(f"{name}/{part}") / smoothing for part in ("gamma", "beta"))
        hidden = ops.mvn(hidden, _integers(-1), True, LAYER_NORM_EPSILON, "inside_sqrt")
        return ops.add(ops.multiply(hidden, _constant(gamma.reshape(1, 1, -1))), _constant(beta.reshape(1, 1, -1)))

    def _activation(self, node: Any, name: str) -> Any:
        """Note the node for measuring; round it to 8 bits if it has a range."""
        self.activations[name] = node
        if self._quantization is None or name not in self._quantization.ranges:
            return node
        lowest, highest = (_constant(np.float32(bound)) for bound in self._quantization.ranges[name])
        return ops.fake_quantize(node, lowest, highest, lowest, highest, LEVELS)

    def _linear(self, hidden: Any, name: str, norm: str = "") -> Any:
        weight = self._tensor(f"{name}/weight") * self._smoothing(norm)
        return self._product(hidden, weight, self._tensor(f"{name}/bias"))

    def _linear_in_three(self, hidden: Any, name: str, norm: str) -> list[Any]:
        """Query, key and value, whose weights are stored together."""
        weights = np.split(self._tensor(f"{name}/weight") * self._smoothing(norm), 3)
        biases = np.split(self._tensor(f"{name}/bias"), 3)
        return [self._product(hidden, weight, bias) for weight, bias in zip(weights, biases, strict=True)]

    def _product(self, hidden: Any, weight: Array, bias: Array) -> Any:
        node = _constant(weight)
        if self._quantization is not None:
            integers, scales = quantized_rows(weight)
            node = ops.multiply(ops.convert(_constant(integers), np.float32), _constant(scales))
        return ops.add(ops.matmul(hidden, node, False, True), _constant(bias.reshape(1, 1, -1)))

    def _tensor(self, name: str) -> Array:
        return self._weights.tensors[name]

    def _smoothing(self, norm: str) -> Array:
        """The divisor of each channel behind a layer norm; 1 without one."""
        none = np.ones(1, np.float32)
        return none if self._quantization is None else self._quantization.smoothing.get(norm, none)


def _statistics(node: Any) -> Any:
    rows = (
        ops.reduce_min(node, _integers(0, 1), False),
        ops.reduce_max(node, _integers(0, 1), False),
        ops.reduce_mean(node, _integers(0, 1), False),
        ops.reduce_mean(ops.multiply(node, node), _integers(0, 1), False),
    )
    return ops.concat([ops.unsqueeze(row, _constant(np.int64(0))) for row in rows], 0)


def _constant(values: Any) -> Any:
    # a copy: the graph would otherwise share the memory of an array that may be freed
    return ops.constant(np.array(values, order="C", copy=True))


def _integers(*values: int) -> Any:
    return _constant(np.array(values, np.int64))
