from __future__ import annotations

from pathlib import Path

import ctranslate2
import numpy as np
import pytest

from app.engine.whisper.encoders.tensors import UnknownModelFormat, read_encoder
from app.engine.whisper.model import DEMO_DIRECTORY
from tests.engine.whisper.encoders.model_files import WIDTH, encode, tiny_variables, write_model


def test_the_demo_models_weights_compute_what_ctranslate2_computes() -> None:
    """The tensors read from int8, put through an encoder in NumPy, give CTranslate2's output in float32."""
    weights = read_encoder(DEMO_DIRECTORY / "model.bin")
    assert (weights.n_layers, weights.n_heads, weights.n_mels, weights.width) == (4, 4, 80, 256)
    assert {array.dtype for array in weights.tensors.values()} == {np.dtype(np.float32)}
    features = np.random.default_rng(0).standard_normal((1, 80, 60)).astype(np.float32)
    model = ctranslate2.models.Whisper(str(DEMO_DIRECTORY), device="cpu", compute_type="float32")
    expected = np.asarray(model.encode(ctranslate2.StorageView.from_array(features)))
    np.testing.assert_allclose(encode(weights, features), expected, atol=2e-4)


def test_every_type_of_storage_is_read(tmp_path: Path) -> None:
    """float16, bfloat16, int8 with a scale for each row and int16 with one scale become float32 again."""
    variables = tiny_variables()
    weight = variables["encoder/layer_0/ffn/linear_0/weight"]
    per_row = 127 / np.abs(weight).max(axis=1)
    variables |= {
        "encoder/layer_0/ffn/linear_0/weight": np.round(weight * per_row[:, np.newaxis]).astype(np.int8),
        "encoder/layer_0/ffn/linear_0/weight_scale": per_row.astype(np.float32),
        "encoder/conv1/bias": variables["encoder/conv1/bias"].astype(np.float16),
        "encoder/conv2/bias": (variables["encoder/conv2/bias"].view(np.uint32) >> 16).astype(np.uint16),
        "encoder/layer_0/ffn/linear_1/weight": np.full((WIDTH, 4 * WIDTH), 300, np.int16),
        "encoder/layer_0/ffn/linear_1/weight_scale": np.array(100, np.float32),
    }
    read = read_encoder(write_model(tmp_path / "model.bin", variables)).tensors
    originals = tiny_variables()
    np.testing.assert_allclose(read["layer_0/ffn/linear_0/weight"], weight, atol=float((0.51 / per_row).max()))
    for name, precision in (("conv1/bias", 1e-3), ("conv2/bias", 1e-2)):
        np.testing.assert_allclose(read[name], originals[f"encoder/{name}"], rtol=precision)
    np.testing.assert_allclose(read["layer_0/ffn/linear_1/weight"], 3.0)


def test_files_without_the_number_of_heads_have_heads_of_64(tmp_path: Path) -> None:
    """Older conversions leave it out."""
    variables = tiny_variables()
    del variables["encoder/num_heads"]
    assert read_encoder(write_model(tmp_path / "model.bin", variables)).n_heads == 1


@pytest.mark.parametrize(("version", "spec"), [(5, "WhisperSpec"), (6, "TransformerSpec")])
def test_other_formats_and_models_are_refused(tmp_path: Path, version: int, spec: str) -> None:
    """The message names the file and what was found."""
    path = write_model(tmp_path / "model.bin", tiny_variables(), version=version, spec=spec)
    with pytest.raises(UnknownModelFormat, match=f"model.bin: not a Whisper model .*format {version}, {spec}"):
        read_encoder(path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    """A file that ends early is not read as if it were whole."""
    path = write_model(tmp_path / "model.bin", tiny_variables())
    for n_bytes in (0, 3, 40, 5000):
        short = tmp_path / "short.bin"
        short.write_bytes(path.read_bytes()[:n_bytes])
        with pytest.raises(UnknownModelFormat):
            read_encoder(short)


def test_an_encoder_with_other_parts_is_refused(tmp_path: Path) -> None:
    """A part that is missing or unknown is named: it would change the output."""
    variables = tiny_variables()
    extra = {**variables, "encoder/layer_0/ffn/linear_2/weight": np.zeros(3, np.float32)}
    with pytest.raises(UnknownModelFormat, match=r"other parts .*layer_0/ffn/linear_2/weight"):
        read_encoder(write_model(tmp_path / "extra.bin", extra))
    del variables["encoder/conv2/bias"]
    with pytest.raises(UnknownModelFormat, match="conv2/bias"):
        read_encoder(write_model(tmp_path / "missing.bin", variables))
