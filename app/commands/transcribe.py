"""Transcribe files from the command line: the worker's own engine, without a server."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from app.audio.decode import decode_audio
from app.core import languages
from app.core.errors import StartupError, TranscriptionError
from app.core.options import Options
from app.core.pcm import SAMPLE_RATE_HZ
from app.core.transcript import Progress, Transcript, TranscriptBuilder
from app.engine.build import load_model, transcriber_of
from app.engine.transcriber import Transcriber
from app.http.response.formats import ResponseFormat, render
from app.settings.worker import load_settings

FileFormat = Literal["txt", "srt", "vtt", "json"]
RENDERED_AS: dict[FileFormat, ResponseFormat] = {
    "txt": "text", "srt": "srt", "vtt": "vtt", "json": "verbose_json",
}  # fmt: skip
BAR = "{desc}: {percentage:3.0f}% |{bar}| {n:.0f}/{total:.0f} s of audio, {speed}, {remaining} left"


class AudioBar(tqdm):  # type: ignore[misc]  # tqdm has no types
    """A progress bar over seconds of audio; its rate is the speed relative to real time."""

    @property
    def format_dict(self) -> dict[str, Any]:
        """Tqdm's own values and `speed`, as `12.3x`."""
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
    """Transcribe each file; a bad one is one line on standard error and the others are still done.

    Returns:
        0, or 1 if anything failed.
    """
    try:
        options = Options(language=languages.normalize(language or ""))
        settings = load_settings(**({"model_size": model} if model else {}))
        target = _directory(output_dir)
        transcriber = transcriber_of(load_model(settings), settings)
    except (StartupError, TranscriptionError) as exc:
        _complain(str(exc))
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
                path = free_name(target, Path(file), file_format, written)
                path.write_bytes(body)
                written.add(path)
        except (OSError, TranscriptionError, RuntimeError) as exc:
            _complain(f"{file}: {_reason(exc, file)}")
            failed = True
            continue
        if target is None and not _print(body):
            return 1
    return 1 if failed else 0


def transcribe(file: Path, transcriber: Transcriber, options: Options, *, max_audio_s: float) -> Transcript:
    """One file's transcript, with a progress bar if standard error is a terminal.

    Raises:
        OSError: the file cannot be read.
        TranscriptionError: the file holds nothing that can be transcribed.
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


def free_name(directory: Path, file: Path, file_format: FileFormat, written: set[Path]) -> Path:
    """`talk.srt` for `talk.mp3`; two sources of one name in one run do not overwrite each other."""
    candidates = [directory / f"{file.stem}.{file_format}", directory / f"{file.name}.{file_format}"]
    number = 2
    while candidates[0] in written:
        candidates.pop(0)
        if not candidates:
            candidates = [directory / f"{file.stem}-{number}.{file_format}"]
            number += 1
    return candidates[0]


def _directory(path: str | None) -> Path | None:
    if path is None:
        return None
    directory = Path(path)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise StartupError(f"--output-dir {path}: {exc.strerror}; name a directory that can be written") from exc
    return directory


def _print(body: bytes) -> bool:
    """Write to standard output; False if nobody takes it, and then nobody will take the next text either."""
    try:
        sys.stdout.buffer.write(body if body.endswith(b"\n") else body + b"\n")
        sys.stdout.buffer.flush()
    except OSError as exc:
        _complain(f"standard output: {exc.strerror}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the flush at exit has somewhere to go
        return False
    return True


def _reason(exc: OSError | TranscriptionError | RuntimeError, file: str) -> str:
    """What went wrong, and with which file if it is not the one that was read."""
    if isinstance(exc, TranscriptionError):
        return str(exc)
    if isinstance(exc, RuntimeError):  # CTranslate2's, of a device that is out of memory or lost
        return f"the engine failed ({exc}); `python -m app doctor` looks at the device"
    reason = exc.strerror or str(exc)
    return reason if exc.filename is None or str(exc.filename) == str(Path(file)) else f"{exc.filename}: {reason}"


def _complain(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)  # noqa: T201 - the command line's own voice
