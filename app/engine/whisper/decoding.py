"""A request's options as decoding options: tries, prompt, hot words. Pure.

Only windows with the same options and prompt length can share a decoding call, so there are few
variants: most traffic has no prompt and the same options, and shares batches.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import TranscriptionOptions, get_suppressed_tokens

from app.core.options import Options

# Whisper's own limits: text beyond them is retried.
MAX_COMPRESSION_RATIO = 2.4
MIN_AVG_LOGPROB = -1.0
# Half of the decoder's 448 positions hold what came before; hot words may take half of those.
PROMPT_TOKENS = 223
HOTWORD_TOKENS = 111
# Prompts of one length share a decoding call, so they are trimmed to one of these.
PROMPT_BUCKETS = (0, 8, 16, 32, 64, 96, 128, 160, 192, PROMPT_TOKENS)
# What replaces sampling when a window fails its checks and the caller wants repeatable text: the temperature
# that faster-whisper asks for -> options of the try. CTranslate2 draws from one random generator for the whole
# process, so a sampled text depends on the other requests. Forbidding repetition cures repetition; decision 0002
# has the measurements.
FALLBACK_STEPS: dict[float, dict[str, Any]] = {
    0.2: {"repetition_penalty": 1.1, "no_repeat_ngram_size": 4},
    0.4: {"repetition_penalty": 1.3, "no_repeat_ngram_size": 3, "beam_size": 1},
}
# Live windows are decoded once a second: beam width 1 has the error rate of 5 on them, docs/accuracy.md. Short ones
# are the exception (digits, commands): they get the whole search, with room for faster speech than anyone's, because
# a loop up to the model's own limit takes a second.
REALTIME_BEAM_SIZE = 1
REALTIME_SHORT_S = 4.0
REALTIME_SHORT_TOKENS = 64
# Between the tries of a caller who asked for sampling.
SAMPLING_STEP = 0.2
# Whisper's control tokens are removed from a caller's text.
CONTROL_TOKEN = re.compile(r"<\|[^|>]*\|>")


@dataclass(frozen=True, slots=True)
class Decoding:
    """How every window of one upload is decoded."""

    tokenizer: Tokenizer
    options: TranscriptionOptions
    prompt_tokens: tuple[int, ...]


def beam_of(options: Options, server_beam: int, *, audio_s: float) -> int:
    """The beam width of a request: its own, else that of live text, else the server's."""
    if options.beam_size is not None:
        return options.beam_size
    return REALTIME_BEAM_SIZE if options.tier == "realtime" and audio_s >= REALTIME_SHORT_S else server_beam


def decoding_of(options: Options, tokenizer: Tokenizer, *, server_beam: int, audio_s: float) -> Decoding:
    """faster-whisper's options for one upload.

    Args:
        options: of the request.
        tokenizer: has its language and task.
        server_beam: beam width of all but long live windows, unless the request names one.
        audio_s: length of the upload.
    """
    hotwords = _tokens(options.hotwords, tokenizer)[:HOTWORD_TOKENS]
    prompt = _tokens(options.prompt, tokenizer)
    live = options.tier == "realtime"
    short = live and audio_s < REALTIME_SHORT_S
    return Decoding(
        tokenizer=tokenizer,
        options=TranscriptionOptions(
            beam_size=beam_of(options, server_beam, audio_s=audio_s),
            best_of=5,
            patience=1,
            length_penalty=1,
            repetition_penalty=1,
            no_repeat_ngram_size=0,
            log_prob_threshold=MIN_AVG_LOGPROB,
            no_speech_threshold=0.6,
            compression_ratio_threshold=MAX_COMPRESSION_RATIO,
            condition_on_previous_text=False,
            prompt_reset_on_temperature=0.5,
            temperatures=list(temperatures(options)),
            initial_prompt=None,
            prefix=None,
            suppress_blank=True,
            suppress_tokens=get_suppressed_tokens(tokenizer, [-1]),
            without_timestamps=False,
            max_initial_timestamp=1.0,
            word_timestamps=options.words,
            prepend_punctuations="\"'“¿([{-",
            append_punctuations="\"'.。,，!！?？:：”)]}、",
            multilingual=False,
            max_new_tokens=REALTIME_SHORT_TOKENS if short else None,
            clip_timestamps="0",
            hallucination_silence_threshold=None,
            hotwords=tokenizer.decode(hotwords).strip() or None,
        ),
        prompt_tokens=fitted(prompt, len(hotwords)),
    )


def temperatures(options: Options) -> tuple[float, ...]:
    """The temperatures of a window's tries, in order; sampled only if the caller asked for it."""
    if options.tier == "realtime":
        return (0.0,)  # live text is quick and repeatable, whatever temperature was sent
    if options.temperature == 0:
        return (0.0, *FALLBACK_STEPS)
    n_steps = int(round((1.0 - options.temperature) / SAMPLING_STEP, 6)) + 1
    return tuple(round(options.temperature + step * SAMPLING_STEP, 2) for step in range(n_steps))


def fitted(prompt: list[int], n_hotwords: int) -> tuple[int, ...]:
    """The end of the prompt, as long as the hot words leave room for and a bucket allows."""
    room = PROMPT_TOKENS - n_hotwords
    wanted = min(len(prompt), room) + n_hotwords
    length = max(bucket for bucket in PROMPT_BUCKETS if bucket <= wanted) - n_hotwords
    # hot words alone may be longer than the bucket below them; a short prompt is then kept as it is
    length = length if length > 0 else min(len(prompt), room)
    return tuple(prompt[len(prompt) - length :])


def choose_language(found: list[tuple[str, float]], allowed: tuple[str, ...]) -> tuple[str, float]:
    """The likeliest language, of the allowed ones if any are named. `found`: (token, probability)."""
    candidates = [(token[2:-2], float(probability)) for token, probability in found]
    wanted = [candidate for candidate in candidates if candidate[0] in allowed] or candidates
    return max(wanted, key=lambda candidate: candidate[1])


def plain(text: str) -> str:
    """A caller's text without Whisper's control tokens."""
    return CONTROL_TOKEN.sub(" ", text).strip()


def _tokens(text: str | None, tokenizer: Tokenizer) -> list[int]:
    words = plain(text or "")
    return list(tokenizer.encode(" " + words)) if words else []
