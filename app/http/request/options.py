"""The fields of a transcription request: one declaration for both bodies and for the OpenAPI page. Pure.

To add a field, add one line to `TranscriptionRequest` and use its value in `parse`. Every value arrives
as text (see `fields`), because multipart has nothing else and JSON is flattened to it; unknown fields are
ignored. Source: OpenAI's API reference for audio transcriptions; Vexa's transcription service.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, WithJsonSchema
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from app.core import languages
from app.core.errors import InvalidRequest, UnsupportedValue
from app.core.options import Task, Tier
from app.http.request.fields import shown
from app.http.response.formats import ResponseFormat

Schema = dict[str, Any]

FORMATS: Final[tuple[ResponseFormat, ...]] = get_args(ResponseFormat)
MAX_NUMBER: Final = 1e6
# The model sees the last 223 tokens, which are always shorter than this.
PROMPT_CHARACTERS: Final = 4000
# Control characters and line breaks become spaces in prompts.
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")
# How clients that build forms from JSON write null.
NULL: Final = frozenset({"null", "none", "undefined"})

_LANGUAGE_SCHEMA: Final[Schema] = {
    "type": "string",
    "anyOf": [
        {"enum": ["", "auto", *languages.NAMES, *languages.NAMES.values()]},
        {"pattern": f"^({'|'.join(languages.NAMES)})([-_][A-Za-z0-9]{{1,8}}){{1,3}}$"},
    ],
}
_TIER_SCHEMA: Final[Schema] = {"type": "string", "enum": ["realtime", "deferred"]}


def tier_of(value: str | None) -> Tier:
    """The tier that a name stands for; every name but Vexa's two means `standard`."""
    name = (value or "").strip().lower()
    if name == "realtime":
        return "realtime"
    return "deferred" if name == "deferred" else "standard"


def one_line(value: str) -> str | None:
    """The last 4000 characters of a text, on one line; None if nothing is left."""
    return CONTROL.sub(" ", value[-PROMPT_CHARACTERS:]).strip() or None


def _require_model(value: str) -> str:
    if not value:
        raise InvalidRequest("model: required; any name is accepted, for example whisper-1.", param="model")
    return value


def _refuse_speakers(value: str) -> str:
    if value == "diarized_json":
        raise UnsupportedValue(
            "response_format: 'diarized_json' is not supported, because this server does not identify speakers; "
            f"use one of {', '.join(FORMATS)}.",
            param="response_format",
        )
    return value


def _language_code(value: str, info: ValidationInfo) -> str | None:
    try:
        return languages.normalize(value)
    except InvalidRequest as error:
        name = info.field_name or "language"
        raise InvalidRequest(error.message.replace("language:", f"{name}:", 1), param=name) from None


def _null_as_none(value: str) -> str | None:
    return None if value.lower() in NULL else value


def _decode_strategy(value: str | dict[str, str]) -> dict[str, str] | None:
    """`auto` or null as None; an object, in JSON or already as keys, with every value as text.

    Python clients send `chunking_strategy[type]`, .NET a JSON part, which for the word is `"auto"` in quotes.
    """
    given: object = value
    if isinstance(value, str) and value.lower() not in {"auto", "null"}:
        try:
            given = json.loads(value)
        except (ValueError, RecursionError):
            given = None
    if isinstance(given, str) and given.strip().lower() in {"auto", "null"}:
        return None
    if not isinstance(given, dict):
        name = "chunking_strategy"
        raise InvalidRequest(
            f"{name}: {shown(str(value))} is neither auto nor an object with type=server_vad.", param=name
        )
    return {"type": ""} | {key: str(item) for key, item in given.items() if item is not None}


def _add_auto(schema: Schema) -> None:
    """Allow the word `auto` beside the object."""
    schema["anyOf"] = [{"type": "string", "enum": ["auto"]}, {"$ref": schema.pop("$ref")}]


class _JsonSchema(GenerateJsonSchema):
    """Without titles, which repeat the names, and without nulls: a form field is absent, never null."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - pydantic's signature
        """Never."""
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """The schema without its null."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """The schema with its default, if that is a value that can be sent."""
        if schema["default"] in (None, ()):
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


Lower = BeforeValidator(str.lower)
Flag = Annotated[bool | None, BeforeValidator(_null_as_none)]
Granularity = Annotated[Literal["word", "segment"], Lower]
Included = Annotated[Literal["logprobs"], Lower]
Language = Annotated[str | None, BeforeValidator(_language_code), WithJsonSchema(_LANGUAGE_SCHEMA)]
OneLine = Annotated[str | None, AfterValidator(one_line)]
Probability = Annotated[float, Field(ge=0, le=1)]


class ServerVad(BaseModel):
    """How speech is found, with OpenAI's names and defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: Literal["server_vad"]
    threshold: Probability = Field(0.5, description="Probability above which audio is speech.")
    prefix_padding_ms: float = Field(300.0, ge=0, le=10_000, description="Audio kept before and after speech.")
    silence_duration_ms: float = Field(200.0, ge=0, le=60_000, description="A pause this long may end a window.")


class TranscriptionRequest(BaseModel):
    """What a client can send beside the audio. None means that the server's default applies."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    model: Annotated[str, BeforeValidator(_require_model)] = Field(
        min_length=1, pattern=r"\S", description="Any name, unless STRICT_MODELS is set.", examples=["whisper-1"]
    )
    timestamp_granularities: tuple[Granularity, ...] = Field((), description="`word` adds word times to verbose_json.")
    stream: Flag = Field(False, description="Send server-sent events as segments are ready.")
    response_format: Annotated[ResponseFormat | None, BeforeValidator(_refuse_speakers)] = None
    task: Annotated[Task, Lower] = "transcribe"
    include: tuple[Included, ...] = Field(
        (), description="`logprobs` adds the log-probability of every text token to json, verbose_json and events."
    )
    transcription_tier: Annotated[Tier | None, BeforeValidator(tier_of), WithJsonSchema(_TIER_SCHEMA)] = Field(
        None, description="Live text (fast, repeatable) or work that can wait; also as header X-Transcription-Tier."
    )
    chunking_strategy: Annotated[ServerVad | None, BeforeValidator(_decode_strategy)] = Field(
        None,
        description="`auto`, or how speech is found; also as `chunking_strategy[type]`, `[threshold]`, ...",
        json_schema_extra=_add_auto,
    )
    vad_filter: Flag = Field(None, description="Skip audio without speech.")
    min_silence_duration_ms: float | None = Field(
        None, ge=0, le=MAX_NUMBER, description="A pause this long may end a window."
    )
    language: Language = Field(
        None,
        description="Code, English or native name, or locale of the speech: `en`, `English`, `en-US`. "
        "Absent, blank or `auto`: detect it.",
    )
    languages: tuple[Language, ...] = Field(
        (), description="Languages that detection may choose from; a single one is the language."
    )
    prompt: OneLine = Field(None, description="Text that came before; its last 223 tokens are used.")
    hotwords: OneLine = Field(None, description="Words to expect.")
    keywords: tuple[str, ...] = Field(
        (), description="Words to expect, in addition to `hotwords`.", examples=[["Vexa", "CTranslate2"]]
    )
    temperature: Probability = Field(
        0.0,
        description="0: beam search, and two repeatable retries for windows that fail their checks. "
        "Above 0: sampling. The realtime tier stays at 0.",
    )
    beam_size: int | None = Field(None, ge=1, le=10, description="Beam width; 1 is fastest. Absent: the server's.")
    max_speech_duration_s: float | None = Field(
        None, ge=0, le=MAX_NUMBER, description="Cut speech into windows no longer than this."
    )


DOCUMENTED: Final[Schema] = TranscriptionRequest.model_json_schema(
    schema_generator=_JsonSchema, ref_template="#/components/schemas/{model}"
)
"""The fields as a JSON schema: the OpenAPI page shows it, and error messages name what it allows."""
