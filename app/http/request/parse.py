"""Turn the fields of a request into the engine's options, or into an error that names the field. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_origin

from pydantic import ValidationError

from app.core.errors import InvalidRequest, UnsupportedValue
from app.core.options import Options, Task, Tier
from app.http.request import fields as read
from app.http.request.fields import Fields, shown
from app.http.request.options import DOCUMENTED, Schema, TranscriptionRequest, one_line, tier_of
from app.http.response.formats import ResponseFormat

# The bodies that can hold log-probabilities.
_NOUNS = {"boolean": "true or false", "number": "a number", "integer": "a whole number", "string": "a text"}
LOGPROB_FORMATS: tuple[ResponseFormat, ...] = ("json", "verbose_json")


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """What a client requested, beside its audio.

    Attributes:
        words: verbose_json holds word times.
        segments: verbose_json holds the list of segments.
    """

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
) -> ParsedRequest:
    """Read the fields of a transcription or translation request.

    Args:
        fields: names and values in the order in which they arrived.
        default_format: used when `response_format` is absent or blank.
        tier_header: the X-Transcription-Tier header; the field takes precedence.
        task: fixed by the route; None lets the `task` field choose.
    Raises:
        InvalidRequest: with the field, its value and what is allowed.
    """
    request = validate(fields if task is None else [*fields, ("task", task)])
    response_format = request.response_format or default_format
    stream = bool(request.stream)
    return ParsedRequest(
        model=request.model,
        options=_options(
            request,
            logprobs=_logprobs(request, response_format, stream=stream),
            tier=request.transcription_tier or tier_of(tier_header),
        ),
        response_format=response_format,
        words="word" in request.timestamp_granularities,
        segments=not _words_alone(fields),
        stream=stream,
    )


def validate(fields: Fields) -> TranscriptionRequest:
    """Check every field.

    Raises:
        InvalidRequest: with the first field that is wrong, its value and what is allowed.
    """
    values: dict[str, Any] = {"model": ""}  # an absent model fails as a blank one does
    for name, field in TranscriptionRequest.model_fields.items():
        is_list = get_origin(field.annotation) is tuple
        value = tuple(read.items(fields, name)) if is_list else read.text(fields, name)
        if value is not None:
            values[name] = value
    # the one object among the fields also arrives as one field for each of its keys
    if keys := read.keys(fields, "chunking_strategy"):
        values["chunking_strategy"] = keys
    try:
        return TranscriptionRequest.model_validate(values)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        raise _explain([str(step) for step in first["loc"]], first["type"], str(first["input"])) from None


def _explain(path: list[str], kind: str, value: str) -> InvalidRequest:
    """A pydantic error in words: the field, its value and what is allowed.

    Args:
        path: the field, then the key or the number of the item at fault, if there is one.
        kind: pydantic's name for the error.
        value: as it was sent.
    """
    name = path[0]
    schema = DOCUMENTED["properties"][name]
    if name == "chunking_strategy":
        keys, key = DOCUMENTED["$defs"]["ServerVad"]["properties"], path[-1]
        if kind == "extra_forbidden":
            return InvalidRequest(f"{name}: {shown(key)} is not one of {', '.join(keys)}.", param=name)
        name, schema = f"{name}[{key}]", keys[key]
    return InvalidRequest(f"{name}: {shown(value)} is not {_allowed(schema)}.", param=name)


def _allowed(schema: Schema) -> str:
    """What a field's schema allows, to follow "is not"."""
    inner = schema.get("items") or next(iter(schema.get("anyOf", ())), None)
    if inner is not None:
        return _allowed(inner)
    if "enum" in schema:
        return f"one of {', '.join(schema['enum'])}"
    if "const" in schema:
        return str(schema["const"])
    return _NOUNS.get(schema.get("type", ""), "allowed here") + _bounds(schema)


def _bounds(schema: Schema) -> str:
    match schema:
        case {"minimum": low, "maximum": high}:
            return f" from {low:g} to {high:g}"
        case {"minimum": low}:
            return f" of at least {low:g}"
        case {"maximum": high}:
            return f" of at most {high:g}"
        case {"maxLength": longest}:
            return f" of at most {longest} characters"
        case _:
            return ""


def _options(request: TranscriptionRequest, *, logprobs: bool, tier: Tier) -> Options:
    vad, vad_filter, min_silence_ms = request.chunking_strategy, request.vad_filter, request.min_silence_duration_ms
    if vad is not None:
        # server_vad implies speech detection; this service's own fields take precedence
        vad_filter = True if vad_filter is None else vad_filter
        min_silence_ms = vad.silence_duration_ms if min_silence_ms is None else min_silence_ms
    language, candidates = _languages(request)
    return Options(
        task=request.task,
        language=language,
        languages=candidates,
        prompt=request.prompt,
        hotwords=one_line(", ".join(filter(None, [request.hotwords, *request.keywords]))),
        temperature=request.temperature or 0.0,  # -0.0 is 0.0
        beam_size=request.beam_size,
        words="word" in request.timestamp_granularities,
        logprobs=logprobs,
        vad_filter=vad_filter,
        max_speech_duration_s=request.max_speech_duration_s or None,
        min_silence_duration_ms=min_silence_ms,
        vad_threshold=vad.threshold if vad else None,
        speech_pad_ms=vad.prefix_padding_ms if vad else None,
        tier=tier,
    )


def _languages(request: TranscriptionRequest) -> tuple[str | None, tuple[str, ...]]:
    """The language, and the ones that detection may choose from; a single candidate is the language."""
    if request.language is not None:
        return request.language, ()
    candidates = tuple(dict.fromkeys(each for each in request.languages if each is not None))
    # `auto` among the candidates allows every language
    if not candidates or None in request.languages:
        return None, ()
    return (candidates[0] if len(candidates) == 1 else None), candidates


def _words_alone(fields: Fields) -> bool:
    """True if only words were requested, in OpenAI's own spelling: then the answer has no segments."""
    name = "timestamp_granularities"
    bracketed = {each.lower() for each in read.bracketed_items(fields, name)}
    return bracketed == {"word"} and not read.bare_items(fields, name)


def _logprobs(request: TranscriptionRequest, response_format: ResponseFormat, *, stream: bool) -> bool:
    if request.include and not stream and response_format not in LOGPROB_FORMATS:
        raise UnsupportedValue(
            f"include: 'logprobs' has no place in response_format={response_format}; "
            f"use one of {', '.join(LOGPROB_FORMATS)}, or stream=true.",
            param="include",
        )
    return bool(request.include)
