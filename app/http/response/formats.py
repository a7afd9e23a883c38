"""Render a transcript as json, verbose_json, text, srt or vtt. Pure.

Times are whole milliseconds, every span is at least a millisecond long, and no number is NaN or infinite:
clients drop segments without length, and strict JSON parsers reject the whole body.
Source: OpenAI's bodies as the SDKs read them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from app.contracts.openai import (
    LanguageBody,
    LogprobBody,
    SegmentBody,
    SegmentWordBody,
    TranscriptionJson,
    TranscriptionVerbose,
    UsageDuration,
    WordBody,
)
from app.core import languages, subtitles
from app.core.options import Task
from app.core.times import bounded, span_ms, to_ms
from app.core.transcript import AudioInfo, Segment, Transcript, Word

ResponseFormat = Literal["json", "text", "srt", "verbose_json", "vtt"]
LanguageStyle = Literal["code", "name"]

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_TEXT_TYPE: Final = "text/plain; charset=utf-8"  # also for srt and vtt: the .NET SDK rejects other types
_JSON_TYPE: Final = "application/json"
_SCORE_LIMIT: Final = 1_000.0  # far outside what a log-probability or a compression ratio can be


def _encode_text(text: str) -> bytes:
    # a lone surrogate has no UTF-8 form; one odd character must not fail the whole answer
    return text.encode("utf-8", errors="replace")


def encode_json(body: Mapping[str, object]) -> bytes:
    """Compact JSON in UTF-8.

    Raises:
        ValueError: a number is NaN or infinite; everything rendered here is finite.
    """
    return _encode_text(_ENCODER.encode(body))


def _encode_with_lists(
    head: Mapping[str, object], lists: Mapping[str, Iterable[Sequence[Mapping[str, object]]]]
) -> bytes:
    """The bytes of one JSON object: `head`, then each list, whose items come in batches.

    Encoding hours of words in one call would block the interpreter, and so the event loop.
    """
    parts = [_ENCODER.encode(head)[:-1]]
    for key, batches in lists.items():
        items = ",".join(_ENCODER.encode(batch)[1:-1] for batch in batches if batch)
        parts.append(f',"{key}":[{items}]')
    return _encode_text("".join([*parts, "}"]))


def rounded_s(time_s: float) -> float:
    """Seconds as in every body: finite, not negative, whole milliseconds."""
    return to_ms(time_s) / 1000


def span_s(segment: Segment) -> tuple[float, float]:
    """A segment's start and end in seconds, as in every body."""
    start_ms, end_ms = span_ms(segment.start, segment.end)
    return start_ms / 1000, end_ms / 1000


def _word_spans_ms(segment: Segment) -> Iterator[tuple[Word, int, int]]:
    """Each word with its span: at least a millisecond long, and inside its segment."""
    first_ms, last_ms = span_ms(segment.start, segment.end)
    for word in segment.words or ():
        start_ms = min(max(to_ms(word.start), first_ms), last_ms - 1)
        yield word, start_ms, min(max(to_ms(word.end), start_ms + 1), last_ms)


def _usage(transcript: Transcript) -> UsageDuration:
    # rounded to milliseconds first: 8.0000001 s are 8 s, not 9
    return {"type": "duration", "seconds": math.ceil(to_ms(transcript.info.duration_s) / 1000)}


def language_bodies(info: AudioInfo) -> list[LanguageBody]:
    """The language of the audio as a list, as gpt-transcribe sends it; empty if there was no speech to detect it."""
    return [{"code": info.language}] if info.language_probability else []


def _json_body(transcript: Transcript, task: Task) -> TranscriptionJson:
    if task == "translate":  # OpenAI's translations have no languages
        return {"text": transcript.text, "usage": _usage(transcript)}
    return {"text": transcript.text, "languages": language_bodies(transcript.info), "usage": _usage(transcript)}


def _shown(language: str, style: LanguageStyle) -> str:
    return languages.name(language) if style == "name" else language


def _verbose_head(transcript: Transcript, task: Task, style: LanguageStyle) -> TranscriptionVerbose:
    info = transcript.info
    return {
        "task": task,
        "language": _shown(info.language, style),
        "language_probability": bounded(info.language_probability, 0.0, 1.0),
        "duration": to_ms(info.duration_s) / 1000,
        "text": transcript.text,
        "usage": _usage(transcript),
    }


def _segment_word_bodies(segment: Segment) -> list[SegmentWordBody]:
    return [
        {
            "word": word.word,
            "start": start_ms / 1000,
            "end": end_ms / 1000,
            "probability": bounded(word.probability, 0.0, 1.0),
        }
        for word, start_ms, end_ms in _word_spans_ms(segment)
    ]


def _word_bodies(segment: Segment) -> list[WordBody]:
    return [
        {"word": bare, "start": start_ms / 1000, "end": end_ms / 1000}
        for word, start_ms, end_ms in _word_spans_ms(segment)
        if (bare := word.word.strip())
    ]


def _segment_body(segment: Segment, *, words: bool, language: str) -> SegmentBody:
    start_ms, end_ms = span_ms(segment.start, segment.end)
    body: SegmentBody = {
        "id": segment.id,
        "seek": segment.seek,
        "start": start_ms / 1000,
        "end": end_ms / 1000,
        "text": segment.text,
        "tokens": list(segment.tokens),
        "temperature": bounded(segment.temperature, 0.0, 1.0),
        "avg_logprob": bounded(segment.avg_logprob, -_SCORE_LIMIT, 0.0),
        "compression_ratio": bounded(segment.compression_ratio, 0.0, _SCORE_LIMIT),
        "no_speech_prob": bounded(segment.no_speech_prob, 0.0, 1.0),
        "speech_prob": bounded(segment.speech_prob, 0.0, 1.0),
        "suspect": segment.suspect,
        "language": language,
        "audio_start": start_ms / 1000,
        "audio_end": end_ms / 1000,
    }
    if words:
        body["words"] = _segment_word_bodies(segment)
    return body


def logprob_bodies(segments: Iterable[Segment]) -> list[LogprobBody]:
    """Every text token of these segments with its log-probability."""
    return [
        {"token": each.token, "logprob": bounded(each.logprob, -_SCORE_LIMIT, 0.0), "bytes": list(each.utf8)}
        for segment in segments
        for each in segment.logprobs or ()
    ]


def _verbose_lists(
    transcript: Transcript, *, words: bool, segments: bool, logprobs: bool, style: LanguageStyle
) -> dict[str, Iterable[Sequence[Mapping[str, object]]]]:
    lists: dict[str, Iterable[Sequence[Mapping[str, object]]]] = {}
    if segments:
        lists["segments"] = (
            [_segment_body(each, words=words, language=_shown(each.language or transcript.info.language, style))]
            for each in transcript.segments
        )
    if words:
        lists["words"] = (_word_bodies(segment) for segment in transcript.segments)
    if logprobs:
        lists["logprobs"] = (logprob_bodies([segment]) for segment in transcript.segments)
    return lists


@dataclass(frozen=True, slots=True)
class Rendering:
    """A response body, ready to send."""

    body: bytes
    media_type: str


def render(
    transcript: Transcript,
    *,
    response_format: ResponseFormat,
    task: Task,
    words: bool,
    segments: bool,
    language_style: LanguageStyle,
    logprobs: bool = False,
) -> Rendering:
    """Render a transcript.

    Hours of speech take tenths of a second: call it on a thread when the transcript is long.

    Args:
        transcript: the engine's result.
        response_format: one of OpenAI's five.
        task: repeated in verbose_json.
        words: include words, in the segments and at the top level; verbose_json only.
        segments: include the list of segments; verbose_json only.
        language_style: `code` for "en", `name` for "english"; verbose_json only.
        logprobs: include the log-probabilities of the text tokens; json and verbose_json only.
    """
    match response_format:
        case "json":
            short = _json_body(transcript, task)
            if logprobs:
                short["logprobs"] = logprob_bodies(transcript.segments)
            return Rendering(encode_json(short), _JSON_TYPE)
        case "verbose_json":
            head = _verbose_head(transcript, task, language_style)
            lists = _verbose_lists(transcript, words=words, segments=segments, logprobs=logprobs, style=language_style)
            return Rendering(_encode_with_lists(head, lists), _JSON_TYPE)
        case "text":
            return Rendering(_encode_text(transcript.text + "\n"), _TEXT_TYPE)
        case "srt":
            return Rendering(_encode_text(subtitles.srt(transcript.segments)), _TEXT_TYPE)
        case "vtt":
            return Rendering(_encode_text(subtitles.vtt(transcript.segments)), _TEXT_TYPE)
