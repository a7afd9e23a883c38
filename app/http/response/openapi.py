"""The OpenAPI document: both request bodies, every status, and an example of each.

The routes read raw requests, because FastAPI can neither limit the size of a form nor refuse it unread.
What FastAPI would derive from parameters is therefore written here and in `request.schema`.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from app.contracts.openai import (
    ErrorBody,
    ErrorEnvelope,
    Model,
    ModelList,
    TextDeltaEvent,
    TextDoneEvent,
    TranscriptionJson,
    TranscriptionVerbose,
    error_envelope,
)
from app.contracts.usage import UsageBody
from app.http.request.options import Schema
from app.http.request.schema import COMPONENTS, request_body

Responses = dict[int | str, dict[str, Any]]

_SRT: Final = "1\n00:00:00,000 --> 00:00:01,400\nGood morning.\n\n\n"
_VTT: Final = "WEBVTT\n\n00:00:00.000 --> 00:00:01.400\nGood morning.\n\n"
_EVENTS: Final = (
    ': progress {"done_s":0.0,"total_s":1.4,"eta_s":null}\n\n'
    'data: {"type":"transcript.text.delta","delta":"Good morning.","segment":{"id":0,"start":0.0,"end":1.4}}\n\n'
    ': progress {"done_s":1.4,"total_s":1.4,"eta_s":0.0}\n\n'
    'data: {"type":"transcript.text.done","text":"Good morning.","languages":[{"code":"en"}],"usage":{"type":"tokens",'
    '"input_tokens":14,"output_tokens":4,"total_tokens":18,"input_token_details":{"text_tokens":0,"audio_tokens":14}}}'
    "\n\ndata: [DONE]\n\n"
)
_EVENT: Final[Schema] = {
    "type": "object",
    "description": "One event: deltas, then one done event, or an error. `[DONE]` ends a stream without an error. "
    "Comment lines between events report progress.",
    "required": ["data"],
    "properties": {
        "data": {
            "anyOf": [
                {"const": "[DONE]"},
                {
                    "type": "string",
                    "contentMediaType": "application/json",
                    "contentSchema": {
                        "anyOf": [
                            {"$ref": f"#/components/schemas/{name}"}
                            for name in ("TextDeltaEvent", "TextDoneEvent", "ErrorEnvelope")
                        ]
                    },
                },
            ]
        }
    },
}
_TIMING: Final[Schema] = {
    "Server-Timing": {"description": "Audio decoding, queue and model in milliseconds.", "schema": {"type": "string"}}
}
_OK: Final[Schema] = {
    "description": "The transcript in the requested format.",
    "model": TranscriptionVerbose | TranscriptionJson,
    "headers": _TIMING,
    "content": {
        "text/plain": {
            "schema": {"type": "string"},
            "examples": {
                "text": {"value": "Good morning.\n"},
                "srt": {"value": _SRT},
                "vtt": {"value": _VTT},
            },
        },
        "text/event-stream": {
            "schema": _EVENT,
            "examples": {"stream": {"value": _EVENTS}},
        },
    },
}


def _error(description: str, message: str, **rest: Any) -> Schema:
    kind = rest.pop("kind", "invalid_request_error")
    example = error_envelope(message, kind=kind, param=rest.pop("param", None), code=rest.pop("code", None))
    return {
        "model": ErrorEnvelope,
        "description": description,
        "content": {"application/json": {"example": example}},
        **rest,
    }


_RETRY_AFTER: Final[Schema] = {
    "Retry-After": {
        "description": "Seconds until a slot is probably free; 1 or 2 for live text.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1, "maximum": 60},
    }
}
_UNAUTHORIZED: Final = _error(
    "No API key, or an invalid one.",
    "Incorrect API key. It is not one of the server's keys.",
    code="invalid_api_key",
)
_TIER_NOT_ALLOWED: Final = _error(
    "The key may not use this tier.",
    "The key 'alice' may not use the tier 'realtime'; it may use: deferred, standard. Send one of them as "
    "transcription_tier.",
    param="transcription_tier",
    code="tier_not_allowed",
)
_LIMITED: Final = _error(
    "A limit of the key is reached. No work was done; GET /v1/usage shows the limits.",
    "The key 'alice' has used its 60 requests of this minute (requests_per_minute). Retry in 12 s.",
    kind="requests",
    code="rate_limit_exceeded",
    headers={
        "Retry-After": {
            "description": "Seconds until a request may succeed.",
            "required": True,
            "schema": {"type": "integer", "minimum": 1, "maximum": 3600},
        }
    },
)
_NOT_FOUND: Final = _error(
    "No such model.",
    "The model 'x' does not exist here; GET /v1/models lists what does.",
    param="model",
    code="model_not_found",
)
_BROKEN: Final = _error(
    "An internal error; the same request would fail again (x-should-retry: false).",
    "The server failed to transcribe this audio.",
    kind="server_error",
)
_BUSY: Final = _error(
    "Busy, loading or stopping. No work was done, so the same request may be sent again.",
    "All 4 transcription slots are busy. Retry shortly.",
    kind="server_error",
    code="server_is_overloaded",
    headers=_RETRY_AFTER,
)
_AUDIO_ERRORS: Final[Responses] = {
    400: _error(
        "A missing or wrong field, audio that cannot be decoded, or a value that is not supported here.",
        "temperature: '2' is not a number from 0 to 1.",
        param="temperature",
    ),
    401: _UNAUTHORIZED,
    403: _TIER_NOT_ALLOWED,
    404: _NOT_FOUND,
    408: _error(
        "The client stopped sending before its upload was complete.",
        "No data arrived for 60 seconds; the upload was given up.",
        code="upload_stalled",
    ),
    413: _error(
        "More bytes than MAX_UPLOAD_BYTES.",
        "file: larger than the limit of 500 MiB (MAX_UPLOAD_BYTES=524288000).",
        param="file",
        code="request_too_large",
    ),
    415: _error(
        "Neither multipart/form-data nor application/json.",
        "Content-Type 'text/plain' is not supported; send multipart/form-data with a 'file' part.",
        code="unsupported_content_type",
    ),
    429: _LIMITED,
    500: _BROKEN,
    503: _BUSY,
}

TRANSCRIPTIONS: Final[Schema] = {
    "summary": "Transcribe an audio file",
    "responses": {200: _OK, **_AUDIO_ERRORS},
    "openapi_extra": {"requestBody": request_body("verbose_json")},
}
TRANSLATIONS: Final[Schema] = {
    "summary": "Translate an audio file into English",
    "responses": {200: _OK, **_AUDIO_ERRORS},
    "openapi_extra": {"requestBody": request_body("json")},
}
MODELS: Final[Responses] = {401: _UNAUTHORIZED, 500: _BROKEN, 503: _BUSY}
USAGE: Final[Responses] = {401: _UNAUTHORIZED, 500: _BROKEN}
MODEL: Final[Responses] = {**MODELS, 404: _NOT_FOUND}

_SECURITY: Final[Schema] = {
    "Bearer": {"type": "http", "scheme": "bearer", "description": "One of API_KEYS or of API_KEYS_FILE."},
    "X-API-Key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key."},
}


def install(app: FastAPI) -> None:
    """Replace FastAPI's document by this one."""

    def document() -> Schema:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # the documented way to replace it


def _restore_nulls(example: Any) -> None:
    """Put back the nulls that FastAPI drops from examples: an error always has all four keys."""
    if example is not None:
        example["error"] = {"param": None, "code": None, **example["error"]}


def _document(app: FastAPI) -> Schema:
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas = document["components"]["schemas"]
    schemas.update(COMPONENTS)
    for event in (TextDeltaEvent, TextDoneEvent):
        schema = TypeAdapter(event).json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[event.__name__] = schema
    # a validation error is sent as a 400 in OpenAI's shape, see `errors`
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
            for response in operation["responses"].values():
                _restore_nulls(response.get("content", {}).get("application/json", {}).get("example"))
    for kind in (ErrorBody, ErrorEnvelope, Model, ModelList, TranscriptionVerbose, UsageBody):
        schemas[kind.__name__]["examples"] = TypeAdapter[Any](kind).json_schema()["examples"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    document["components"]["securitySchemes"] = _SECURITY
    document["security"] = [{}, *({name: []} for name in _SECURITY)]  # {}: a server without keys needs none
    return document
