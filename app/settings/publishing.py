"""The gateway's settings for storing transcripts: which Redis gets them, and what happens while it does not."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

URL_RULE = "must be redis:// or rediss:// with a host, or unix:// with a path, such as redis://redis:6379/0"


class PublishingSettings(BaseSettings):
    """A part of `GatewaySettings`; the names are those of Vexa's WhisperLive where it has them."""

    redis_url: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=AliasChoices("REDIS_URL", "REDIS_STREAM_URL"),
        description="Redis that receives the transcripts, such as redis://redis:6379/0. Empty: they are not stored.",
    )
    redis_stream_key: str = Field(
        default="transcription_segments", min_length=1, description="Redis stream for the transcripts."
    )
    redis_speaker_events_relative_stream_key: str = Field(
        default="speaker_events_relative",
        min_length=1,
        description="Redis stream for who spoke when, as Vexa's bots report it.",
    )
    redis_dialect: Literal["plain", "vexa-0.9", "vexa-0.10", "vexa-0.12"] = Field(
        default="plain",
        description="Who reads the streams. plain: this project's collector; vexa-0.9, vexa-0.10 or vexa-0.12: the "
        "collector of that version of Vexa.",
    )
    redis_spool_dir: str = Field(
        default="",
        description="Folder for what Redis does not take. Empty: up to 50,000 entries wait in memory, and are lost if "
        "the gateway ends. Gateways of one machine may share a folder.",
    )
    redis_stream_max: int = Field(
        default=1_000_000,
        ge=1000,
        description="With more entries in a stream, because no collector reads them, the gateway holds back its own.",
    )

    @field_validator("redis_url", mode="after")
    @classmethod
    def _redis_url(cls, value: SecretStr) -> SecretStr:
        """Refuse what is no address of a Redis."""
        return require_redis_address(value)


def require_redis_address(value: SecretStr) -> SecretStr:
    """The address of a Redis without the white space around it; empty stays empty.

    Raises:
        ValueError: it is no such address.
    """
    url = value.get_secret_value().strip()
    if url and not is_redis_address(url):
        raise ValueError(URL_RULE)
    return SecretStr(url)


def is_redis_address(url: str) -> bool:
    """Can this be the address of a Redis? The collector accepts the same ones."""
    try:
        parts = urlsplit(url)
        if parts.scheme == "unix":
            return bool(parts.path)
        return parts.scheme in {"redis", "rediss"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none
        return False
