"""`python -m app models fetch`: put the configured model on disk and check it. Blocking.

Workers in containers have no way out to the internet and a read-only model volume. This runs once before them, where
it may download. The hub names large files by their SHA-256, so what arrived is checked without another question.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from app.core.errors import StartupError
from app.settings.worker import load_settings

CHUNK_BYTES = 1 << 20
SHA256 = re.compile(r"[0-9a-f]{64}")


def main(argv: Sequence[str] | None = None) -> int:
    """Fetch and check; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m app models", description="Manage models on disk.")
    fetch = parser.add_subparsers(dest="action", required=True).add_parser(
        "fetch", help="download the configured model (MODEL_SIZE) and verify its files"
    )
    fetch.add_argument(
        "--for-device",
        choices=("cpu", "cuda"),
        help="what the workers run on, where this machine or container has no GPU; default: as DEVICE says",
    )
    arguments = parser.parse_args(argv)
    try:
        settings = load_settings()
        if settings.model_size == "fake":
            return 0
        from app.engine.whisper import model as models  # noqa: PLC0415 - a bad setting need not wait for CTranslate2

        device = arguments.for_device or models.choose_device(settings.device)
        name = models.choose_model(settings.model_size, device)
        directory = models.locate(name)
        checked = verify(directory)
    except StartupError as exc:
        print(f"error: {exc}", file=sys.stderr)  # noqa: T201 - a command line tool speaks on the terminal
        return 1
    print(f"{name}: {directory} ({checked} files checked)")  # noqa: T201 - as above
    return 0


def verify(directory: Path) -> int:
    """Compare each file that is stored under its SHA-256 with that name; return how many there were.

    Raises:
        StartupError: a file is not what the hub sent.
    """
    checked = 0
    for path in sorted(directory.iterdir()):
        blob = path.resolve()
        if not SHA256.fullmatch(blob.name):
            continue  # a small file, or a model that does not come from the hub
        if sha256_of(blob) != blob.name:
            raise StartupError(f"{path}: damaged on the way or on disk; delete {blob} and fetch the model again")
        checked += 1
    return checked


def sha256_of(path: Path) -> str:
    """Return the file's checksum in hexadecimal; reads it in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
