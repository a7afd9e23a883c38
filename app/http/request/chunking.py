"""`chunking_strategy` in the three encodings of the SDKs. Pure.

The word `auto`, one JSON object, or one field for each key (`chunking_strategy[threshold]`).
Source: OpenAI's `VadConfig`, whose defaults hold as soon as a client names `server_vad`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from app.core.errors import InvalidRequest
from app.http.request import fields as read
from app.http.request.fields import Fields, shown

NAME = "chunking_strategy"
KEY = re.compile(r"chunking_strategy\[(?P<key>[^\]]*)\]")
KEYS = ("type", "threshold", "prefix_padding_ms", "silence_duration_ms")
MAX_PADDING_MS = 10_000.0
MAX_SILENCE_MS = 60_000.0


@dataclass(frozen=True, slots=True)
class ServerVad:
    """How speech is to be found: OpenAI's names and defaults."""

    threshold: float = 0.5
    prefix_padding_ms: float = 300.0
    silence_duration_ms: float = 200.0


def parse(fields: Fields) -> ServerVad | None:
    """What a request says of it; None = the server's own way (`auto`, `null`, blank or absent).

    Raises:
        InvalidRequest: neither `auto` nor a sound `server_vad`; the key at fault is named.
    """
    bracketed = {match["key"]: value for name, value in fields if (match := KEY.fullmatch(name))}
    if any(value.strip() for value in bracketed.values()):
        return _server_vad({key: value for key, value in bracketed.items() if value.strip()})
    whole = read.text(fields, NAME)
    if whole is None or whole.lower() in ("auto", "null"):
        return None
    return _server_vad(_object(whole))


def _object(value: str) -> Mapping[str, object]:
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise InvalidRequest(f"{NAME}: {shown(value)} is neither auto nor an object with type=server_vad.", param=NAME)
    return parsed


def _server_vad(given: Mapping[str, object]) -> ServerVad:
    for key in given:
        if key not in KEYS:
            raise InvalidRequest(f"{NAME}: {shown(key)} is not one of {', '.join(KEYS)}.", param=NAME)
    if given.get("type") != "server_vad":
        raise InvalidRequest(
            f"{NAME}[type]: {shown(str(given.get('type', '')))} is not server_vad.", param=f"{NAME}[type]"
        )
    default = ServerVad()
    return ServerVad(
        threshold=_number(given, "threshold", default.threshold, high=1.0),
        prefix_padding_ms=_number(given, "prefix_padding_ms", default.prefix_padding_ms, high=MAX_PADDING_MS),
        silence_duration_ms=_number(given, "silence_duration_ms", default.silence_duration_ms, high=MAX_SILENCE_MS),
    )


def _number(given: Mapping[str, object], key: str, default: float, *, high: float) -> float:
    value = given.get(key)
    return default if value is None else read.number_of(f"{NAME}[{key}]", value, low=0.0, high=high)
