"""`python -m app transcribe`: transcribe files with the worker's engine, without a server."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from app.audio.decode import decode_audio
from app.commands import model_note
from app.core import languages
from app.core.errors import StartupError, TranscriptionError
from app.core.options import Options
from app.core.pcm import SAMPLE_RATE_HZ
from app.core.transcript import Progress, Transcript, TranscriptBuilder
from app.engine.build import load_model, transcriber_of
from app.engine.transcriber import Transcriber
from app.engine.whisper import model as models
from app.http.response.formats import ResponseFormat, render
from app.settings.worker import WorkerSettings, load_settings

FileFormat = Literal["txt", "srt", "vtt", "json"]
RENDERED_AS: dict[FileFormat, ResponseFormat] = {
    "txt": "text", "srt": "srt", "vtt": "vtt", "json": "verbose_json",
}  # fmt: skip
BAR = "{desc}: {percentage:3.0f}% |{bar}| {n:.0f}/{total:.0f} s of audio, {speed}, {remaining} left"


class AudioBar(tqdm):  # type: ignore[misc]  # tqdm has no types
    """A progress bar over seconds of audio, with the speed relative to real time."""

    @property
    def format_dict(self) -> dict[str, Any]:
        """Return tqdm's own values and `speed`, such as `12.3x`."""
        values: dict[str, Any] = super().format_dict
        rate = values["rate"] or (values["n"] / values["elapsed"] if values["elapsed"] else 0.0)
        return {**values, "speed": f"{rate:.1f}x" if rate else "?"}


def transcribe_files(
    files: Sequence[str],
    *,
    file_format: FileFormat,
    language: str | None = None,
    model: str | None = None,
    output_dir: str | None = None,
) -> int:
    """Transcribe each file; for a file that fails one line goes to standard error, and the others are still done.

    Returns:
        The exit code: 0, or 1 if anything failed.
    """
    try:
        options = Options(language=languages.normalize(language or ""))
        settings = _load_settings(model)
        target = _make_directory(output_dir)
        transcriber = transcriber_of(load_model(settings), settings)
    except (StartupError, TranscriptionError) as exc:
        _print_error(str(exc))
        return 1
    written: set[Path] = set()
    failed = False
    for file in files:
        try:
            transcript = transcribe(Path(file), transcriber, options, max_audio_s=settings.max_audio_seconds)
            body = render(
                transcript,
                response_format=RENDERED_AS[file_format],
                task=options.task,
                words=False,
                segments=True,
                language_style=settings.verbose_json_language,
            ).body
            if target is not None:
                path = output_path(target, Path(file), file_format, written)
                path.write_bytes(body)
                written.add(path)
        except (OSError, TranscriptionError, RuntimeError) as exc:
            _print_error(f"{file}: {_reason(exc, file)}")
            failed = True
            continue
        if target is None and not _print_body(body):
            return 1
    return 1 if failed else 0


def transcribe(file: Path, transcriber: Transcriber, options: Options, *, max_audio_s: float) -> Transcript:
    """Return the transcript of one file; show a progress bar if standard error is a terminal.

    Raises:
        OSError: the file cannot be read.
        TranscriptionError: the file holds no audio that can be transcribed.
    """
    with file.open("rb") as source:
        pcm = decode_audio(source, max_audio_s=max_audio_s)
    builder = TranscriptBuilder()
    total_s = round(len(pcm) / SAMPLE_RATE_HZ, 1)
    with AudioBar(total=total_s, desc=file.name, bar_format=BAR, disable=not sys.stderr.isatty()) as bar:
        for event in transcriber.events(pcm, options, cancelled=lambda: False):
            builder.add(event)
            if isinstance(event, Progress):
                bar.update(round(event.done_s, 1) - bar.n)
    return builder.transcript()


def output_path(directory: Path, file: Path, file_format: FileFormat, written: set[Path]) -> Path:
    """Return a path that this run has not written yet: `talk.srt` for `talk.mp3`, else `talk.mp3.srt`, `talk-2.srt`."""
    candidates = [directory / f"{file.stem}.{file_format}", directory / f"{file.name}.{file_format}"]
    number = 2
    while candidates[0] in written:
        candidates.pop(0)
        if not candidates:
            candidates = [directory / f"{file.stem}-{number}.{file_format}"]
            number += 1
    return candidates[0]


def _load_settings(model: str | None) -> WorkerSettings:
    """Read the settings; without MODEL_SIZE a CPU gets a model that this machine has, if it is one for human speech."""
    settings = load_settings(**({"model_size": model} if model else {}))
    if "model_size" in settings.model_fields_set:
        return settings
    device = models.choose_device(settings.device)
    local = models.choose_local(device)
    if device == "cuda" or local in ("demo", models.choose_model("auto", device)):
        return load_settings(device=device)
    print(model_note.describe(local, better="--model small"), file=sys.stderr)  # noqa: T201 - the command's output
    return load_settings(device=device, model_size=local)


def _make_directory(path: str | None) -> Path | None:
    if path is None:
        return None
    directory = Path(path)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise StartupError(f"--output-dir {path}: {exc.strerror}; name a directory that can be written") from exc
    return directory


def _print_body(body: bytes) -> bool:
    """Write to standard output; return False if that failed, as it would for every further text."""
    try:
        sys.stdout.buffer.write(body if body.endswith(b"\n") else body + b"\n")
        sys.stdout.buffer.flush()
    except OSError as exc:
        _print_error(f"standard output: {exc.strerror}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the flush at exit succeeds
        return False
    return True


def _reason(exc: OSError | TranscriptionError | RuntimeError, file: str) -> str:
    """Return the cause of the error, with the file name if it is not the file that was read."""
    if isinstance(exc, TranscriptionError):
        return str(exc)
    if isinstance(exc, RuntimeError):  # from CTranslate2: a device that is out of memory or lost
        return f"the engine failed ({exc}); check the device with `python -m app doctor`"
    reason = exc.strerror or str(exc)
    return reason if exc.filename is None or str(exc.filename) == str(Path(file)) else f"{exc.filename}: {reason}"


def _print_error(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)  # noqa: T201 - the command's output
