"""The settings of the live gateway, read once from the environment and passed down as plain values.

Units are in the names. A value out of bounds stops the start with one line that names the variable.
"""

from __future__ import annotations

from typing import Any

import httpx
from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.ops.addresses import TrustedProxies
from app.ops.keys import require_sendable, split_keys
from app.settings.build import BuildSettings
from app.settings.explain import load
from app.settings.publishing import PublishingSettings

OPEN = "open"
URL_RULE = "must be http:// or https:// with a host, and a port from 1 to 65535 if any, such as http://worker:8000/path"


class GatewaySettings(PublishingSettings, BuildSettings):
    """The gateway's configuration; the environment names are the field names in capitals, or the aliases."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, frozen=True, extra="ignore", populate_by_name=True
    )

    # Where the gateway listens, and for whom.
    streaming_host: str = Field(
        default="127.0.0.1", description="Address to listen on; 0.0.0.0 means every network interface."
    )
    streaming_port: int = Field(default=9090, ge=0, le=65535, description="TCP port to listen on.")
    streaming_api_keys: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=AliasChoices("STREAMING_API_KEYS", "WHISPERLIVE_API_KEY"),
        description="Comma-separated keys that clients must present. Empty: the keys of API_KEYS, and without those "
        "no key is required. `open`: no key is required, even if API_KEYS is set.",
    )
    streaming_origins: str = Field(
        default="",
        description="Comma-separated origins of web pages and extensions that may connect, such as "
        "https://app.example. Empty: any. Clients that send no Origin are always accepted.",
    )
    forwarded_allow_ips: str = Field(
        default="127.0.0.1,::1",
        description="Comma-separated addresses and networks of proxies whose X-Forwarded-For is trusted; * means all.",
    )

    api_keys: SecretStr = Field(
        default=SecretStr(""), description="The transcription service's keys, if both run with one environment."
    )
    api_token: SecretStr = Field(default=SecretStr(""), description="Another name for API_KEYS.")
    api_keys_file: str = Field(
        default="",
        description="TOML file with named API keys and their limits, which is read again when it changes. Its keys are "
        "accepted beside the others, unless STREAMING_API_KEYS is `open`.",
    )

    # The transcription service.
    remote_transcriber_url: str = Field(
        default="http://127.0.0.1:8083/v1/audio/transcriptions",
        validation_alias=AliasChoices("TRANSCRIBER_URL", "REMOTE_TRANSCRIBER_URL"),
        description="URL that receives the transcription requests, path included.",
    )
    remote_transcriber_api_key: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=AliasChoices("TRANSCRIBER_API_KEY", "REMOTE_TRANSCRIBER_API_KEY"),
        description="Sent as a bearer token. Empty: the first key of API_KEYS, if any.",
    )
    remote_transcriber_model: str = Field(default="default", description="The `model` field of every request.")
    remote_transcriber_temperature: float = Field(
        default=0.0, ge=0, le=1, description="Sampling temperature; 0 is deterministic, which agreement needs."
    )
    remote_transcriber_timeout_s: float = Field(
        default=30.0,
        gt=0,
        le=600,
        description="Timeout of one request. A slow machine needs more; each lost request delays text by this much.",
    )
    remote_transcriber_max_in_flight: int = Field(
        default=8,
        ge=1,
        le=1024,
        description="Concurrent requests of this gateway: as many as the service has slots; more only get 503.",
    )
    remote_transcriber_max_retry_after_s: float = Field(
        default=10.0,
        gt=0,
        le=120,
        description="A longer Retry-After is cut to this, because live speech cannot wait.",
    )

    # Clients.
    max_clients: int = Field(default=100, ge=1, le=10_000, description="Concurrent streams; further clients get WAIT.")
    max_streams_per_key: int = Field(
        default=0, ge=0, le=10_000, description="Concurrent streams of one API key. 0: no limit besides MAX_CLIENTS."
    )
    max_streams_per_address: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="Concurrent streams of one client address (one /64 network for IPv6). "
        "0: half of MAX_CLIENTS on a gateway without keys, no limit on one with keys.",
    )
    max_connection_time_s: float = Field(
        default=14_400.0, gt=0, description="A stream that lasts longer is flushed and gets DISCONNECT."
    )
    max_frame_bytes: int = Field(
        default=2 * 2**20,
        ge=65_536,
        description="A larger WebSocket message closes the connection with 1009; the handshake may have 8 MiB.",
    )
    handshake_timeout_s: float = Field(default=10.0, gt=0, description="Time a client has to send its first message.")
    idle_timeout_s: float = Field(default=600.0, gt=0, description="A stream without audio for this long is ended.")
    send_timeout_s: float = Field(
        default=30.0, gt=0, description="A client that reads nothing for this long is disconnected."
    )
    ping_interval_s: float = Field(
        default=20.0, gt=0, description="Time between WebSocket pings, which keep proxies from closing quiet streams."
    )
    ping_timeout_s: float = Field(
        default=60.0,
        gt=0,
        description="A client that sends nothing for this long after a ping, not even a pong, is disconnected.",
    )
    drain_grace_s: float = Field(default=25.0, ge=0, description="Time to finish the open streams after SIGTERM.")

    # Buffer.
    buffer_max_s: float = Field(
        default=300.0,
        ge=35,
        le=3600,
        description="Uncommitted audio held per stream (32 kB per second); above it the client is not read from.",
    )
    buffer_stall_s: float = Field(
        default=30.0,
        gt=0,
        description="With a full buffer and no answer for this long, the oldest audio is dropped, with a warning.",
    )

    # Commit policy, all in seconds of audio.
    step_s: float = Field(
        default=1.0,
        ge=0.2,
        le=10,
        description="New audio per request while someone speaks; lower shows words sooner and costs more requests.",
    )
    pause_s: float = Field(
        default=0.6,
        ge=0.2,
        le=5,
        description="Silence that ends an utterance; lower commits sooner and splits sentences more often.",
    )
    idle_flush_s: float = Field(
        default=1.2, ge=0.2, le=10, description="If no audio arrives for this long, the buffered audio is flushed."
    )
    guard_s: float = Field(
        default=2.0,
        ge=0.5,
        le=10,
        description="If requests are far apart, words that end this long before the end of a window are committed.",
    )
    max_wait_s: float = Field(
        default=6.0,
        ge=2,
        le=20,
        description="Words this far before the end of a window are committed even if hypotheses disagree.",
    )
    trim_s: float = Field(
        default=10.0, ge=4, le=25, description="Longer windows lose the audio of words already committed."
    )
    max_window_s: float = Field(
        default=28.0, ge=6, le=30, description="Longest window; Whisper processes 30 s at a time."
    )
    max_segment_s: float = Field(
        default=10.0, ge=2, le=30, description="A segment without a sentence end is completed at this length."
    )
    complete_after_s: float = Field(
        default=3.0,
        ge=1,
        le=30,
        description="The first words of a longer sentence are completed after this much audio, at the end of a clause "
        "after half of it. 30: whole sentences.",
    )
    prompt_chars: int = Field(
        default=0,
        ge=0,
        le=800,
        description="Characters of committed text sent as a prompt. Small models may repeat it endlessly; "
        "large models gain a little.",
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

    @field_validator("remote_transcriber_url", mode="after")
    @classmethod
    def _url(cls, value: str) -> str:
        """Refuse a URL that no request can be sent to."""
        value = value.strip()
        try:
            url = httpx.URL(value)
        except httpx.InvalidURL as invalid:
            raise ValueError(URL_RULE) from invalid
        escaped = "%" in url.host and ":" not in url.host  # no host name has one; an IPv6 address may, before its zone
        reachable = url.host and not escaped and (url.port is None or 0 < url.port < 2**16)
        if url.scheme not in {"http", "https"} or not reachable:
            raise ValueError(URL_RULE)
        return value

    @field_validator("forwarded_allow_ips", mode="after")
    @classmethod
    def _proxies(cls, value: str) -> str:
        """Refuse what is neither an address nor a network."""
        TrustedProxies(value)
        return value

    @field_validator("streaming_api_keys", "api_keys", "api_token", "remote_transcriber_api_key", mode="after")
    @classmethod
    def _sendable(cls, value: SecretStr) -> SecretStr:
        """Refuse keys that no header can carry; remove the line break at the end of a key read from a file."""
        require_sendable(split_keys(value.get_secret_value()))
        return SecretStr(value.get_secret_value().strip())

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys without limits that clients may present."""
        own = split_keys(self.streaming_api_keys.get_secret_value())
        return () if own == (OPEN,) else own or self._service_keys

    @property
    def keys_file(self) -> str:
        """The keys file; empty if there is none, or if the gateway is open."""
        own = split_keys(self.streaming_api_keys.get_secret_value())
        return "" if own == (OPEN,) else self.api_keys_file.strip()

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins that may connect, without a slash at the end; empty if any may."""
        return tuple(each.strip().rstrip("/").lower() for each in self.streaming_origins.split(",") if each.strip())

    @property
    def streams_per_address(self) -> int:
        """Concurrent streams of one client address; 0 means no limit."""
        if self.max_streams_per_address or self.keys or self.keys_file:
            return self.max_streams_per_address
        return max(1, self.max_clients // 2)

    @property
    def remote_key(self) -> str:
        """The key sent to the transcription service; one of the service's own if both share an environment."""
        return self.remote_transcriber_api_key.get_secret_value() or next(iter(self._service_keys), "")

    @property
    def _service_keys(self) -> tuple[str, ...]:
        return split_keys(self.api_keys.get_secret_value(), self.api_token.get_secret_value())


class ClientSettings(BaseSettings):
    """What the live client reads from the environment instead of its command line."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, frozen=True, extra="ignore")

    streaming_api_key: SecretStr = Field(default=SecretStr(""), description="The key sent to the gateway.")


def load_gateway_settings(**overrides: Any) -> GatewaySettings:
    """Read the environment and `.env`; `overrides` (lower-case field names) win over both.

    Raises:
        StartupError: one line that names each unusable setting, its value and what is allowed.
    """
    return load(GatewaySettings, **overrides)
