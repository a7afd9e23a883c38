"""The WhisperLive 0.10 protocol: the client's handshake, and every message of the gateway.

The stock client keeps a transcript only if the backend is called "faster_whisper", ignores messages
without its own uid, and reads one purpose per message, so each kind of message is its own class.
Unknown handshake fields are ignored, and unusable optional ones get their default: browsers, phones
and Vexa's bots each send a different subset.
Source: whisper_live 0.10.0 client.py and server.py; Vexa services/WhisperLive (February 2026).
"""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

END_OF_AUDIO = b"END_OF_AUDIO"
BACKEND = "faster_whisper"  # with any other name the stock client writes no transcript
MAX_UID_CHARS = 256

AudioFormat = Literal["float32", "int16", "uint8"]
BYTES_PER_SAMPLE: dict[AudioFormat, int] = {"float32": 4, "int16": 2, "uint8": 1}

_NO_LANGUAGE = {"", "auto", "unknown", "none", "null"}


class Handshake(BaseModel):
    """The handshake: the first text frame of a connection.

    Attributes:
        uid: repeated in every message; the gateway generates a missing one.
        language: ISO code, None to detect.
        send_last_n_segments: completed segments per message; 0 means all that are kept.
        no_speech_thresh: segments with a higher probability of no speech, and a low average log
            probability, are dropped.
        same_output_threshold, clip_audio, use_vad: accepted and ignored; the commit policy works in
            audio time and never clips audio.
        stats: ours: request a closing message with the stream's statistics.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    uid: str = ""
    language: str | None = None
    task: Literal["transcribe", "translate"] = "transcribe"
    model: str | None = None
    use_vad: bool = True
    send_last_n_segments: int = Field(default=10, ge=0, le=500)
    no_speech_thresh: float = Field(default=0.45, ge=0, le=1)
    clip_audio: bool = False
    same_output_threshold: int = 10
    enable_translation: bool = False
    target_language: str = "fr"
    hotwords: str | None = None
    enable_diarization: bool = False
    max_speakers: int = 10
    word_timestamps: bool = False
    initial_prompt: str | None = None
    audio_format: AudioFormat = "float32"
    # Vexa's bots
    platform: str | None = None
    meeting_url: str | None = None
    meeting_id: str | int | None = None
    token: str | None = Field(default=None, repr=False)
    transcription_tier: Literal["realtime", "deferred"] = "realtime"
    # ours
    stats: bool = False

    @property
    def is_vexa(self) -> bool:
        """Vexa's Meet and Teams bots wait for another form of READY."""
        return self.platform is not None or self.meeting_id is not None

    @field_validator("uid", mode="before")
    @classmethod
    def _uid(cls, value: Any) -> Any:
        """Accept integers as text, and nothing else, because the client compares the uid it gets back."""
        if value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ValueError("uid must be a string")  # noqa: TRY004  pydantic turns only ValueError into its own
        text = str(value)
        if len(text) > MAX_UID_CHARS:
            raise ValueError(f"uid is longer than {MAX_UID_CHARS} characters")
        if not _is_text(text):
            raise ValueError("uid contains half of a surrogate pair")
        return text

    @field_validator("language", mode="after")
    @classmethod
    def _language(cls, value: str | None) -> str | None:
        """Lower case; the words that clients use for detection become None."""
        code = (value or "")[:32].strip().lower()
        return None if code in _NO_LANGUAGE else code

    @field_validator("audio_format", mode="before")
    @classmethod
    def _audio_format(cls, value: Any) -> Any:
        """Refuse an unknown format, because guessing one would transcribe noise."""
        return "float32" if value is None else value

    @field_validator(
        "language",
        "model",
        "task",
        "send_last_n_segments",
        "no_speech_thresh",
        "use_vad",
        "clip_audio",
        "same_output_threshold",
        "enable_translation",
        "target_language",
        "hotwords",
        "enable_diarization",
        "max_speakers",
        "word_timestamps",
        "initial_prompt",
        "platform",
        "meeting_url",
        "meeting_id",
        "token",
        "transcription_tier",
        "stats",
        mode="wrap",
    )
    @classmethod
    def _lenient(cls, value: Any, handler: Any, info: ValidationInfo) -> Any:
        """Treat an unusable optional field as absent."""
        default = cls.model_fields[info.field_name or ""].default
        if isinstance(value, float) and not math.isfinite(value):
            return default
        if isinstance(value, str) and not _is_text(value):
            return default
        try:
            return handler(value)
        except ValueError:
            return default


def _is_text(value: str) -> bool:
    """Can it be encoded? JSON can contain half of a surrogate pair, UTF-8 cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


class Message(BaseModel):
    """Base class of the gateway's messages: the uid always comes first."""

    model_config = ConfigDict(frozen=True)

    uid: str

    def to_json(self) -> str:
        """The message as a text frame; fields without a value are left out."""
        return self.model_dump_json(exclude_none=True)


class Ready(Message):
    """The client may send audio; this form also names the backend."""

    message: Literal["SERVER_READY"] = "SERVER_READY"
    backend: str = BACKEND


class VexaReady(Message):
    """The form that Vexa's Meet and Teams bots read; sent before `Ready`, and only to them."""

    status: Literal["SERVER_READY"] = "SERVER_READY"


class Wait(Message):
    """The gateway is full, or the client has too many streams. `message` is the estimated wait in minutes."""

    status: Literal["WAIT"] = "WAIT"
    message: float


class Error(Message):
    """The connection cannot be served; the stock client gives up."""

    status: Literal["ERROR"] = "ERROR"
    message: str


class Warn(Message):
    """A warning for the user; the stock client prints it and continues."""

    status: Literal["WARNING"] = "WARNING"
    message: str


class Disconnect(Message):
    """The gateway ends the stream; the stock client stops recording."""

    message: Literal["DISCONNECT"] = "DISCONNECT"


class Language(Message):
    """The detected language, once per stream and before any segment, if the client requested detection."""

    language: str
    language_prob: float


class WordMessage(BaseModel):
    """One word of a segment, with times and probability as WhisperLive writes them."""

    model_config = ConfigDict(frozen=True)

    word: str
    start: str
    end: str
    probability: float


class SegmentMessage(BaseModel):
    """One segment of the transcript.

    Attributes:
        start, end: seconds since the connection's first sample, as strings with three decimals.
        text: with Whisper's leading space, without which the client merges two equal neighbours.
        completed: final; only the last segment of a message may not be.
    """

    model_config = ConfigDict(frozen=True)

    start: str
    end: str
    text: str
    completed: bool
    words: tuple[WordMessage, ...] | None = None
    language: str | None = None


class Transcript(Message):
    """The newest completed segments and at most one partial, which comes last; never an empty list."""

    segments: tuple[SegmentMessage, ...] = Field(min_length=1)


class Stats(Message):
    """Statistics of the stream, sent after the last segment if requested in the handshake; our own addition."""

    stats: dict[str, float]
