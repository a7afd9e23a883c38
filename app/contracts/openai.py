"""OpenAI's wire format for transcriptions: every JSON body that this service sends.

The bodies are typed dictionaries, not models: a two-hour file has tens of thousands of words, and plain
dictionaries are cheap to build and encode, while mypy checks their keys and pydantic reads their types
for the OpenAPI document. The same bodies hold what Vexa's clients need beyond OpenAI:
`language_probability`, `audio_start`, `audio_end` and the words inside each segment.
Source: openai-python `openai.types.audio`, `openai.types.model`; OpenAI's error guide.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, NotRequired

from pydantic import ConfigDict, Field, JsonValue, with_config
from typing_extensions import TypedDict  # before Python 3.12 pydantic does not accept typing.TypedDict

Task = Literal["transcribe", "translate"]
Seconds = Annotated[float, Field(ge=0, description="Seconds from the start of the upload.")]
Probability = Annotated[float, Field(ge=0, le=1)]

_WORD: Final[dict[str, JsonValue]] = {"word": "Good", "start": 0.0, "end": 0.42}
_SEGMENT_WORD: Final[dict[str, JsonValue]] = {"word": " Good", "start": 0.0, "end": 0.42, "probability": 0.98}
_LOGPROB: Final[dict[str, JsonValue]] = {"token": " Good", "logprob": -0.02, "bytes": [32, 71, 111, 111, 100]}
_USAGE: Final[dict[str, JsonValue]] = {"type": "duration", "seconds": 2}
_SEGMENT: Final[dict[str, JsonValue]] = {
    "id": 0,
    "seek": 0,
    "start": 0.0,
    "end": 1.4,
    "text": " Good morning.",
    "tokens": [50364, 2205, 2446, 13, 50434],
    "temperature": 0.0,
    "avg_logprob": -0.21,
    "compression_ratio": 0.78,
    "no_speech_prob": 0.01,
    "speech_prob": 0.94,
    "suspect": None,
    "language": "en",
    "audio_start": 0.0,
    "audio_end": 1.4,
}
_ERROR: Final[dict[str, JsonValue]] = {
    "message": "The server is at capacity; retry after 1 s.",
    "type": "server_error",
    "param": None,
    "code": "server_is_overloaded",
}
_MODEL: Final[dict[str, JsonValue]] = {
    "id": "large-v3-turbo",
    "object": "model",
    "created": 1735689600,
    "owned_by": "openai",
    "shutdown_date": None,
}


def _example(body: JsonValue) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [body]})


@with_config(_example(_ERROR))
class ErrorBody(TypedDict):
    """An error: a message for people, and codes for programs."""

    message: str
    type: Annotated[str, Field(description="invalid_request_error, server_error, requests or insufficient_quota.")]
    param: Annotated[str | None, Field(description="The field that is wrong.")]
    code: str | None


@with_config(_example({"error": _ERROR}))
class ErrorEnvelope(TypedDict):
    """The body of every error, and the last event of a stream that failed."""

    error: ErrorBody


@with_config(_example(_USAGE))
class UsageDuration(TypedDict):
    """Usage in seconds of audio."""

    type: Literal["duration"]
    seconds: Annotated[int, Field(ge=0, description="Length of the audio, rounded up.")]


class InputTokenDetails(TypedDict):
    """Input tokens by kind."""

    text_tokens: Annotated[int, Field(ge=0, description="Always 0: prompts are not counted.")]
    audio_tokens: Annotated[int, Field(ge=0, description="Ten for each second of audio.")]


class UsageTokens(TypedDict):
    """Usage in tokens, the only form that the SDKs accept in a stream."""

    type: Literal["tokens"]
    input_tokens: Annotated[int, Field(ge=0)]
    output_tokens: Annotated[int, Field(ge=0)]
    total_tokens: Annotated[int, Field(ge=0)]
    input_token_details: InputTokenDetails


@with_config(_example(_LOGPROB))
class LogprobBody(TypedDict):
    """One token of the text and its log-probability."""

    token: Annotated[str, Field(description="As the model wrote it; an incomplete character is U+FFFD.")]
    logprob: Annotated[float, Field(le=0, description="Natural logarithm of the token's probability.")]
    bytes: Annotated[list[int], Field(description="The token's UTF-8 bytes; a character may span tokens.")]


Logprobs = Annotated[list[LogprobBody], Field(description="Present with include[]=logprobs.")]


class LanguageBody(TypedDict):
    """A language of the audio."""

    code: str


Languages = Annotated[list[LanguageBody], Field(description="Empty when the audio holds no speech.")]


@with_config(_example({"text": "Good morning.", "languages": [{"code": "en"}], "usage": _USAGE}))
class TranscriptionJson(TypedDict):
    """The body of `response_format=json`."""

    text: str
    languages: NotRequired[Annotated[Languages, Field(description="Absent in translations.")]]
    usage: UsageDuration
    logprobs: NotRequired[Logprobs]


@with_config(_example(_WORD))
class WordBody(TypedDict):
    """One word of the top-level list, without its leading space."""

    word: str
    start: Seconds
    end: Seconds


@with_config(_example(_SEGMENT_WORD))
class SegmentWordBody(WordBody):
    """One word inside its segment, as the model wrote it, with its leading space."""

    probability: Probability


@with_config(_example(_SEGMENT))
class SegmentBody(TypedDict):
    """A segment: a stretch of speech with its text."""

    id: int
    seek: Annotated[int, Field(description="First frame (10 ms) of the window that contains the segment.")]
    start: Seconds
    end: Seconds
    text: Annotated[str, Field(description="As the model wrote it, leading space included.")]
    tokens: list[int]
    temperature: float
    avg_logprob: Annotated[float, Field(description="Below -1 the text is unreliable.")]
    compression_ratio: Annotated[float, Field(description="Above 2.4 the text repeats itself.")]
    no_speech_prob: Probability
    speech_prob: Annotated[
        Probability, Field(description="Mean probability of speech over the segment (voice activity detection).")
    ]
    suspect: Annotated[
        Literal["repetition", "silence", "boilerplate"] | None,
        Field(description="Why the text may be wrong; null if nothing speaks against it."),
    ]
    language: Annotated[str, Field(description="The language of the segment, in the form of the top-level `language`.")]
    audio_start: Annotated[Seconds, Field(description="The same as `start`.")]
    audio_end: Annotated[Seconds, Field(description="The same as `end`.")]
    words: NotRequired[Annotated[list[SegmentWordBody], Field(description="Present if words were requested.")]]


@with_config(
    _example(
        {
            "task": "transcribe",
            "language": "en",
            "language_probability": 0.99,
            "duration": 1.4,
            "text": "Good morning.",
            "usage": _USAGE,
            "segments": [{**_SEGMENT, "words": [_SEGMENT_WORD]}],
            "words": [_WORD],
        }
    )
)
class TranscriptionVerbose(TypedDict):
    """The body of `response_format=verbose_json`, which is the default."""

    task: Task
    language: Annotated[str, Field(description="ISO 639-1 code, or the English name if VERBOSE_JSON_LANGUAGE=name.")]
    language_probability: Annotated[Probability, Field(description="1 if the request named the language.")]
    duration: Annotated[float, Field(ge=0, description="Length of the audio in seconds.")]
    text: str
    usage: UsageDuration
    segments: NotRequired[Annotated[list[SegmentBody], Field(description="Absent if only words were requested.")]]
    words: NotRequired[Annotated[list[WordBody], Field(description="Present if words were requested.")]]
    logprobs: NotRequired[Logprobs]


class DeltaSegment(TypedDict):
    """The times of a delta: an addition to OpenAI's event, which SDKs keep as an extra key."""

    id: int
    start: Seconds
    end: Seconds


@with_config(
    _example({"type": "transcript.text.delta", "delta": " Hello.", "segment": {"id": 1, "start": 1.4, "end": 2.0}})
)
class TextDeltaEvent(TypedDict):
    """More text of a stream; the joined deltas are the text of the done event.

    Audio without speech gives one empty delta, without a segment.
    """

    type: Literal["transcript.text.delta"]
    delta: str
    segment: NotRequired[DeltaSegment]
    logprobs: NotRequired[Logprobs]


class TextDoneEvent(TypedDict):
    """The whole text of a stream: exactly one, the last event."""

    type: Literal["transcript.text.done"]
    text: str
    languages: Languages
    usage: UsageTokens
    logprobs: NotRequired[Logprobs]


StreamEvent = TextDeltaEvent | TextDoneEvent | ErrorEnvelope


@with_config(_example(_MODEL))
class Model(TypedDict):
    """One model name that a request may use."""

    id: str
    object: Literal["model"]
    created: Annotated[int, Field(description="Unix time in seconds.")]
    owned_by: str
    shutdown_date: str | None


@with_config(_example({"object": "list", "data": [_MODEL]}))
class ModelList(TypedDict):
    """Every model name that a request may use."""

    object: Literal["list"]
    data: list[Model]


def error_envelope(message: str, *, kind: str, param: str | None = None, code: str | None = None) -> ErrorEnvelope:
    """The error body with its four keys; `kind` is sent as `type`."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
