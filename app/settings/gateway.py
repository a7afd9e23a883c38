"""Every knob of the gateway, read once from the environment and passed down as plain values.

Units are in the names. A value out of bounds stops the start with one line that names the variable.
"""

from __future__ import annotations

from typing import Self

import httpx
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.live.policy.durations import StreamPolicy

OPEN = "open"
A_URL = "must be http:// or https:// with a host, and a port from 1 to 65535 if any, such as http://worker:8000/path"
A_KEY = "must consist of ASCII letters, digits and signs: a header carries nothing else"


class GatewaySettings(BaseSettings):
    """What can be turned, and what moves when it is."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, frozen=True, extra="ignore", populate_by_name=True
    )

    # Where the gateway listens.
    streaming_host: str = Field(default="0.0.0.0", description="address to listen on")  # noqa: S104  a container serves its network
    streaming_port: int = Field(default=9090, ge=0, le=65535, description="port to listen on")
    streaming_api_keys: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=AliasChoices("STREAMING_API_KEYS", "WHISPERLIVE_API_KEY"),
        description="comma-separated keys clients must show; empty: API_KEYS, and without those nobody is asked; "
        "`open` asks nobody even if API_KEYS is set",
    )

    api_keys: SecretStr = Field(
        default=SecretStr(""), description="the service's keys, where both run with one environment"
    )
    api_token: SecretStr = Field(default=SecretStr(""), description="another name for API_KEYS")

    # The transcription service behind it.
    remote_transcriber_url: str = Field(
        default="http://127.0.0.1:8083/v1/audio/transcriptions",
        validation_alias=AliasChoices("TRANSCRIBER_URL", "REMOTE_TRANSCRIBER_URL"),
        description="used verbatim, whole path included",
    )
    remote_transcriber_api_key: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=AliasChoices("TRANSCRIBER_API_KEY", "REMOTE_TRANSCRIBER_API_KEY"),
        description="sent as a bearer token; empty: the first of API_KEYS, if any",
    )
    remote_transcriber_model: str = Field(default="default", description="the model field of every call")
    remote_transcriber_temperature: float = Field(
        default=0.0, ge=0, le=1, description="0 is deterministic, which agreement needs"
    )
    remote_transcriber_timeout_s: float = Field(
        default=30.0,
        gt=0,
        le=600,
        description="deadline of one call; a slow machine needs more, a lost call costs this much lag",
    )
    remote_transcriber_max_in_flight: int = Field(
        default=8,
        ge=1,
        le=1024,
        description="calls at once from this gateway: the slots of the backend; more only earns 503s",
    )
    remote_transcriber_max_retry_after_s: float = Field(
        default=10.0,
        gt=0,
        le=120,
        description="a longer Retry-After is cut to this: live speech cannot wait for ever",
    )

    # Clients.
    max_clients: int = Field(default=100, ge=1, le=10_000, description="streams at once; the next one is told to WAIT")
    max_connection_time_s: float = Field(
        default=14_400.0, gt=0, description="a stream older than this is flushed and told to DISCONNECT"
    )
    max_frame_bytes: int = Field(
        default=2 * 2**20,
        ge=65_536,
        description="a larger WebSocket message closes with 1009; the handshake may have 8 MiB",
    )
    handshake_timeout_s: float = Field(default=10.0, gt=0, description="time to send the first message")
    idle_timeout_s: float = Field(
        default=600.0, gt=0, description="a stream without audio for this long gives its place back"
    )
    send_timeout_s: float = Field(
        default=30.0, gt=0, description="a client that reads nothing for this long is cut off"
    )
    ping_interval_s: float = Field(default=20.0, gt=0, description="keeps proxies from closing quiet streams")
    ping_timeout_s: float = Field(
        default=60.0,
        gt=0,
        description="a peer from which nothing comes for this long after a ping, not even its answer, is given up",
    )
    drain_grace_s: float = Field(default=25.0, ge=0, description="time for last words after SIGTERM")

    # Buffer.
    buffer_max_s: float = Field(
        default=300.0,
        ge=35,
        le=3600,
        description="uncommitted audio per stream (32 kB per second); above it reading pauses",
    )
    buffer_stall_s: float = Field(
        default=30.0,
        gt=0,
        description="paused for this long without progress, the oldest audio is dropped, loudly",
    )

    # Commit policy, all in seconds of audio.
    step_s: float = Field(
        default=1.0,
        ge=0.2,
        le=10,
        description="new audio per pass: lower shows words sooner and costs more passes",
    )
    pause_s: float = Field(
        default=0.6,
        ge=0.2,
        le=5,
        description="silence that ends an utterance: lower commits sooner, splits sentences more",
    )
    idle_flush_s: float = Field(
        default=1.2, ge=0.2, le=10, description="no frames for this long flushes what is buffered"
    )
    guard_s: float = Field(
        default=2.0,
        ge=0.5,
        le=10,
        description="one pass may commit what ends this far before its end, if passes are far apart",
    )
    max_wait_s: float = Field(
        default=6.0,
        ge=2,
        le=20,
        description="words this far before the end are committed even if passes disagree",
    )
    trim_s: float = Field(default=10.0, ge=4, le=25, description="windows longer than this lose their committed front")
    max_window_s: float = Field(
        default=28.0, ge=6, le=30, description="no window is longer: Whisper hears 30 s at once"
    )
    max_segment_s: float = Field(
        default=10.0, ge=2, le=30, description="a segment without sentence end is completed at this length"
    )
    prompt_chars: int = Field(
        default=0,
        ge=0,
        le=800,
        description="committed text sent along as context; small models loop on it, large ones gain a little",
    )

    log_level: str = Field(default="INFO", pattern="^(?i:debug|info|warning|error)$", description="least level logged")

    @field_validator("remote_transcriber_url", mode="after")
    @classmethod
    def _url(cls, value: str) -> str:
        """What the calls could not be sent to is no address."""
        value = value.strip()
        try:
            url = httpx.URL(value)
        except httpx.InvalidURL as invalid:
            raise ValueError(A_URL) from invalid
        escaped = "%" in url.host and ":" not in url.host  # a sign that no name has; an IPv6 address names its zone so
        reachable = url.host and not escaped and (url.port is None or 0 < url.port < 2**16)
        if url.scheme not in {"http", "https"} or not reachable:
            raise ValueError(A_URL)
        return value

    @field_validator("remote_transcriber_api_key", mode="after")
    @classmethod
    def _stripped(cls, value: SecretStr) -> SecretStr:
        """A file with the key ends in a new line, which is no part of it."""
        return SecretStr(value.get_secret_value().strip())

    @model_validator(mode="after")
    def _key_can_be_sent(self) -> Self:
        """Whichever key it is that the service is shown."""
        if not (self.remote_key.isascii() and self.remote_key.isprintable()):
            own = self.remote_transcriber_api_key.get_secret_value()
            name = "TRANSCRIBER_API_KEY or REMOTE_TRANSCRIBER_API_KEY" if own else "API_KEYS or API_TOKEN"
            raise ValueError(f"{name}: {A_KEY}")
        return self

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys clients may show; empty when the gateway is open."""
        own = _split(self.streaming_api_keys)
        return () if own == (OPEN,) else own or self._service_keys

    @property
    def remote_key(self) -> str:
        """The key shown to the service; one of the service's own where both are configured together."""
        return self.remote_transcriber_api_key.get_secret_value() or next(iter(self._service_keys), "")

    @property
    def _service_keys(self) -> tuple[str, ...]:
        return (*_split(self.api_keys), *_split(self.api_token))

    def policy(self) -> StreamPolicy:
        """The part a stream decides by."""
        return StreamPolicy(
            step_s=self.step_s,
            pause_s=self.pause_s,
            idle_flush_s=self.idle_flush_s,
            guard_s=self.guard_s,
            max_wait_s=self.max_wait_s,
            trim_s=self.trim_s,
            max_window_s=self.max_window_s,
            full_s=0.9 * self.max_window_s,
            max_segment_s=self.max_segment_s,
            prompt_chars=self.prompt_chars,
        )


def _split(keys: SecretStr) -> tuple[str, ...]:
    return tuple(key.strip() for key in keys.get_secret_value().split(",") if key.strip())


class ClientSettings(BaseSettings):
    """What the live client reads from the environment instead of its command line."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, frozen=True, extra="ignore")

    streaming_api_key: SecretStr = Field(default=SecretStr(""), description="the key shown to the gateway")


def explain(invalid: ValidationError) -> list[str]:
    """One line per unusable setting: its variable or variables, the value, what would do."""
    names = {
        str(field.validation_alias.choices[0]): " or ".join(map(str, field.validation_alias.choices))
        for field in GatewaySettings.model_fields.values()
        if isinstance(field.validation_alias, AliasChoices)
    }
    lines = []
    for error in invalid.errors():
        name = ".".join(str(part) for part in error["loc"])
        shown = "" if "key" in name.lower() else f"={error['input']!r}"
        message = error["msg"].removeprefix("Value error, ")
        lines.append(f"{names.get(name, name.upper())}{shown}: {message}" if name else message)
    return lines
