"""The options of one transcription, as the engine takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Task = Literal["transcribe", "translate"]
Tier = Literal["realtime", "standard", "deferred"]
# The order of service inside the engine; it follows from the tier and the length of the audio.
Lane = Literal["live", "short", "long", "deferred"]


@dataclass(frozen=True, slots=True)
class Options:
    """Options of one request; None means the server's default.

    Attributes:
        task: `translate` always gives English.
        language: ISO 639-1 code of the speech; None = detect.
        languages: codes that detection may choose from; empty = all. If there is only one, `language` is set too.
        prompt: text that came before the audio; its last 223 tokens reach the model.
        hotwords: words to expect, shown to the model before every window.
        temperature: 0 = beam search, and repeatable retries of windows that fail their checks; above 0 = sampling.
        beam_size: beam width, 1..10; None = 1 for `realtime`, else the setting BEAM_SIZE.
        words: give every word its times and its probability.
        logprobs: give every text token its log-probability.
        vad_filter: leave out audio without speech (voice activity detection).
        max_speech_duration_s: cut speech into windows no longer than this.
        min_silence_duration_ms: a pause this long may end a window.
        vad_threshold: probability above which a frame counts as speech, 0..1.
        speech_pad_ms: silence kept on both sides of speech.
        tier: `realtime` is live text: one try per window, never sampled, and before other requests if the
            audio is one window. `deferred` can wait.
    """

    task: Task = "transcribe"
    language: str | None = None
    languages: tuple[str, ...] = ()
    prompt: str | None = None
    hotwords: str | None = None
    temperature: float = 0.0
    beam_size: int | None = None
    words: bool = False
    logprobs: bool = False
    vad_filter: bool | None = None
    max_speech_duration_s: float | None = None
    min_silence_duration_ms: float | None = None
    vad_threshold: float | None = None
    speech_pad_ms: float | None = None
    tier: Tier = "standard"
