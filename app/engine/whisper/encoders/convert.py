"""Convert a model's encoder for OpenVINO with 8-bit arithmetic, once, and keep the result. Blocking.

The result lies in `openvino/` beside `model.bin`, or in the user's cache when that is read-only. Workers
that start together wait for the first one; a worker that may only read takes what `models fetch` has made.
Needs openvino.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino

from app.engine.whisper.encoders.calibration import Statistics, merged, plan
from app.engine.whisper.encoders.graph import encoder_graph, measuring_graph
from app.engine.whisper.encoders.tensors import EncoderWeights, read_encoder

Array = npt.NDArray[Any]

log = logging.getLogger("app.engine")

# Raise it when the graph or its quantization changes: older files are then ignored.
VERSION = 1
FOLDER = "openvino"


def quantized_graph(
    model_file: Path, windows: Callable[[], Sequence[Array]], *, folders: Sequence[Path] | None = None
) -> Any:
    """The quantized encoder as an `openvino.Model`: read if it was converted before, else converted and kept.

    Args:
        model_file: the model's `model.bin`.
        windows: makes the calibration features, each [1, n_mels, n_frames].
        folders: where the result is kept or will be, best first; None = `cache_folders`.

    Raises:
        UnknownModelFormat: the model is not a Whisper of CTranslate2's known format.
    """
    candidates = cache_folders(model_file) if folders is None else folders
    name = f"encoder-int8-{key_of(model_file)}.xml"
    for folder in candidates:
        if (graph := _read(folder / name)) is not None:
            return graph
    keeping = first_writable(candidates)
    if keeping is None:
        log.warning("no folder to keep the encoder in: it is converted at every start", extra=_fields(model_file))
        return _converted(model_file, windows())
    with _locked(keeping / "lock"):
        graph = _read(keeping / name)  # another worker may have converted it in the meantime
        if graph is None:
            started = time.monotonic()
            graph = _converted(model_file, windows())
            _keep(graph, keeping / name)
            log.info(
                "encoder converted",
                extra=_fields(model_file, kept=str(keeping / name), seconds=round(time.monotonic() - started, 1)),
            )
    return graph


def cache_folders(model_file: Path) -> list[Path]:
    """Beside the model, then in the user's cache."""
    beside = model_file.parent / FOLDER
    try:
        return [beside, Path.home() / ".cache" / "speech-to-text" / FOLDER]
    except RuntimeError:  # a user without a home
        return [beside]


def first_writable(folders: Sequence[Path]) -> Path | None:
    """The first folder that exists or can be created, and can be written to."""
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
    return None


def key_of(model_file: Path) -> str:
    """Changes with the file and with `VERSION`; reads no weights."""
    file = model_file.resolve()
    facts = file.stat()
    # whole seconds: image layers keep no fractions, and a conversion in an image must be found again
    return hashlib.sha256(f"{VERSION} {file} {facts.st_size} {int(facts.st_mtime)}".encode()).hexdigest()[:16]


def _converted(model_file: Path, windows: Sequence[Array]) -> Any:
    log.info("converting the encoder for OpenVINO, which is done once", extra=_fields(model_file))
    weights = read_encoder(model_file)
    quantization = plan(weights, _measured(weights, windows))
    log.info(
        "encoder quantized to 8 bits",
        extra=_fields(model_file, quantized=len(quantization.ranges), activations=4 * weights.n_layers),
    )
    return encoder_graph(weights, quantization)


def _measured(weights: EncoderWeights, windows: Sequence[Array]) -> dict[str, Statistics]:
    """The statistics of each activation over the windows, in float32."""
    graph, names = measuring_graph(weights)
    request = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    seen: dict[str, list[Statistics]] = {name: [] for name in names}
    for number, features in enumerate(windows, start=1):
        log.info("measuring the encoder on speech", extra={"fields": {"window": number, "windows": len(windows)}})
        results = request.infer([features])
        for index, name in enumerate(names):
            seen[name].append(Statistics(*np.array(results[index])))
    return {name: merged(parts) for name, parts in seen.items()}


def _read(kept: Path) -> Any | None:
    if not os.access(kept, os.R_OK):
        return None
    try:
        return openvino.Core().read_model(kept)
    except RuntimeError as exc:
        fields = {"kept": str(kept), "error": str(exc).splitlines()[0]}
        log.warning("a converted encoder cannot be read: it is converted again", extra={"fields": fields})
        return None


def _fields(model_file: Path, **more: object) -> dict[str, dict[str, object]]:
    """The fields of a line of the log."""
    return {"fields": {"model": str(model_file), **more}}


def _keep(graph: Any, kept: Path) -> None:
    """Write both files beside the place and move them there, so that no reader sees half a file."""
    unfinished = Path(tempfile.mkdtemp(dir=kept.parent))
    try:
        openvino.save_model(graph, unfinished / kept.name, compress_to_fp16=False)
        for name in (kept.with_suffix(".bin").name, kept.name):
            (unfinished / name).replace(kept.with_name(name))
    finally:
        shutil.rmtree(unfinished)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock among processes; the system releases it when the process ends."""
    with path.open("w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
