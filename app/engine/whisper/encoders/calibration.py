"""Decide how the encoder's activations are quantized to 8 bits, from statistics of real speech. Pure.

Each linear layer's input is an activation. Its range is measured on speech and stored in the graph.
Inputs that follow a layer norm are smoothed first: a channel with large values is divided by a factor
that its column of the weights is multiplied by, which leaves the product unchanged.
Source: SmoothQuant, https://arxiv.org/abs/2211.10438.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from app.engine.whisper.encoders.tensors import EncoderWeights

Array = npt.NDArray[Any]

LEVELS = 256
# Other voices reach values that the calibration speech does not.
MARGIN = 1.15
# An activation whose rounding noise would be stronger stays in floating point: one outlier takes most levels.
LEAST_SIGNAL_TO_NOISE_DB = 30.0
SMALLEST = 1e-5
# The activations of one layer: (name, the linear layer that reads it, the layer norm that writes it).
ACTIVATIONS = (
    ("attention_input", "self_attention/linear_0", "self_attention/layer_norm"),
    ("attention_output", "self_attention/linear_1", None),
    ("ffn_input", "ffn/linear_0", "ffn/layer_norm"),
    ("ffn_hidden", "ffn/linear_1", None),
)


@dataclass(frozen=True, slots=True)
class Statistics:
    """One activation over all positions of the calibration speech, per channel [n_channels]."""

    lowest: Array
    highest: Array
    mean: Array
    mean_square: Array


@dataclass(frozen=True, slots=True)
class Quantization:
    """How to quantize one encoder.

    Attributes:
        smoothing: divisor per channel, by the name of the layer norm.
        ranges: (lowest, highest) by the name of the activation; one without a range is not quantized.
    """

    smoothing: Mapping[str, Array]
    ranges: Mapping[str, tuple[float, float]]


def merged(parts: Sequence[Statistics]) -> Statistics:
    """The statistics of several windows together; each window has the same weight."""
    return Statistics(
        lowest=np.min([part.lowest for part in parts], axis=0),
        highest=np.max([part.highest for part in parts], axis=0),
        mean=np.mean([part.mean for part in parts], axis=0),
        mean_square=np.mean([part.mean_square for part in parts], axis=0),
    )


def plan(weights: EncoderWeights, statistics: Mapping[str, Statistics]) -> Quantization:
    """Choose the smoothing and the ranges.

    Args:
        weights: the encoder.
        statistics: by the name of the activation, `layer_<i>/<name>`.
    """
    smoothing: dict[str, Array] = {}
    ranges: dict[str, tuple[float, float]] = {}
    for layer in range(weights.n_layers):
        for name, linear, norm in ACTIVATIONS:
            activation = f"layer_{layer}/{name}"
            seen = statistics[activation]
            if norm is not None:
                factors = smoothing_factors(seen, weights.tensors[f"layer_{layer}/{linear}/weight"])
                smoothing[f"layer_{layer}/{norm}"] = factors
                seen = divided(seen, factors)
            lowest, highest = range_of(seen)
            if signal_to_noise_db(seen, lowest, highest) >= LEAST_SIGNAL_TO_NOISE_DB:
                ranges[activation] = (lowest, highest)
    return Quantization(smoothing, ranges)


def smoothing_factors(seen: Statistics, weight: Array) -> Array:
    """The divisor of each channel, [n_channels]: half of the range moves to the weights, [n_out, n_channels]."""
    peaks = np.maximum(np.maximum(np.abs(seen.lowest), np.abs(seen.highest)), SMALLEST)
    columns = np.maximum(np.abs(weight).max(axis=0), SMALLEST)
    factors: Array = np.sqrt(peaks / columns).astype(np.float32)
    return factors


def divided(seen: Statistics, factors: Array) -> Statistics:
    """The statistics after each channel was divided by its factor."""
    return Statistics(seen.lowest / factors, seen.highest / factors, seen.mean / factors, seen.mean_square / factors**2)


def range_of(seen: Statistics) -> tuple[float, float]:
    """The range over all channels, with a margin; it contains 0."""
    return MARGIN * min(0.0, float(seen.lowest.min())), MARGIN * max(SMALLEST, float(seen.highest.max()))


def signal_to_noise_db(seen: Statistics, lowest: float, highest: float) -> float:
    """The variance of the activation against that of its rounding to `LEVELS` steps."""
    variance = float(seen.mean_square.mean() - seen.mean.mean() ** 2)
    step = (highest - lowest) / (LEVELS - 1)
    return float(10 * np.log10(max(variance, 1e-20) / (step**2 / 12)))


def quantized_rows(weight: Array) -> tuple[Array, Array]:
    """Weights [n_out, n_in] as int8, and the scale of each row [n_out, 1]: weight = int8 * scale."""
    scales = np.abs(weight).max(axis=1, keepdims=True) / 127
    scales[scales == 0] = 1.0
    return np.clip(np.round(weight / scales), -127, 127).astype(np.int8), scales.astype(np.float32)
