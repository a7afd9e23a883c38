"""The settings of the three processes as JSON Schema, from their classes in `app/settings`.

Secrets are no values of a chart: they come from existing Secrets, so no setting that holds one is allowed.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import AliasChoices, SecretStr
from pydantic_settings import BaseSettings

from app.settings.collector import CollectorSettings
from app.settings.gateway import GatewaySettings
from app.settings.worker import WorkerSettings
from tools.kube.shapes import Schema, record

# What the chart sets itself, as names of fields.
FIXED: Final[dict[type[BaseSettings], set[str]]] = {
    WorkerSettings: {"host", "port", "device", "worker_id", "api_keys_file"},
    GatewaySettings: {"streaming_host", "streaming_port", "remote_transcriber_url", "api_keys_file"},
    CollectorSettings: {"collector_host", "collector_port", "redis_host", "redis_port"},
}
KEPT: Final[tuple[str, ...]] = (
    "type",
    "enum",
    "pattern",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
)
AS_TEXT: Final[dict[str, str]] = {
    "integer": "^[0-9]*$",
    "number": "^([0-9]+(\\.[0-9]+)?)?$",
    "boolean": "^(true|false)?$",
}
"""How a number or a truth value looks as the text of an environment variable; empty means the default."""


def settings_schema(model: type[BaseSettings]) -> Schema:
    """The settings of one process that belong into values, by the names of their variables."""
    shown = model.model_json_schema(by_alias=False)["properties"]
    allowed = {
        variable(name, field.validation_alias): setting_schema(shown[name]) | {"description": field.description}
        for name, field in model.model_fields.items()
        if name not in FIXED[model] and field.annotation is not SecretStr
    }
    return record(**dict(sorted(allowed.items())))


def variable(field: str, alias: Any) -> str:
    """The variable that a field is read from: its name in capitals, or the first alias."""
    names = [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else [field.upper()]
    return field.upper() if field.upper() in names else names[0]


def setting_schema(shown: Schema) -> Schema:
    """What a setting may be: as pydantic shows it, as its text, or empty for the default."""
    schema = {name: shown[name] for name in KEPT if name in shown}
    if "enum" in schema:
        return {"enum": [*schema["enum"], ""]}
    if text := AS_TEXT.get(shown["type"]):
        return schema | {"type": [shown["type"], "string"], "pattern": text}
    return schema | ({"pattern": f"^$|{schema['pattern']}"} if "pattern" in schema else {})
