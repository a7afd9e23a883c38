"""Transcribe in a test, and keep every event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from app.core.options import Options
from app.core.pcm import Pcm
from app.core.transcript import AudioInfo, Progress, Segment
from app.engine.batching.batcher import BatchDetails, Batcher
from app.engine.parallelism import Parallelism
from app.engine.transcriber import Transcriber
from app.engine.whisper.calls import SharedModel
from app.engine.whisper.model import Model


@dataclass(slots=True)
class Transcribed:
    """Every event of one upload."""

    info: AudioInfo | None = None
    segments: list[Segment] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The segments' texts."""
        return "".join(segment.text for segment in self.segments).strip()


class CountingModel:
    """CTranslate2's Whisper, counting its calls by kind, and the rows of each."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.device = model.device
        self.n_mels = model.n_mels
        self.calls: Counter[str] = Counter()
        self.rows: Counter[str] = Counter()

    def forget(self) -> None:
        """Count from zero."""
        self.calls.clear()
        self.rows.clear()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._model, name)

        def counted(rows: Any, *args: Any, **options: Any) -> Any:
            self.calls[name] += 1
            self.rows[name] += rows.shape[0]
            return method(rows, *args, **options)

        return counted


def transcribe(transcriber: Transcriber, pcm: Pcm, options: Options | None = None) -> Transcribed:
    """Transcribe to the end."""
    result = Transcribed()
    for event in transcriber.events(pcm, options or Options(), lambda: False):
        if isinstance(event, AudioInfo):
            assert result.info is None
            result.info = event
        elif isinstance(event, Segment):
            result.segments.append(event)
        else:
            result.progress.append(event)
    return result


def transcriber_over(
    model: Model,
    *,
    weights: Any = None,
    parallelism: Parallelism | None = None,
    beam_size: int = 5,
    adapt_context: bool = True,
    mix_lanes: bool = False,
    on_batch: Callable[[BatchDetails], None] = lambda _: None,
    wrap: Callable[[Callable[[Hashable, Any], Any]], Callable[[Hashable, Any], Any]] = lambda run: run,
) -> Transcriber:
    """A transcriber with model threads of its own over the shared weights, or over `weights`."""
    spread = parallelism or model.parallelism
    shared = SharedModel(model.whisper.model if weights is None else weights)
    if adapt_context:
        shared.encode_silence()
        if isinstance(weights, CountingModel):
            weights.forget()
    batcher: Batcher[Any, Any] = Batcher(
        wrap(shared.run), n_threads=spread.replicas, mix_lanes=mix_lanes, on_batch=on_batch
    )
    return Transcriber(model, batcher, spread, beam_size=beam_size, vad_filter=True, adapt_context=adapt_context)
