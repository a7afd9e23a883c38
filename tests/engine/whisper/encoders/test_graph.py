"""Run where openvino is installed: `make test` fetches it into a folder of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

openvino = pytest.importorskip("openvino", reason="openvino is optional: requirements-openvino.txt")

from app.engine.whisper.encoders.calibration import Quantization  # noqa: E402 - needs openvino
from app.engine.whisper.encoders.graph import encoder_graph, measuring_graph  # noqa: E402
from app.engine.whisper.encoders.tensors import EncoderWeights, read_encoder  # noqa: E402
from tests.engine.whisper.encoders.model_files import encode, tiny_variables, write_model  # noqa: E402

FEATURES = np.random.default_rng(5).standard_normal((2, 80, 100)).astype(np.float32)


@pytest.fixture
def weights(tmp_path: Path) -> EncoderWeights:
    """An encoder of two layers."""
    return read_encoder(write_model(tmp_path / "model.bin", tiny_variables(n_layers=2)))


def run(graph: object, features: np.ndarray) -> list[np.ndarray]:
    """The outputs of a graph in float32."""
    compiled = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return [np.array(output) for output in compiled([features]).values()]


def test_the_graph_computes_whispers_encoder(weights: EncoderWeights) -> None:
    """The same numbers as NumPy, for every length and for several rows."""
    graph = encoder_graph(weights)
    for n_frames in (40, 100):
        features = FEATURES[:, :, :n_frames]
        expected = np.concatenate([encode(weights, row[np.newaxis]) for row in features])
        np.testing.assert_allclose(run(graph, features)[0], expected, atol=1e-3)


def test_smoothing_alone_changes_nothing(weights: EncoderWeights) -> None:
    """What a layer norm is divided by, the next weights are multiplied by; only the 8-bit weights remain."""
    factors = np.random.default_rng(6).uniform(0.5, 2, weights.width).astype(np.float32)
    norms = {f"layer_{layer}/{part}/layer_norm": factors for layer in range(2) for part in ("self_attention", "ffn")}
    plain = run(encoder_graph(weights, Quantization({}, {})), FEATURES)[0]
    smoothed = run(encoder_graph(weights, Quantization(norms, {})), FEATURES)[0]
    assert np.abs(plain - smoothed).mean() < 0.02 * np.abs(plain).mean()


def test_the_measuring_graph_returns_statistics(weights: EncoderWeights) -> None:
    """Four rows for each of four activations in a layer, in the order of the extremes and the means."""
    graph, names = measuring_graph(weights)
    outputs = run(graph, FEATURES)
    assert len(outputs) == len(names) == 8
    assert [output.shape for output in outputs[:4]] == [(4, 64), (4, 64), (4, 64), (4, 256)]
    for lowest, highest, mean, mean_square in outputs:
        assert (lowest <= mean).all()
        assert (mean <= highest).all()
        assert (mean_square >= mean**2 - 1e-4).all()
