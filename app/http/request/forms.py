"""Fields of a request -> Options: every spelling clients use, every wrong value named. Pure.

Unknown fields are ignored. Source: what the OpenAI SDKs, Vexa and popular clients really send; see
docs/api.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.core import languages
from app.core.errors import InvalidRequest, UnsupportedValue
from app.core.options import Options, Task, Tier
from app.http.request import chunking
from app.http.request import fields as read
from app.http.request.fields import Fields
from app.http.response.formats import ResponseFormat

FORMATS: tuple[ResponseFormat, ...] = ("json", "text", "srt", "verbose_json", "vtt")
# The bodies that have a place for them.
LOGPROB_FORMATS: tuple[ResponseFormat, ...] = ("json", "verbose_json")
GRANULARITIES = ("word", "segment")
INCLUDES = ("logprobs",)
TASKS: tuple[Task, ...] = ("transcribe", "translate")
# Control characters have no business in a prompt; line breaks are spoken of as spaces.
CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")
# The model sees the last 223 tokens; nobody's 223 tokens are longer than this.
PROMPT_CHARACTERS = 4000
MAX_NUMBER = 1e6


@dataclass(frozen=True, slots=True)
class TranscriptionForm:
    """What a request asks for, beside its audio."""

    model: str
    options: Options
    response_format: ResponseFormat
    words: bool
    segments: bool
    stream: bool


def parse(
    fields: Fields,
    *,
    default_format: ResponseFormat = "verbose_json",
    tier_header: str | None = None,
    task: Task | None = None,
) -> TranscriptionForm:
    """Read the fields of a transcription or translation request.

    Args:
        fields: names and values in the order they came.
        default_format: the body when `response_format` is absent or blank.
        tier_header: the X-Transcription-Tier header; the field wins.
        task: fixed by the route; None lets the `task` field choose.
    Raises:
        InvalidRequest: the parameter, its value and what is allowed.
    """
    model = read.text(fields, "model")
    if model is None:
        raise InvalidRequest("model: required; any name is accepted, for example whisper-1.", param="model")
    granularities = _granularities(fields)
    words = "word" in granularities.values
    stream = read.boolean(fields, "stream") or False
    response_format = _response_format(read.text(fields, "response_format"), default_format)
    return TranscriptionForm(
        model=model,
        options=_options(
            fields,
            task=task or _task(fields),
            words=words,
            logprobs=_logprobs(fields, response_format, stream=stream),
            tier=tier_of(read.text(fields, "transcription_tier") or tier_header),
        ),
        response_format=response_format,
        words=words,
        segments=not granularities.words_alone,
        stream=stream,
    )


def tier_of(value: str | None) -> Tier:
    """The lane a name stands for; anything but the two names of Vexa is ordinary traffic."""
    asked = (value or "").strip().lower()
    if asked == "realtime":
        return "realtime"
    return "deferred" if asked == "deferred" else "standard"


def _options(fields: Fields, *, task: Task, words: bool, logprobs: bool, tier: Tier) -> Options:
    vad = chunking.parse(fields)
    vad_filter = read.boolean(fields, "vad_filter")
    min_silence_ms = read.number(fields, "min_silence_duration_ms", low=0.0, high=MAX_NUMBER)
    if vad is not None:
        # who asks for server_vad asks for speech detection; the service's own names win
        vad_filter = True if vad_filter is None else vad_filter
        min_silence_ms = vad.silence_duration_ms if min_silence_ms is None else min_silence_ms
    language, candidates = _languages(fields)
    return Options(
        task=task,
        language=language,
        languages=candidates,
        prompt=_prompt(read.text(fields, "prompt")),
        hotwords=_hotwords(fields),
        temperature=read.number(fields, "temperature", low=0.0, high=1.0) or 0.0,
        words=words,
        logprobs=logprobs,
        vad_filter=vad_filter,
        max_speech_duration_s=read.number(fields, "max_speech_duration_s", low=0.0, high=MAX_NUMBER) or None,
        min_silence_duration_ms=min_silence_ms,
        vad_threshold=vad.threshold if vad else None,
        speech_pad_ms=vad.prefix_padding_ms if vad else None,
        tier=tier,
    )


def _languages(fields: Fields) -> tuple[str | None, tuple[str, ...]]:
    """The language, or the ones that detection may choose from; one candidate is the language."""
    language = languages.normalize(read.text(fields, "language") or "")
    try:
        named = [languages.normalize(each) for each in read.items(fields, "languages")]
    except InvalidRequest as exc:
        raise InvalidRequest(exc.message.replace("language:", "languages:", 1), param="languages") from None
    candidates = tuple(dict.fromkeys(each for each in named if each is not None))
    if language is not None:
        return language, ()
    # `auto` among them means that any language is possible
    if not candidates or None in named:
        return None, ()
    return (candidates[0] if len(candidates) == 1 else None), candidates


@dataclass(frozen=True, slots=True)
class _Granularities:
    values: frozenset[str]
    words_alone: bool  # asked in OpenAI's own spelling, which then leaves the segments out


def _granularities(fields: Fields) -> _Granularities:
    name = "timestamp_granularities"
    bracketed, bare = (
        [read.one_of(name, each.lower(), GRANULARITIES) for each in read.items_spelled(fields, name, bracketed=spelled)]
        for spelled in (True, False)
    )
    return _Granularities(frozenset(bracketed + bare), words_alone=set(bracketed) == {"word"} and not bare)


def _logprobs(fields: Fields, response_format: ResponseFormat, *, stream: bool) -> bool:
    asked = [read.one_of("include", each.lower(), INCLUDES) for each in read.items(fields, "include")]
    if asked and not stream and response_format not in LOGPROB_FORMATS:
        raise UnsupportedValue(
            f"include: 'logprobs' has no place in response_format={response_format}; "
            f"use one of {', '.join(LOGPROB_FORMATS)}, or stream=true.",
            param="include",
        )
    return bool(asked)


def _response_format(asked: str | None, default: ResponseFormat) -> ResponseFormat:
    if asked is None:
        return default
    if asked == "diarized_json":
        raise UnsupportedValue(
            "response_format: 'diarized_json' is not supported, because this server does not tell speakers apart; "
            f"use one of {', '.join(FORMATS)}.",
            param="response_format",
        )
    return read.one_of("response_format", asked, FORMATS)


def _task(fields: Fields) -> Task:
    asked = read.text(fields, "task")
    return "transcribe" if asked is None else read.one_of("task", asked.lower(), TASKS)


def _hotwords(fields: Fields) -> str | None:
    """The hot words, and OpenAI's keywords behind them: both are words to expect."""
    given = [read.text(fields, "hotwords"), ", ".join(read.items(fields, "keywords"))]
    return _prompt(", ".join(each for each in given if each))


def _prompt(value: str | None) -> str | None:
    return CONTROL.sub(" ", (value or "")[-PROMPT_CHARACTERS:]).strip() or None
