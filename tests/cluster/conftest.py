from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """Give a folder for nginx; the user that nginx works as may not enter pytest's own."""
    with tempfile.TemporaryDirectory(prefix="nginx-test-") as path:
        # Started by root, nginx works as another user.
        Path(path).chmod(0o711)
        yield Path(path)
