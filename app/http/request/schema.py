"""The request body in the OpenAPI document: the declared fields beside the audio, in both encodings."""

from __future__ import annotations

from typing import Final

from app.http.request.options import DOCUMENTED, Schema
from app.http.response.formats import ResponseFormat

COMPONENTS: Final[Schema] = DOCUMENTED["$defs"]
"""Schemas that the bodies refer to, for `components.schemas`."""

_FILE: Final[Schema] = {
    "type": "string",
    "format": "binary",
    "contentMediaType": "application/octet-stream",
    "description": "Any audio or video file; the format is detected from its content, not from its name.",
}
_INPUT_AUDIO: Final[Schema] = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "data": {"type": "string", "contentEncoding": "base64", "description": "The file in base64."},
        "format": {
            "type": "string",
            "description": "Ignored: the format is detected from the content.",
            "examples": ["wav"],
        },
    },
}


def request_body(default_format: ResponseFormat) -> Schema:
    """The body in both encodings.

    Args:
        default_format: the route's default for `response_format`.
    """
    fields = {
        **DOCUMENTED["properties"],
        "response_format": {**DOCUMENTED["properties"]["response_format"], "default": default_format},
    }
    # a list may also be sent as repeated `name`, as comma-separated text, or as a JSON array
    in_form = {f"{name}[]" if field.get("type") == "array" else name: field for name, field in fields.items()}
    return {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _object({"file": _FILE, **in_form}, required=["file", "model"])},
            "application/json": {
                "schema": _object({"input_audio": _INPUT_AUDIO, **fields}, required=["input_audio", "model"]),
                "examples": {
                    "base64": {
                        "summary": "Audio in base64",
                        "value": {"model": "whisper-1", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                    }
                },
            },
        },
    }


def _object(properties: Schema, *, required: list[str]) -> Schema:
    return {"type": "object", "required": required, "properties": properties}
