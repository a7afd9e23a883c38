"""The engine's results, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from app.core.options import Lane

Suspect = Literal["repetition", "silence", "boilerplate"]


@dataclass(frozen=True, slots=True)
class Word:
    """One word as the model wrote it, leading space included; times in seconds of the upload."""

    start: float
    end: float
    word: str
    probability: float


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One text token as the model wrote it and the natural logarithm of its probability."""

    token: str
    logprob: float
    utf8: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech; times in seconds from the start of the upload, end > start.

    Attributes:
        seek: first frame (10 ms) of the window that held the segment.
        text: as the model wrote it, leading space included.
        words: None unless the request has `words`.
        logprobs: None unless the request has `logprobs`.
        speech_prob: mean probability of speech over the segment, 0..1, as voice activity detection hears it.
        suspect: why the text may be wrong; None if nothing speaks against it.
        language: of the segment's window; None = the language of the audio.
    """

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: tuple[int, ...]
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    temperature: float
    words: tuple[Word, ...] | None = None
    logprobs: tuple[TokenLogprob, ...] | None = None
    speech_prob: float = 1.0
    suspect: Suspect | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Timings:
    """How long the stages of one request took, in seconds of wall clock."""

    audio_decode_s: float = 0.0
    queue_s: float = 0.0
    model_s: float = 0.0


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """Length and language of the audio, known before any text.

    Attributes:
        lane: in which the engine serves the request; None if it found no speech. Not a part of the transcript.
    """

    language: str
    language_probability: float
    duration_s: float
    lane: Lane | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Transcript:
    """A whole transcript. `info.duration_s` is the length of the audio, not of the speech in it."""

    info: AudioInfo
    segments: tuple[Segment, ...]
    timings: Timings = Timings()

    @property
    def text(self) -> str:
        """The segments' texts joined, without white space at the ends."""
        return "".join(segment.text for segment in self.segments).strip()


@dataclass(slots=True)
class TranscriptBuilder:
    """Collects a transcript from the engine's events; Progress is ignored."""

    info: AudioInfo = field(default_factory=lambda: AudioInfo("en", 0.0, 0.0))
    segments: list[Segment] = field(default_factory=list)
    timings: Timings = field(default_factory=Timings)

    def add(self, event: object) -> None:
        """Add one event of the engine."""
        match event:
            case Segment():
                self.segments.append(event)
            case AudioInfo():
                self.info = event
            case Timings():
                self.timings = event

    def transcript(self) -> Transcript:
        """The transcript of the events so far."""
        return Transcript(info=self.info, segments=tuple(self.segments), timings=self.timings)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running transcription has come, in seconds of audio."""

    done_s: float
    total_s: float
