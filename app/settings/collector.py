"""The settings of the transcript collector, read once from the environment and passed down as plain values.

Where Vexa's collector has a setting of the same meaning, its name works too.
"""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import quote

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from app.ops.addresses import authority
from app.ops.keys import require_sendable, split_keys
from app.settings.build import BuildSettings
from app.settings.explain import load
from app.settings.publishing import URL_RULE, is_redis_address

DATABASE_RULE = "must be sqlite:///<file> or postgresql://<user>:<password>@<host>/<database>"


class CollectorSettings(BuildSettings):
    """The collector's configuration; the environment names are the field names in capitals, or the aliases."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, frozen=True, extra="ignore", populate_by_name=True
    )

    # Where the collector listens, and for whom. PORT alone would make it listen on the worker's port if both share
    # one `.env`, so the longer name wins.
    collector_host: str = Field(
        default="127.0.0.1",
        validation_alias=AliasChoices("COLLECTOR_HOST", "HOST"),
        description="Address to listen on; 0.0.0.0 means every network interface, and needs a key.",
    )
    collector_port: int = Field(
        default=8001,
        ge=0,
        le=65535,
        validation_alias=AliasChoices("COLLECTOR_PORT", "PORT"),
        description="TCP port to listen on.",
    )
    collector_api_keys: SecretStr = Field(
        default=SecretStr(""),
        description="Comma-separated keys that may read, write and delete everything of owner 1. More keys: "
        "`python -m app collector token create`.",
    )
    trust_x_user_id: bool = Field(
        default=False,
        description="Take the owner from X-User-Id if X-Internal-Secret is right, as behind Vexa's gateway.",
    )
    internal_api_secret: SecretStr = Field(
        default=SecretStr(""), description="Value of X-Internal-Secret for internal routes. Empty: they do not exist."
    )

    # The database.
    database_url: SecretStr = Field(
        default=SecretStr("sqlite:///collector.db"),
        description="sqlite:///<file> for one collector, postgresql://<user>:<password>@<host>/<database> for several.",
    )
    collector_migrate: Literal["auto", "check", "off"] = Field(
        default="auto",
        description="auto: bring the database's tables up to date at start. check: refuse to start if they are not. "
        "off: neither.",
    )

    # Redis.
    redis_url: SecretStr = Field(
        default=SecretStr(""),
        description="Redis with the streams. Empty: made of REDIS_HOST, REDIS_PORT and REDIS_PASSWORD.",
    )
    redis_host: str = Field(default="127.0.0.1", min_length=1, description="Host of Redis, if REDIS_URL is empty.")
    redis_port: int = Field(default=6379, ge=1, le=65535, description="Port of Redis, if REDIS_URL is empty.")
    redis_password: SecretStr = Field(
        default=SecretStr(""), description="Password of Redis, if REDIS_URL is empty and Redis needs one."
    )
    redis_stream_name: str = Field(
        default="transcription_segments",
        min_length=1,
        description="Stream with segments; REDIS_STREAM_KEY of a gateway.",
    )
    redis_speaker_events_stream_name: str = Field(
        default="speaker_events_relative",
        min_length=1,
        description="Stream with speaker events; REDIS_SPEAKER_EVENTS_RELATIVE_STREAM_KEY of a gateway.",
    )
    redis_consumer_group: str = Field(
        default="stt_collector",
        min_length=1,
        description="Consumer group on both streams. All collectors of one database share it, and nobody else may.",
    )
    stream_retention_s: float = Field(
        default=600.0, ge=0, description="Stored entries stay in the streams for this long."
    )

    # Meetings.
    meeting_token_secret: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=AliasChoices("MEETING_TOKEN_SECRET", "ADMIN_TOKEN"),
        description="Key of the meeting tokens in entries (HS256). Empty: tokens are not checked, and whoever can "
        "write to Redis can write to any meeting.",
    )
    draft_promote_s: float = Field(
        default=30.0,
        gt=0,
        validation_alias=AliasChoices("DRAFT_PROMOTE_S", "IMMUTABILITY_THRESHOLD"),
        description="A draft without news for this long becomes final.",
    )
    meeting_idle_s: float = Field(
        default=900.0, gt=0, description="A meeting without entries for this long is completed."
    )
    retention_days: int = Field(
        default=0, ge=0, le=36_500, description="Meetings are deleted this many days after their end. 0: never."
    )
    lag_alarm_s: float = Field(
        default=60.0, gt=0, description="With an entry unstored for longer, /health/ready answers 503."
    )

    log_level: str = Field(
        default="info",
        pattern="^(?i:debug|info|warning|error)$",
        description="Lowest level logged: debug, info, warning or error.",
    )
    log_format: str = Field(
        default="auto",
        pattern="^(?i:auto|json|text)$",
        description="json: one object per line; text: for people; auto: text on a terminal, otherwise json.",
    )

    @field_validator("redis_url", mode="after")
    @classmethod
    def _redis(cls, value: SecretStr) -> SecretStr:
        """Refuse an address that is not one of Redis."""
        url = value.get_secret_value().strip()
        if url and not is_redis_address(url):
            raise ValueError(URL_RULE)
        return SecretStr(url)

    @field_validator("database_url", mode="after")
    @classmethod
    def _database(cls, value: SecretStr) -> SecretStr:
        """Refuse the address of another kind of database."""
        url = value.get_secret_value().strip()
        if not url.startswith(("sqlite:///", "postgresql://", "postgres://")):
            raise ValueError(DATABASE_RULE)
        return SecretStr(url.replace("postgres://", "postgresql://", 1) if url.startswith("postgres://") else url)

    @field_validator("collector_api_keys", "internal_api_secret", "meeting_token_secret", mode="after")
    @classmethod
    def _sendable(cls, value: SecretStr) -> SecretStr:
        """Refuse keys that no header can carry; remove the line break at the end of a key read from a file."""
        require_sendable(split_keys(value.get_secret_value()))
        return SecretStr(value.get_secret_value().strip())

    @property
    def keys(self) -> tuple[str, ...]:
        """The static keys."""
        return split_keys(self.collector_api_keys.get_secret_value())

    @property
    def redis_address(self) -> str:
        """Where Redis is, as one URL."""
        url = self.redis_url.get_secret_value()
        if url:
            return url
        password = self.redis_password.get_secret_value()
        user = f":{quote(password, safe='')}@" if password else ""
        return f"redis://{user}{authority(self.redis_host, self.redis_port)}/0"


def load_collector_settings(**overrides: Any) -> CollectorSettings:
    """Read the environment and `.env`; `overrides` (lower-case field names) win over both.

    Raises:
        StartupError: one line that names each unusable setting, its value and what is allowed.
    """
    return load(CollectorSettings, **overrides)
