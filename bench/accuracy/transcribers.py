"""Stock faster-whisper and the worker's engine inside this process: the only file that calls them. Blocking."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from faster_whisper import WhisperModel

from app.audio.decode import decode_audio
from app.core.options import Options
from app.core.transcript import Segment
from app.engine.build import load_model, transcriber_of
from app.settings.worker import load_settings
from bench.accuracy.transcription import Piece, Transcription, transcription_of

MAX_AUDIO_S = 3600.0
COMPUTE_TYPE = "int8"


@dataclass(frozen=True, slots=True)
class LocalTranscriber:
    """A loaded model and how it is called.

    Attributes:
        segments: a file and its language (None = detect) -> segments.
        multilingual: False for `.en` models.
        close: end its threads.
    """

    segments: Callable[[Path, str | None], Iterable[Piece]]
    multilingual: bool
    close: Callable[[], None]

    def transcribe(self, path: Path, language: str | None) -> Transcription:
        """Transcribe a file, audio decoding included, and measure it."""
        started_s, started_cpu_s = time.perf_counter(), time.process_time()
        found = list(self.segments(path, language))
        cpu_s, wall_s = time.process_time() - started_cpu_s, time.perf_counter() - started_s
        return transcription_of(found, wall_s=wall_s, cpu_s=cpu_s)


def stock(model: str, *, vad_filter: bool, beam_size: int) -> LocalTranscriber:
    """faster-whisper with its default settings otherwise.

    Args:
        model: directory of a CTranslate2 Whisper.
        vad_filter: skip audio without speech.
        beam_size: hypotheses kept while decoding.
    """
    whisper = WhisperModel(model, device="cpu", compute_type=COMPUTE_TYPE, local_files_only=True)

    def segments(path: Path, language: str | None) -> Iterable[Piece]:
        found: Iterable[Piece]
        found, _ = whisper.transcribe(str(path), language=language, vad_filter=vad_filter, beam_size=beam_size)
        return found

    return LocalTranscriber(segments, bool(whisper.model.is_multilingual), close=lambda: None)


def engine(model: str) -> LocalTranscriber:
    """The worker's engine without HTTP, configured by the environment as the worker is.

    Args:
        model: as MODEL_SIZE.

    Raises:
        StartupError: a setting is not allowed, or the model cannot be loaded.
    """
    settings = load_settings(model_size=model, device="cpu", compute_type=COMPUTE_TYPE)
    loaded = load_model(settings)
    transcriber = transcriber_of(loaded, settings)

    def segments(path: Path, language: str | None) -> Iterable[Piece]:
        pcm = decode_audio(path.read_bytes(), max_audio_s=MAX_AUDIO_S)
        events = transcriber.events(pcm, Options(language=language), cancelled=lambda: False)
        return [event for event in events if isinstance(event, Segment)]

    return LocalTranscriber(segments, loaded.multilingual, close=transcriber.close)
