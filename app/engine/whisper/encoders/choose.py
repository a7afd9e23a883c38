"""Choose what runs a model's encoder: CTranslate2, or OpenVINO where it is installed. Blocking.

`auto` compares both on this machine for two seconds. Whatever goes wrong with OpenVINO is one line in
the log, and CTranslate2 is used.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from app.engine.whisper.model import Model

Array = npt.NDArray[Any]
# [B, n_mels, n_frames] -> [B, n_positions, width], both float32
Encode = Callable[[Array], Array]

log = logging.getLogger("app.engine")

CTRANSLATE2, OPENVINO = "ctranslate2", "openvino"
WEIGHTS = "model.bin"
NOT_INSTALLED = "openvino is not installed"
INSTALL = "install it with: .venv/bin/pip install --no-deps --require-hashes -r requirements-openvino.txt"
TRIAL_S = 2.0
# A second copy of the encoder needs memory: it must pay.
LEAST_GAIN = 0.9
# Cosine similarity of both outputs; 8-bit arithmetic measured 0.99 and more.
LEAST_SIMILARITY = 0.97
SMALLEST_LENGTH = 1e-30


@dataclass(frozen=True, slots=True)
class Encoder:
    """What runs the encoder.

    Attributes:
        name: ctranslate2 | openvino.
        reason: why it was chosen, for the log and the doctor.
        encode: None = CTranslate2's own.
    """

    name: str
    reason: str
    encode: Encode | None = None


class EncoderUnusable(Exception):
    """OpenVINO cannot run this encoder; the message says why."""


def openvino_installed() -> bool:
    """Whether openvino can be imported. Imports nothing."""
    return find_spec("openvino") is not None


def choose_encoder(
    asked: str,
    model: Model,
    reference: Encode,
    *,
    installed: Callable[[], bool] = openvino_installed,
    build: Callable[[Model], tuple[Encode, Array]] | None = None,
) -> Encoder:
    """The encoder for this model on this machine.

    Args:
        asked: the setting: auto, ctranslate2 or openvino.
        model: the loaded model.
        reference: CTranslate2's encoder.
        installed: whether openvino can be imported.
        build: makes OpenVINO's encoder and the features of the trial; None = `openvino_encoder`.
    """
    if asked == CTRANSLATE2:
        return Encoder(CTRANSLATE2, "as set by ENCODER")
    try:
        encode, features = _built_and_checked(model, reference, installed, build or openvino_encoder)
    except EncoderUnusable as exc:
        if asked == OPENVINO:
            log.warning("ENCODER=openvino is not possible, CTranslate2 is used", extra={"fields": {"reason": str(exc)}})
        return Encoder(CTRANSLATE2, str(exc))
    if asked == OPENVINO:
        return Encoder(OPENVINO, "as set by ENCODER", encode)
    seconds = trial({CTRANSLATE2: reference, OPENVINO: encode}, features)
    measured = ", ".join(f"{name} {1000 * took:.0f} ms" for name, took in seconds.items())
    if seconds[OPENVINO] < LEAST_GAIN * seconds[CTRANSLATE2]:
        return Encoder(OPENVINO, f"faster in a trial on 10 s of audio ({measured} of CPU time)", encode)
    return Encoder(CTRANSLATE2, f"openvino is not faster in a trial on 10 s of audio ({measured} of CPU time)")


def trial(
    candidates: Mapping[str, Encode],
    features: Array,
    *,
    cpu_clock: Callable[[], float] = time.process_time,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, float]:
    """The least CPU seconds that each candidate takes; they run in turns for two seconds, each at least twice."""
    least = dict.fromkeys(candidates, float("inf"))
    end, rounds = clock() + TRIAL_S, 0
    while rounds < 2 or clock() < end:  # noqa: PLR2004 - the first round may still allocate
        for name, encode in candidates.items():
            started = cpu_clock()
            encode(features)
            least[name] = min(least[name], cpu_clock() - started)
        rounds += 1
    return least


def openvino_encoder(model: Model) -> tuple[Encode, Array]:
    """OpenVINO's encoder for the model, and the features of the trial. Converts the model at the first start.

    The setting COMPUTE_TYPE holds here too: int8 types give 8-bit arithmetic, the others floating point.
    """
    # not at the top: these need openvino, which is optional
    from app.engine.whisper.encoders.graph import encoder_graph  # noqa: PLC0415
    from app.engine.whisper.encoders.infer import OpenVinoEncoder, cpu_supports_bfloat16  # noqa: PLC0415
    from app.engine.whisper.encoders.speech import trial_window  # noqa: PLC0415
    from app.engine.whisper.encoders.tensors import read_encoder  # noqa: PLC0415

    quantized = model.compute_type.startswith("int8")
    graph = int8_graph(model) if quantized else encoder_graph(read_encoder(model.directory / WEIGHTS))
    rounded = quantized or model.compute_type in ("bfloat16", "float16")
    encode = OpenVinoEncoder(
        graph,
        replicas=model.parallelism.replicas,
        threads=model.parallelism.threads,
        precision="bf16" if rounded and cpu_supports_bfloat16() else "f32",
    )
    return encode, trial_window(model.whisper.feature_extractor)


def int8_graph(model: Model) -> Any:
    """The encoder with 8-bit arithmetic as an `openvino.Model`; converted now if it never was."""
    from app.engine.whisper.encoders.convert import quantized_graph  # noqa: PLC0415 - see above
    from app.engine.whisper.encoders.speech import calibration_windows  # noqa: PLC0415 - see above

    extract = model.whisper.feature_extractor
    return quantized_graph(model.directory / WEIGHTS, lambda: calibration_windows(extract))


def prepare_encoder(model: Model, *, convert: Callable[[Model], Any] = int8_graph) -> None:
    """Convert the encoder as a start would, if its arithmetic needs that; a failure is a warning, as it is there.

    Args:
        model: the loaded model.
        convert: makes and keeps the encoder with 8-bit arithmetic.
    """
    if not model.compute_type.startswith("int8"):
        return
    try:
        convert(model)
    except Exception as exc:  # noqa: BLE001 - OpenVINO's errors have no common type
        log.warning("the encoder cannot be converted for OpenVINO", extra={"fields": {"reason": _reason(exc)}})


def similarity(one: Array, other: Array) -> float:
    """Cosine of the angle between two outputs of the same shape; 1 if they are equal."""
    a, b = one.astype(np.float64).ravel(), other.astype(np.float64).ravel()
    lengths = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / max(lengths, SMALLEST_LENGTH)


def _built_and_checked(
    model: Model,
    reference: Encode,
    installed: Callable[[], bool],
    build: Callable[[Model], tuple[Encode, Array]],
) -> tuple[Encode, Array]:
    """The encoder and the features of the trial.

    Raises:
        EncoderUnusable: not here, not installed, or the encoder cannot be built, fails or is wrong.
    """
    if model.device != "cpu":
        raise EncoderUnusable(f"the model runs on {model.device}, and openvino is used on the CPU only")
    if not installed():
        raise EncoderUnusable(NOT_INSTALLED)
    try:
        encode, features = build(model)
        encoded = encode(features)
    except Exception as exc:
        raise EncoderUnusable(f"openvino failed ({_reason(exc)})") from exc
    expected = reference(features)
    alike = similarity(encoded, expected) if encoded.shape == expected.shape else 0.0
    if not alike >= LEAST_SIMILARITY:  # NaN is not
        raise EncoderUnusable(f"openvino's output differs from CTranslate2's (similarity {alike:.3f})")
    return encode, features


def _reason(exc: Exception) -> str:
    return f"{type(exc).__name__}: {(str(exc).strip().splitlines() or [''])[0][:200]}"
