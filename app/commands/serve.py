"""`python -m app serve`: settings, tuning and the port first, then the imports that take long.

Tuning re-executes the process, which repeats every import before it, so this file imports little.
"""

from __future__ import annotations

import contextlib
import logging
import shlex
import socket
import sys
from pathlib import Path

from app.commands import model_note
from app.core.errors import StartupError
from app.ops import logs, tuning
from app.ops.addresses import authority
from app.settings.worker import WorkerSettings, load_settings

log = logging.getLogger("app")

BETTER_MODEL = "MODEL_SIZE=small make run"
SAMPLES = Path(__file__).resolve().parents[2] / "tests" / "audio"


def run(*, demo: bool = False, local_model: bool = False, **overrides: object) -> int:
    """Serve until a signal; return the exit code.

    Args:
        demo: use the bundled demo model unless MODEL_SIZE is set, and print an example request.
        local_model: the same with the best model that this machine has already.
        overrides: settings (host, port, ...) that take precedence over the environment.
    """
    try:
        settings = load_settings(**overrides)
        tuning.apply(enabled=settings.cpu_tuning)
        listener = bind(settings.host, settings.port)
        process = {"service": "stt-worker", "worker_id": settings.worker_id}
        logs.configure(level=settings.log_level, style=settings.log_format, **process)
        if (demo or local_model) and "model_size" not in settings.model_fields_set:
            chosen = {"model_size": "demo"} if demo else _local_model(settings.device)
            settings = load_settings(**{**overrides, **chosen})
            note = model_note.describe(settings.model_size, better=BETTER_MODEL)
            print(note, flush=True)  # noqa: T201 - for the user of `make run`
    except StartupError as exc:
        print(f"error: {exc}", file=sys.stderr)  # noqa: T201 - one line for people, whatever the log format
        return 1
    _log_start(settings)
    from app.http.server import serve  # noqa: PLC0415 - imports the engine: after the tuning, not before

    return serve(settings, listener, on_ready=(lambda: _print_example(settings)) if demo or local_model else None)


def _local_model(device: str) -> dict[str, str]:
    """The settings of the best model that needs no download, with the device that it was chosen for."""
    from app.engine.whisper import model  # noqa: PLC0415 - imports CTranslate2: after the tuning, not before

    device = model.choose_device(device)
    return {"model_size": model.choose_local(device), "device": device}


def apply_tuning() -> None:
    """Tune the process for a command that runs the model without serving."""
    with contextlib.suppress(StartupError):  # the command reads the settings again and reports the error itself
        tuning.apply(enabled=load_settings().cpu_tuning)


def bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to the address, so that a port in use is reported before the model is loaded.

    Raises:
        StartupError: the port is in use, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as exc:
        listener.close()
        raise StartupError(
            f"HOST={host} PORT={port}: cannot listen there ({exc.strerror or exc}); stop what uses the port "
            "or set another PORT"
        ) from exc
    return listener


def example_request(settings: WorkerSettings) -> str:
    """Return a curl command that works with this configuration when it is pasted into a shell."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - compared, not bound
    url = f"http://{authority(host, settings.port)}/v1/audio/transcriptions"
    key = " -H 'Authorization: Bearer '\"${API_KEY:?set it to a key of the server}\"" if settings.key_required else ""
    # The demo model knows synthetic voices only.
    sample = SAMPLES / ("en-00.wav" if settings.model_size == "demo" else "human/jfk.wav")
    return (
        "ready; try:\n"
        f"  curl{key} -F file=@{shlex.quote(str(sample))} -F model=whisper-1 -F response_format=text "
        f"{shlex.quote(url)}"
    )


def _print_example(settings: WorkerSettings) -> None:
    print(example_request(settings), flush=True)  # noqa: T201 - for the user of `make run`


def _log_start(settings: WorkerSettings) -> None:
    if not settings.key_required:
        log.warning("no API_KEYS are set: anyone who can reach this address can use the server")
    log.info("starting", extra={"fields": {"address": f"http://{authority(settings.host, settings.port)}"}})
