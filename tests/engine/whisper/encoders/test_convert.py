"""Run where openvino is installed: `make test` fetches it into a folder of its own."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

openvino = pytest.importorskip("openvino", reason="openvino is optional: requirements-openvino.txt")

from app.engine.whisper.encoders.convert import (  # noqa: E402 - needs openvino
    cache_folders,
    first_writable,
    key_of,
    quantized_graph,
)
from app.engine.whisper.encoders.tensors import UnknownModelFormat, read_encoder  # noqa: E402
from tests.engine.whisper.encoders.model_files import encode, tiny_variables, write_model  # noqa: E402

FEATURES = np.random.default_rng(7).standard_normal((1, 80, 100)).astype(np.float32)


def windows() -> list[np.ndarray]:
    """The calibration features."""
    return [FEATURES, FEATURES[:, :, :40]]


def no_windows() -> Sequence[Any]:
    """For a start that must not convert."""
    raise AssertionError("converted again")


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    """A model of one layer."""
    folder = tmp_path / "model"
    folder.mkdir()
    return write_model(folder / "model.bin", tiny_variables())


def output_of(graph: Any) -> np.ndarray:
    """What the graph makes of the features."""
    return np.array(openvino.Core().compile_model(graph, "CPU")([FEATURES])[0])


def test_the_first_start_converts_and_the_next_one_reads(model_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The result lies beside the model, close to the exact encoder, and is the same when read; progress is logged."""
    with caplog.at_level(logging.INFO):
        first = output_of(quantized_graph(model_file, windows))
    expected = encode(read_encoder(model_file), FEATURES)
    assert np.abs(first - expected).mean() < 0.05 * np.abs(expected).mean()
    assert [path.suffix for path in sorted((model_file.parent / "openvino").iterdir())] == [".bin", ".xml", ""]
    fields = {record.getMessage(): record.__dict__["fields"] for record in caplog.records}
    assert "converting the encoder for OpenVINO, which is done once" in fields
    assert fields["measuring the encoder on speech"] == {"window": 2, "windows": 2}
    assert Path(fields["encoder converted"]["kept"]).is_file()
    np.testing.assert_array_equal(output_of(quantized_graph(model_file, no_windows)), first)


def test_another_model_is_converted_anew(model_file: Path) -> None:
    """The file's size and time are part of the name."""
    before = key_of(model_file)
    write_model(model_file, tiny_variables(n_layers=2))
    assert key_of(model_file) != before


def test_a_damaged_result_is_written_again(model_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that OpenVINO cannot read is replaced."""
    first = output_of(quantized_graph(model_file, windows))
    [kept] = (model_file.parent / "openvino").glob("*.xml")
    kept.write_text("<net")
    np.testing.assert_array_equal(output_of(quantized_graph(model_file, windows)), first)
    assert "cannot be read" in caplog.text
    output_of(quantized_graph(model_file, no_windows))


def test_a_read_only_model_is_kept_in_the_users_cache(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first folder that can be created and written is used; a file in the way is not an error."""
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    folders = cache_folders(model_file)
    assert folders == [model_file.parent / "openvino", tmp_path / "home/.cache/speech-to-text/openvino"]
    folders[0].write_text("a file where the folder would be")
    assert first_writable(folders) == folders[1]
    quantized_graph(model_file, windows)
    assert len(list(folders[1].glob("*.xml"))) == 1


def test_without_any_folder_each_start_converts(model_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The service starts all the same, with a warning."""
    assert output_of(quantized_graph(model_file, windows, folders=[])).shape == (1, 50, 64)
    assert "converted at every start" in caplog.text


def test_a_conversion_is_found_where_nothing_can_be_written(model_file: Path, tmp_path: Path) -> None:
    """A worker that may only read uses what `models fetch` has left beside the model, and writes nothing."""
    quantized_graph(model_file, windows)
    elsewhere = tmp_path / "cache"
    quantized_graph(model_file, no_windows, folders=[elsewhere, model_file.parent / "openvino"])
    assert not elsewhere.exists()


def test_a_copy_in_an_image_is_the_same_model(model_file: Path) -> None:
    """Image layers keep whole seconds of a file's time."""
    facts = model_file.stat()
    os.utime(model_file, ns=(facts.st_atime_ns, 1_700_000_000_987_654_321))
    before = key_of(model_file)
    os.utime(model_file, (facts.st_atime, 1_700_000_000))
    assert key_of(model_file) == before


def test_a_user_without_a_home_has_one_folder(model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers may run as a user that the system does not know."""

    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    assert cache_folders(model_file) == [model_file.parent / "openvino"]


def test_a_failed_conversion_leaves_nothing(model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No half-written file is found by the next start."""

    def full(*_: object, **__: object) -> None:
        raise RuntimeError("no space left")

    with monkeypatch.context() as failing:
        failing.setattr(openvino, "save_model", full)
        with pytest.raises(RuntimeError, match="no space left"):
            quantized_graph(model_file, windows)
    assert [path.name for path in (model_file.parent / "openvino").iterdir()] == ["lock"]
    model_file.write_bytes(b"something else")
    with pytest.raises(UnknownModelFormat):
        quantized_graph(model_file, windows)
