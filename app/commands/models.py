"""`python -m app models`: download the configured model, or name the best one on this machine. Blocking.

Workers in containers have no internet access and a read-only model volume. `models fetch` runs once before them, in a
container that may download; where OpenVINO is installed it converts the encoder too. `models local` is how a cluster
chooses its model without loading the engine.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from app.core.errors import StartupError
from app.ops import logs
from app.settings.worker import WorkerSettings, load_settings


def main(argv: Sequence[str] | None = None) -> int:
    """Fetch and verify, or print a name; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m app models", description="Manage models on disk.")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("local", help="print the name of the best model that this machine has already")
    fetch = actions.add_parser(
        "fetch",
        help="download the configured model (MODEL_SIZE), verify its files, convert its encoder if OpenVINO is here",
    )
    fetch.add_argument(
        "--for-device",
        choices=("cpu", "cuda"),
        help="device of the workers, if this machine or container has no GPU; default: DEVICE",
    )
    arguments = parser.parse_args(argv)
    try:
        settings = load_settings()
        line = _local(settings) if arguments.action == "local" else _fetch(settings, arguments.for_device)
    except StartupError as exc:
        print(f"error: {exc}", file=sys.stderr)  # noqa: T201 - the command's output
        return 1
    if line:
        print(line)  # noqa: T201 - the command's output
    return 0


def _local(settings: WorkerSettings) -> str:
    # Imported here: a bad setting is reported without loading CTranslate2.
    from app.engine.whisper import model  # noqa: PLC0415 - see above

    return model.choose_local(model.choose_device(settings.device))


def _fetch(settings: WorkerSettings, for_device: str | None) -> str:
    if settings.model_size == "fake":
        return ""
    from app.engine.whisper import checksums, model, packaged  # noqa: PLC0415 - see above

    device = for_device or model.choose_device(settings.device)
    name = model.choose_model(settings.model_size, device)
    directory = model.locate(name)
    # Files of the package have been verified by `locate`.
    checked = len(packaged.CHECKSUMS) if directory == packaged.directory() else checksums.verify(directory)
    if device == "cpu":
        _prepare(settings.model_copy(update={"model_size": name, "device": device}))
    return f"{name}: {directory} ({checked} files verified)"


def _prepare(settings: WorkerSettings) -> None:
    """Convert the encoder for OpenVINO as the first start of a worker would; the log shows the progress."""
    from app.engine.whisper.encoders import choose  # noqa: PLC0415 - see above

    if settings.encoder == choose.CTRANSLATE2 or not choose.openvino_installed():
        return
    from app.engine.build import load_model  # noqa: PLC0415 - see above

    logs.configure(level=settings.log_level, style=settings.log_format, service="stt-models")
    choose.prepare_encoder(load_model(settings))
