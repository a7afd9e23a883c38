"""Run where openvino is installed: `make test` fetches it into a folder of its own."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

openvino = pytest.importorskip("openvino", reason="openvino is optional: requirements-openvino.txt")

from app.engine.parallelism import choose  # noqa: E402
from app.engine.whisper.calls import SharedModel  # noqa: E402 - needs openvino
from app.engine.whisper.encoders.choose import openvino_encoder, similarity  # noqa: E402
from app.engine.whisper.encoders.graph import encoder_graph  # noqa: E402
from app.engine.whisper.encoders.infer import OpenVinoEncoder  # noqa: E402
from app.engine.whisper.encoders.tensors import read_encoder  # noqa: E402
from app.engine.whisper.model import DEMO_DIRECTORY, Model, load  # noqa: E402
from tests.engine.whisper.encoders.model_files import tiny_variables, write_model  # noqa: E402

STARTS = 5
# Two threads meet at a barrier before each length that neither has run yet.
START = """
import sys, threading
import numpy as np
from pathlib import Path
from app.engine.whisper.encoders.graph import encoder_graph
from app.engine.whisper.encoders.infer import OpenVinoEncoder
from app.engine.whisper.encoders.tensors import read_encoder
encode = OpenVinoEncoder(encoder_graph(read_encoder(Path(sys.argv[1]))), replicas=2, threads=1, precision="f32")
together, done = threading.Barrier(2), []
def work():
    for n_frames in (250, 500, 750, 1000, 1500):
        together.wait()
        encode(np.zeros((1, 80, n_frames), np.float32))
    done.append(1)
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
sys.exit(len(done) != 2)
"""


def test_first_calls_of_two_threads_end() -> None:
    """Concurrent first calls have hung: each of several fresh processes finishes, within a generous limit."""
    for _ in range(STARTS):
        subprocess.run([sys.executable, "-c", START, DEMO_DIRECTORY / "model.bin"], check=True, timeout=120)


def test_rows_and_threads_do_not_mix(tmp_path: Path) -> None:
    """Each row gets what it would get alone, from every thread, and an earlier result is not overwritten."""
    weights = read_encoder(write_model(tmp_path / "model.bin", tiny_variables()))
    encode = OpenVinoEncoder(encoder_graph(weights), replicas=2, threads=1, precision="f32")
    rows = np.random.default_rng(8).standard_normal((6, 80, 100)).astype(np.float32)
    alone = [encode(row[np.newaxis]) for row in rows]
    together = encode(rows)
    assert together.shape == (6, 50, 64)
    np.testing.assert_array_equal(np.concatenate(alone), together)
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda index: encode(rows[index % 6 : index % 6 + 1]), range(48)))
    for index, result in enumerate(results):
        np.testing.assert_array_equal(result, alone[index % 6])


@pytest.mark.parametrize(("compute_type", "least"), [("int8", 0.99), ("float32", 0.99999)])
def test_the_demo_model_agrees_with_ctranslate2(tmp_path: Path, compute_type: str, least: float) -> None:
    """From the model's files to the output, in 8 bits and in floating point, at the trial's length and at another."""
    folder = tmp_path / "demo"
    folder.mkdir()
    for file in DEMO_DIRECTORY.iterdir():
        if file.is_file():
            (folder / file.name).symlink_to(file)  # the conversion is kept beside the links
    model = a_model(folder, compute_type)
    encode, features = openvino_encoder(model)
    reference = SharedModel(a_model(folder, "float32").whisper.model).encode
    for n_frames in (500, features.shape[2]):
        window = np.ascontiguousarray(features[:, :, :n_frames])
        assert similarity(encode(window), reference(window)) > least


def a_model(folder: Path, compute_type: str) -> Model:
    """The model in a folder, on the CPU with one thread."""
    return load(
        model_size=str(folder),
        device="cpu",
        compute_type=compute_type,
        parallelism=lambda device: choose(device=device, n_cores=1, replicas=1, threads=1, max_batch=1),
    )
