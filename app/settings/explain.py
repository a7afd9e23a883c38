"""Read settings from the environment and `.env`, and explain those that cannot be used.

Each unusable setting gets one line: its variable, the value, what is allowed. Secrets are never shown.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import AliasChoices, SecretStr, ValidationError
from pydantic_settings import BaseSettings

from app.core.errors import StartupError

AnySettings = TypeVar("AnySettings", bound=BaseSettings)
MAX_SHOWN_CHARS = 80


def load(settings: type[AnySettings], **overrides: Any) -> AnySettings:
    """Read settings; `overrides` (lower-case field names) win over the environment and `.env`.

    Raises:
        StartupError: one line that names each unusable setting, its value and what is allowed.
    """
    try:
        return settings(**overrides)
    except ValidationError as invalid:
        raise StartupError("; ".join(explain(invalid, settings))) from None
    except (OSError, UnicodeDecodeError) as exc:
        raise StartupError(f".env: cannot be read as UTF-8 text ({type(exc).__name__}); repair or remove it") from exc


def explain(invalid: ValidationError, settings: type[BaseSettings]) -> list[str]:
    """One line per unusable setting."""
    fields = {_variables(name, info)[0].lower(): (name, info) for name, info in settings.model_fields.items()}
    lines = []
    for error in invalid.errors():
        message = error["msg"].removeprefix("Value error, ")
        located = str(error["loc"][0]) if error["loc"] else ""
        name, info = fields.get(located.lower(), (located, settings.model_fields.get(located)))
        if info is None:
            lines.append(message)
            continue
        value = "(hidden)" if info.annotation is SecretStr else repr(error["input"])[:MAX_SHOWN_CHARS]
        meaning = f" [{info.description}]" if info.description else ""
        variables = " or ".join(_variables(name, info))
        lines.append(f"{variables}={value} is not allowed: {message[0].lower()}{message[1:]}{meaning}")
    return lines


def _variables(name: str, info: Any) -> list[str]:
    """The environment variables a field is read from, the first one first."""
    alias = info.validation_alias
    return [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else [name.upper()]
