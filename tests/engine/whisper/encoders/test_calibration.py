from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.engine.whisper.encoders.calibration import (
    ACTIVATIONS,
    MARGIN,
    Statistics,
    divided,
    merged,
    plan,
    quantized_rows,
    range_of,
    signal_to_noise_db,
    smoothing_factors,
)
from app.engine.whisper.encoders.tensors import read_encoder
from tests.engine.whisper.encoders.model_files import tiny_variables, write_model


def statistics(values: np.ndarray) -> Statistics:
    """The statistics of [n_positions, n_channels]."""
    return Statistics(values.min(0), values.max(0), values.mean(0), (values**2).mean(0))


@pytest.fixture
def values() -> np.ndarray:
    """An activation of 64 channels, one of them 50 times as large."""
    drawn = np.random.default_rng(1).standard_normal((200, 64))
    drawn[:, 7] *= 50
    return drawn


def test_windows_are_merged(values: np.ndarray) -> None:
    """The extremes of all windows, and the means of their means."""
    both = merged([statistics(values[:100]), statistics(values[100:])])
    whole = statistics(values)
    for name in ("lowest", "highest", "mean", "mean_square"):
        np.testing.assert_allclose(getattr(both, name), getattr(whole, name))


def test_smoothing_shares_a_large_channel_with_the_weights(values: np.ndarray) -> None:
    """The range of the activation shrinks, the statistics follow, and its signal-to-noise ratio rises."""
    weight = np.random.default_rng(2).standard_normal((32, 64))
    factors = smoothing_factors(statistics(values), weight)
    smoothed = divided(statistics(values), factors)
    for name in ("lowest", "highest", "mean", "mean_square"):
        np.testing.assert_allclose(getattr(smoothed, name), getattr(statistics(values / factors), name))
    plain = statistics(values)
    assert signal_to_noise_db(smoothed, *range_of(smoothed)) > signal_to_noise_db(plain, *range_of(plain)) + 1


def test_signal_to_noise_is_that_of_rounding(values: np.ndarray) -> None:
    """The figure agrees with rounding the values to 256 levels."""
    lowest, highest = range_of(statistics(values))
    step = (highest - lowest) / 255
    rounded = np.round((values - lowest) / step) * step + lowest
    measured = 10 * np.log10(values.var() / ((values - rounded) ** 2).mean())
    assert signal_to_noise_db(statistics(values), lowest, highest) == pytest.approx(measured, abs=0.5)


def test_a_range_contains_zero_and_has_a_margin() -> None:
    """Silence is exact, and louder voices than those of the calibration fit."""
    lowest, highest = range_of(statistics(np.array([[1.0, 2.0], [3.0, 4.0]])))
    assert lowest == 0
    assert highest == pytest.approx(4 * MARGIN)


def test_an_activation_with_an_outlier_is_not_quantized(tmp_path: Path) -> None:
    """One huge value would leave a few levels for all others; the other activations get a range."""
    weights = read_encoder(write_model(tmp_path / "model.bin", tiny_variables()))
    drawn = np.random.default_rng(3).standard_normal((200, 256))
    seen = {f"layer_0/{name}": statistics(drawn[:, :64]) for name, _, _ in ACTIVATIONS}
    drawn[0, 0] = 5000
    seen["layer_0/ffn_hidden"] = statistics(drawn)
    quantization = plan(weights, seen)
    assert quantization.ranges.keys() == seen.keys() - {"layer_0/ffn_hidden"}
    assert quantization.smoothing.keys() == {"layer_0/self_attention/layer_norm", "layer_0/ffn/layer_norm"}


def test_rows_of_weights_use_all_of_int8() -> None:
    """Each row has its own scale; a row of zeros stays zeros."""
    weight = np.array([[0.5, -1.0], [100.0, 25.0], [0.0, 0.0]], np.float32)
    integers, scales = quantized_rows(weight)
    assert np.abs(integers).max(axis=1).tolist() == [127, 127, 0]
    np.testing.assert_allclose(integers * scales, weight, rtol=0.01)
