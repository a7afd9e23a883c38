"""What a caller may ask of one transcription, in the engine's terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Task = Literal["transcribe", "translate"]
Tier = Literal["realtime", "standard", "deferred"]


@dataclass(frozen=True, slots=True)
class Options:
    """One request's wishes; None means the server's own default.

    Attributes:
        task: `translate` always gives English.
        language: ISO 639-1 code of the speech; None = detect.
        languages: codes that detection may choose from; empty = all; one alone is `language` too.
        prompt: text that came before the audio; its last 223 tokens reach the model.
        hotwords: words to expect, shown to the model before every window.
        temperature: 0 = beam search, and repeatable retries of windows that fail their checks; above 0 = sampling.
        words: ask for a time and a probability for every word.
        logprobs: ask for the log-probability of every text token.
        vad_filter: skip audio without speech.
        max_speech_duration_s: cut speech into windows no longer than this.
        min_silence_duration_ms: a pause this long may end a window.
        vad_threshold: probability above which a frame counts as speech, 0..1.
        speech_pad_ms: silence kept on both sides of speech.
        tier: `realtime` is live text (quick, repeatable, never sampled), `deferred` can wait.
    """

    task: Task = "transcribe"
    language: str | None = None
    languages: tuple[str, ...] = ()
    prompt: str | None = None
    hotwords: str | None = None
    temperature: float = 0.0
    words: bool = False
    logprobs: bool = False
    vad_filter: bool | None = None
    max_speech_duration_s: float | None = None
    min_silence_duration_ms: float | None = None
    vad_threshold: float | None = None
    speech_pad_ms: float | None = None
    tier: Tier = "standard"
