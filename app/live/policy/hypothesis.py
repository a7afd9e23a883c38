"""The words of one window with their times, read leniently from a transcription response. Pure.

app/contracts/openai.py describes the response. Only what a live stream needs is read, and nothing
that could become NaN in a client's JSON. If a segment has no words, it counts as one word, so the
rules work on it in the same way, only in larger steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.live.policy.spacing import spaced, spaced_words


@dataclass(frozen=True, slots=True)
class Word:
    """One word, or one segment without words; in seconds, with the text as the model wrote it.

    Attributes:
        ends_segment: the model ended a segment after this word.
    """

    start: float
    end: float
    text: str
    probability: float = 1.0
    ends_segment: bool = False

    @property
    def key(self) -> str:
        """What two hypotheses must share to agree: letters and digits, without case and punctuation."""
        return "".join(c for c in self.text.casefold() if c.isalnum()) or self.text.strip()

    def shifted(self, seconds: float) -> Word:
        """The same word, later by `seconds`."""
        return replace(self, start=self.start + seconds, end=self.end + seconds)

    def within(self, low: float, high: float) -> Word:
        """The same word with its times limited to [low, high]; if low is above high, low wins."""
        start = max(min(self.start, high), low)
        return replace(self, start=start, end=max(min(self.end, high), start))


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """The service's answer for one window, in seconds of that window.

    Attributes:
        language_probability: 0 if the service did not give one.
    """

    words: tuple[Word, ...]
    language: str | None = None
    language_probability: float = 0.0


class NoTranscript(ValueError):
    """The response is no transcript, not even an empty one."""


BAD_LOGPROB = -1.0  # Whisper's own threshold: below it, and likely no speech, a segment is noise


def from_body(body: Mapping[str, Any], *, no_speech_thresh: float, duration_s: float) -> Hypothesis:
    """Read a verbose_json response.

    Args:
        body: the decoded JSON object.
        no_speech_thresh: a segment with a higher probability of no speech is left out if its average
            log probability is low as well: a high value alone also marks words after a long silence.
        duration_s: length of the window; all times are limited to it.
    Raises:
        NoTranscript: it contains an error, or neither a text nor segments.
    """
    text, items = body.get("text"), body.get("segments")
    segments = [item for item in items if _is_segment(item)] if isinstance(items, list) else []
    if body.get("error") or not (segments or items == [] or isinstance(text, str)):
        raise NoTranscript
    words: list[Word] = []
    for segment in segments:
        if segment["text"].strip() and not _is_noise(segment, no_speech_thresh):
            first, *rest = _segment_words(segment, duration_s)
            words += [replace(first, text=spaced(words[-1].text if words else "", first.text)), *rest]
    if isinstance(text, str) and text.strip() and not any(segment["text"].strip() for segment in segments):
        words = [Word(0.0, duration_s, spaced("", _encodable(text).strip()), ends_segment=True)]
    language = body.get("language")
    return Hypothesis(
        words=tuple(_in_order(words)),
        language=_encodable(language) if isinstance(language, str) and language else None,
        language_probability=_number(body.get("language_probability"), 0.0, 1.0, default=0.0),
    )


def _is_segment(item: object) -> bool:
    """Does it have a text, even a blank one?"""
    return isinstance(item, Mapping) and isinstance(item.get("text"), str)


def _encodable(text: str) -> str:
    """The text with lone surrogates replaced: JSON can contain them, UTF-8 cannot."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _segment_words(segment: Mapping[str, Any], duration_s: float) -> list[Word]:
    """The words of a segment that is not blank; the segment as one word if it has none."""
    text = _encodable(segment["text"])
    start = _number(segment.get("start"), 0.0, duration_s, default=0.0)
    end = _number(segment.get("end"), start, duration_s, default=duration_s)
    words = list(_words(segment.get("words"), start, end, duration_s))
    if not words:
        return [Word(start, end, text, ends_segment=True)]
    texts = spaced_words([word.text for word in words], text)
    words = [replace(word, text=piece) for word, piece in zip(words, texts, strict=True)]
    return [*words[:-1], replace(words[-1], ends_segment=True)]


def _words(items: object, start: float, end: float, duration_s: float) -> Iterator[Word]:
    if not isinstance(items, Sequence) or isinstance(items, str):
        return
    for item in items:
        text = item.get("word") if isinstance(item, Mapping) else None
        if not isinstance(text, str) or not text.strip():
            continue
        word_start = _number(item.get("start"), 0.0, duration_s, default=start)
        word_end = _number(item.get("end"), word_start, duration_s, default=end)
        yield Word(word_start, word_end, _encodable(text), _number(item.get("probability"), 0.0, 1.0, default=1.0))


def _in_order(words: list[Word]) -> Iterator[Word]:
    """The words with times that never go back: models sometimes overlap segments."""
    reached = 0.0
    for word in words:
        start = max(word.start, reached)
        reached = max(start, word.end)
        yield replace(word, start=start, end=reached)


def _is_noise(segment: Mapping[str, Any], no_speech_thresh: float) -> bool:
    no_speech = _number(segment.get("no_speech_prob"), 0.0, 1.0, default=0.0)
    logprob = _number(segment.get("avg_logprob"), -100.0, 0.0, default=0.0)
    return no_speech > no_speech_thresh and logprob < BAD_LOGPROB


def _number(value: object, low: float, high: float, *, default: float) -> float:
    """`value` within [low, high]; anything that is not a finite number is the default."""
    try:
        number = math.nan if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
    except OverflowError:  # an integer of hundreds of digits
        return default
    return min(max(number, low), max(high, low)) if math.isfinite(number) else default
