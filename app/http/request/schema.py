"""What a transcription request may hold, as JSON schemas: the two bodies of the OpenAPI document.

The lists of allowed values are those that the parser uses.
"""

from __future__ import annotations

from typing import Any, Final

from app.core import languages
from app.http.request import forms

Schema = dict[str, Any]

_NUMBER_0_1: Final[Schema] = {"type": "number", "minimum": 0, "maximum": 1}
_LANGUAGE: Final[Schema] = {
    "type": "string",
    "anyOf": [
        {"enum": ["", "auto", *languages.NAMES, *languages.NAMES.values()]},
        {"pattern": f"^({'|'.join(languages.NAMES)})([-_][A-Za-z0-9]{{1,8}}){{1,3}}$"},
    ],
}
_CHUNKING: Final[Schema] = {
    "description": "auto, or how speech is found; also as parts `chunking_strategy[type]`, `[threshold]`, ...",
    "anyOf": [
        {"type": "string", "enum": ["auto"]},
        {
            "type": "object",
            "required": ["type"],
            "additionalProperties": False,
            "properties": {
                "type": {"type": "string", "enum": ["server_vad"]},
                "threshold": {**_NUMBER_0_1, "default": 0.5},
                "prefix_padding_ms": {"type": "number", "minimum": 0, "maximum": 10_000, "default": 300},
                "silence_duration_ms": {"type": "number", "minimum": 0, "maximum": 60_000, "default": 200},
            },
        },
    ],
}


def _texts(description: str, values: tuple[str, ...] = (), **more: Any) -> Schema:
    item: Schema = {"type": "string", "enum": list(values)} if values else {"type": "string"}
    return {"type": "array", "items": item, "description": description, **more}


# Fields of both bodies; a list may also be sent bare, as commas, or as a JSON array.
_FIELDS: Final[Schema] = {
    "model": {
        "type": "string",
        "minLength": 1,
        "pattern": r"\S",
        "description": "Any name, unless STRICT_MODELS is set; one model runs.",
        "examples": ["whisper-1"],
    },
    "language": {
        **_LANGUAGE,
        "description": "Code, English or native name, or locale of the speech: `en`, `English`, `en-US`. "
        "Absent, blank or `auto`: detect it.",
    },
    "prompt": {"type": "string", "description": "Text that came before; its last 223 tokens count."},
    "hotwords": {"type": "string", "description": "Words to expect."},
    "temperature": {
        **_NUMBER_0_1,
        "default": 0,
        "description": "0 = beam search and two repeatable retries for windows that fail their checks; above 0 = "
        "sampling. The realtime tier stays at 0.",
    },
    "stream": {"type": "boolean", "default": False, "description": "Send server-sent events as segments are ready."},
    "task": {"type": "string", "enum": list(forms.TASKS), "default": "transcribe"},
    "vad_filter": {"type": "boolean", "description": "Skip audio without speech."},
    "max_speech_duration_s": {"type": "number", "minimum": 0, "maximum": forms.MAX_NUMBER},
    "min_silence_duration_ms": {"type": "number", "minimum": 0, "maximum": forms.MAX_NUMBER},
    "transcription_tier": {
        "type": "string",
        "enum": ["realtime", "deferred"],
        "description": "Live text (quick, repeatable) or work that can wait; also as header X-Transcription-Tier.",
    },
    "chunking_strategy": _CHUNKING,
}
_LISTS: Final[Schema] = {
    "timestamp_granularities": _texts("`word` adds times of words to verbose_json.", forms.GRANULARITIES),
    "include": _texts(
        "`logprobs` adds the log-probability of every text token to json, verbose_json and events.", forms.INCLUDES
    ),
    "languages": {
        "type": "array",
        "items": _LANGUAGE,
        "description": "Languages that detection may choose from; a single one is the language.",
    },
    "keywords": _texts("Words to expect, beside `hotwords`.", examples=[["Vexa", "CTranslate2"]]),
}


def _format(default: str) -> Schema:
    return {"type": "string", "enum": list(forms.FORMATS), "default": default}


def request_body(default_format: str) -> Schema:
    """The body in both encodings, with the format that is given when none is asked for."""
    common = {**_FIELDS, "response_format": _format(default_format)}
    file = {
        "type": "string",
        "format": "binary",
        "contentMediaType": "application/octet-stream",
        "description": "Any audio or video file; its content says what it is, not its name.",
    }
    audio = {
        "type": "object",
        "required": ["data"],
        "properties": {
            "data": {"type": "string", "contentEncoding": "base64", "description": "The file in base64."},
            "format": {"type": "string", "description": "Ignored: the bytes say what they are.", "examples": ["wav"]},
        },
    }
    multipart = {
        "type": "object",
        "required": ["file", "model"],
        "properties": {"file": file, **common, **{f"{name}[]": schema for name, schema in _LISTS.items()}},
    }
    in_json = {
        "type": "object",
        "required": ["input_audio", "model"],
        "properties": {"input_audio": audio, **common, **_LISTS},
    }
    return {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": multipart},
            "application/json": {
                "schema": in_json,
                "examples": {
                    "base64": {
                        "summary": "Audio in base64",
                        "value": {"model": "whisper-1", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                    }
                },
            },
        },
    }
