"""Fields of a request -> Options: every spelling clients use, every wrong value named. Pure.

Blank means absent, unknown fields are ignored, a field sent twice counts the last time (lists
gather). Source: what the OpenAI SDKs, Vexa and popular clients really send; see docs/api.md.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from app import languages
from app.errors import InvalidRequest, UnsupportedValue
from app.formats import ResponseFormat
from app.options import Options, Task, Tier

T = TypeVar("T")

FORMATS: tuple[ResponseFormat, ...] = ("json", "text", "srt", "verbose_json", "vtt")
GRANULARITIES = ("word", "segment")
TASKS: tuple[Task, ...] = ("transcribe", "translate")
TRUE = frozenset({"true", "1", "yes", "on", "y", "t"})
FALSE = frozenset({"false", "0", "no", "off", "n", "f"})
# name, name[] and name[0] are the same list.
LIST_NAME = re.compile(r"^(?P<name>[a-z_]+)\[\d*\]$")
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


def parse(
    fields: Sequence[tuple[str, str]],
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
    values = dict(fields)
    model = _text(values.get("model"))
    if model is None:
        raise InvalidRequest("model: required; any name is accepted, for example whisper-1.", param="model")
    granularities = _granularities(fields)
    words = "word" in granularities.values
    return TranscriptionForm(
        model=model,
        options=Options(
            task=task or _choice(values, "task", TASKS) or "transcribe",
            language=languages.normalize(values.get("language", "")),
            prompt=_prompt(values.get("prompt")),
            hotwords=_prompt(values.get("hotwords")),
            temperature=_number(values, "temperature", low=0.0, high=1.0) or 0.0,
            words=words,
            vad_filter=_boolean(values, "vad_filter"),
            max_speech_duration_s=_number(values, "max_speech_duration_s", low=0.0, high=MAX_NUMBER) or None,
            min_silence_duration_ms=_number(values, "min_silence_duration_ms", low=0.0, high=MAX_NUMBER),
            tier=_tier(values.get("transcription_tier") or tier_header),
        ),
        response_format=_response_format(values.get("response_format"), default_format),
        words=words,
        segments=not granularities.words_alone,
    )


@dataclass(frozen=True, slots=True)
class _Granularities:
    values: frozenset[str]
    words_alone: bool  # asked in OpenAI's own spelling, which then leaves the segments out


def _granularities(fields: Sequence[tuple[str, str]]) -> _Granularities:
    bracketed = _list(fields, "timestamp_granularities", bracketed=True)
    bare = _list(fields, "timestamp_granularities", bracketed=False)
    for value in bracketed + bare:
        if value not in GRANULARITIES:
            raise _not_one_of("timestamp_granularities", value, GRANULARITIES)
    return _Granularities(frozenset(bracketed + bare), words_alone=set(bracketed) == {"word"} and not bare)


def _list(fields: Sequence[tuple[str, str]], name: str, *, bracketed: bool) -> list[str]:
    """Gather a list from repeated parts, a JSON array, or commas."""
    gathered: list[str] = []
    for key, value in fields:
        match = LIST_NAME.match(key)
        if (match["name"] if match else key) == name and bool(match) == bracketed:
            gathered.extend(_items(value, name))
    return gathered


def _items(value: str, name: str) -> list[str]:
    value = value.strip()
    if not value.startswith("["):
        return [item.strip().lower() for item in value.split(",") if item.strip()]
    try:
        items = json.loads(value)
    except (ValueError, RecursionError):
        raise InvalidRequest(f"{name}: {_shown(value)} is not a JSON array.", param=name) from None
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise InvalidRequest(f"{name}: {_shown(value)} is not a list of strings.", param=name)
    return [item.strip().lower() for item in items if item.strip()]


def _response_format(value: str | None, default: ResponseFormat) -> ResponseFormat:
    asked = _text(value)
    if asked is None:
        return default
    if asked == "diarized_json":
        raise UnsupportedValue(
            "response_format: 'diarized_json' is not supported, because this server does not tell speakers apart; "
            f"use one of {', '.join(FORMATS)}.",
            param="response_format",
        )
    return _one_of("response_format", asked, FORMATS)


def _choice(values: dict[str, str], name: str, allowed: tuple[Task, ...]) -> Task | None:
    asked = _text(values.get(name))
    return None if asked is None else _one_of(name, asked.lower(), allowed)


def _one_of(name: str, value: str, allowed: tuple[T, ...]) -> T:
    for candidate in allowed:
        if candidate == value:
            return candidate
    raise _not_one_of(name, value, tuple(str(each) for each in allowed))


def _not_one_of(name: str, value: str, allowed: tuple[str, ...]) -> InvalidRequest:
    return InvalidRequest(f"{name}: {_shown(value)} is not one of {', '.join(allowed)}.", param=name)


def _number(values: dict[str, str], name: str, *, low: float, high: float) -> float | None:
    asked = _text(values.get(name))
    if asked is None:
        return None
    number = _parsed(asked, float)
    if number is None or not math.isfinite(number) or not low <= number <= high:
        raise InvalidRequest(f"{name}: {_shown(asked)} is not a number from {low:g} to {high:g}.", param=name)
    return number


def _boolean(values: dict[str, str], name: str) -> bool | None:
    asked = _text(values.get(name))
    if asked is None:
        return None
    if asked.lower() in TRUE | FALSE:
        return asked.lower() in TRUE
    raise InvalidRequest(f"{name}: {_shown(asked)} is not true or false.", param=name)


def _tier(value: str | None) -> Tier:
    """Anything but the two names of Vexa is ordinary traffic."""
    asked = (value or "").strip().lower()
    if asked == "realtime":
        return "realtime"
    return "deferred" if asked == "deferred" else "standard"


def _prompt(value: str | None) -> str | None:
    return CONTROL.sub(" ", (value or "")[-PROMPT_CHARACTERS:]).strip() or None


def _text(value: str | None) -> str | None:
    return (value or "").strip() or None


def _parsed(value: str, kind: Callable[[str], float]) -> float | None:
    try:
        return kind(value)
    except ValueError:
        return None


def _shown(value: str) -> str:
    return repr(value[:60])
