"""`python -m app models fetch`: download the configured model and verify its files. Blocking.

Workers in containers have no internet access and a read-only model volume. This command runs once before them, in a
container that may download.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from app.core.errors import StartupError
from app.settings.worker import load_settings


def main(argv: Sequence[str] | None = None) -> int:
    """Fetch and verify; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m app models", description="Manage models on disk.")
    fetch = parser.add_subparsers(dest="action", required=True).add_parser(
        "fetch", help="download the configured model (MODEL_SIZE) and verify its files"
    )
    fetch.add_argument(
        "--for-device",
        choices=("cpu", "cuda"),
        help="device of the workers, if this machine or container has no GPU; default: DEVICE",
    )
    arguments = parser.parse_args(argv)
    try:
        settings = load_settings()
        if settings.model_size == "fake":
            return 0
        # Imported here: a bad setting is reported without loading CTranslate2.
        from app.engine.whisper import checksums, model  # noqa: PLC0415 - see above

        device = arguments.for_device or model.choose_device(settings.device)
        name = model.choose_model(settings.model_size, device)
        directory = model.locate(name)
        checked = checksums.verify(directory)
    except StartupError as exc:
        print(f"error: {exc}", file=sys.stderr)  # noqa: T201 - the command's output
        return 1
    print(f"{name}: {directory} ({checked} files verified)")  # noqa: T201 - the command's output
    return 0
