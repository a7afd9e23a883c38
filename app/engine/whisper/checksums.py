"""Verify the files of a downloaded model against the checksums that the hub gave them. Blocking.

The hub's cache stores each large file under its SHA-256, so no request is needed.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from app.core.errors import StartupError

CHUNK_BYTES = 1 << 20
SHA256 = re.compile(r"[0-9a-f]{64}")


def verify(directory: Path) -> int:
    """Compare each file that is stored under its SHA-256 with that name; return the number of such files.

    Raises:
        StartupError: a file differs from what the hub has.
    """
    checked = 0
    for path in sorted(directory.iterdir()):
        blob = path.resolve()
        if not SHA256.fullmatch(blob.name):
            continue  # a small file, or a model that is not from the hub
        if sha256_of(blob) != blob.name:
            raise StartupError(f"{path}: damaged in transfer or on disk; delete {blob} and fetch the model again")
        checked += 1
    return checked


def sha256_of(path: Path) -> str:
    """Return the file's SHA-256 in hexadecimal; reads it in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
