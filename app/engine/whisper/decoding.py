"""A caller's wishes -> how its windows are decoded: tries, prompt, hot words. Pure.

Everything that decides which windows may share a decoding call stands here, so it is kept coarse:
most traffic has no prompt and the same options, and lands in one batch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import TranscriptionOptions, get_suppressed_tokens

from app.core.options import Options

# Half of the decoder's 448 positions hold what came before; hot words may take half of those.
PROMPT_TOKENS = 223
HOTWORD_TOKENS = 111
# Prompts of one length share a decoding call, so they are trimmed to one of these.
PROMPT_BUCKETS = (0, 8, 16, 32, 64, 96, 128, 160, 192, PROMPT_TOKENS)
# 0 = beam search; the others name the tries after it. Repeatable text has two (see `calls.RUNGS`).
REPEATABLE_LADDER = (0.0, 0.2, 0.4)
LADDER_STEP = 0.2
# Whisper's control tokens have no business in a caller's text.
CONTROL_TOKEN = re.compile(r"<\|[^|>]*\|>")


@dataclass(frozen=True, slots=True)
class Decoding:
    """What every window of one upload is decoded with."""

    tokenizer: Tokenizer
    options: TranscriptionOptions
    prompt_tokens: tuple[int, ...]


def decoding_of(options: Options, tokenizer: Tokenizer, *, beam_size: int) -> Decoding:
    """faster-whisper's options for one upload; the tokenizer has its language and task."""
    hotwords = _tokens(options.hotwords, tokenizer)[:HOTWORD_TOKENS]
    prompt = _tokens(options.prompt, tokenizer)
    return Decoding(
        tokenizer=tokenizer,
        options=TranscriptionOptions(
            beam_size=beam_size,
            best_of=5,
            patience=1,
            length_penalty=1,
            repetition_penalty=1,
            no_repeat_ngram_size=0,
            log_prob_threshold=-1.0,
            no_speech_threshold=0.6,
            compression_ratio_threshold=2.4,
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
            max_new_tokens=None,
            clip_timestamps="0",
            hallucination_silence_threshold=None,
            hotwords=tokenizer.decode(hotwords).strip() or None,
        ),
        prompt_tokens=fitted(prompt, len(hotwords)),
    )


def temperatures(options: Options) -> tuple[float, ...]:
    """The tries a window may be given, in order; above 0 only where the caller asked for sampling."""
    if options.tier == "realtime":
        return (0.0,)  # live text is quick and repeatable, whatever its client sends along
    if options.temperature == 0:
        return REPEATABLE_LADDER
    n_steps = int(round((1.0 - options.temperature) / LADDER_STEP, 6)) + 1
    return tuple(round(options.temperature + step * LADDER_STEP, 2) for step in range(n_steps))


def fitted(prompt: list[int], n_hotwords: int) -> tuple[int, ...]:
    """The end of the prompt, as long as hot words leave room and a bucket allows."""
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
