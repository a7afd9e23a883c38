"""Every knob of the worker, read once from the environment and `.env`, then passed down as values.

Only `main`, `app.__main__` and `app.http.app` import this; everything below receives plain
values, so any part can be built in a test with one line.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from app.ops.keys import require_sendable, split_keys
from app.settings.build import BuildSettings
from app.settings.explain import load
from app.settings.publishing import require_redis_address

ComputeType = Literal[
    "auto", "default", "int8", "int8_float16", "int8_bfloat16", "int8_float32",
    "int16", "float16", "bfloat16", "float32",
]  # fmt: skip
# Closed sets of words are read as people write them: LOG_LEVEL=INFO, DEVICE=CPU.
AnyCase = BeforeValidator(lambda value: value.strip().lower() if isinstance(value, str) else value)


class WorkerSettings(BuildSettings):
    """The worker's configuration; the environment names are the field names in capitals."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, str_strip_whitespace=True
    )

    host: Annotated[
        str, Field(description="Address to listen on. 0.0.0.0 listens on every interface; set API_KEYS then.")
    ] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535, description="TCP port to listen on.")] = 8000
    worker_id: Annotated[
        str, Field(min_length=1, max_length=64, description="Name of this worker in /health and in the logs.")
    ] = "1"

    model_size: Annotated[
        str,
        Field(
            min_length=1,
            description=(
                "Model to run: auto (large-v3-turbo on CUDA, medium on CPU), demo (bundled), fake (no "
                "model, for testing clients), a Whisper size (tiny ... large-v3-turbo, distil-*), a hub id,"
                " or a directory with a CTranslate2 model."
            ),
        ),
    ] = "auto"
    served_model_name: Annotated[
        str,
        Field(
            max_length=200,
            description="Public name of the model in /v1/models, /health and /metrics. "
            "Empty = MODEL_SIZE; of a path only the last component.",
        ),
    ] = ""
    device: Annotated[
        Literal["auto", "cuda", "cpu"],
        AnyCase,
        Field(description="Device that runs the model: auto, cuda or cpu. cuda without a usable GPU stops the start."),
    ] = "auto"
    compute_type: Annotated[
        ComputeType,
        AnyCase,
        Field(description="Quantization of the weights. int8 needs the least memory and is the fastest on a CPU."),
    ] = "int8"
    cpu_threads: Annotated[
        int,
        Field(
            ge=0,
            le=1024,
            description=(
                "CPU threads for each model call. More threads speed up a single request. 0 = chosen by the"
                " number of cores."
            ),
        ),
    ] = 0
    replicas: Annotated[
        int,
        Field(
            ge=0,
            le=256,
            description=(
                "Model calls that run at the same time, over one copy of the weights. More replicas raise "
                "throughput. 0 = chosen by the number of cores (1 on CUDA)."
            ),
        ),
    ] = 0
    max_batch_size: Annotated[
        int,
        Field(
            ge=0, le=256, description="Maximum number of windows decoded in one model call. 0 = 8 on CPU, 16 on CUDA."
        ),
    ] = 0
    audio_context: Annotated[
        Literal["auto", "full"],
        AnyCase,
        Field(
            description="auto: on a CPU, encode short windows at their own length plus 2 s instead of 30 s, which is "
            "several times faster and as accurate. full: encode every window as 30 s."
        ),
    ] = "auto"
    encoder: Annotated[
        Literal["auto", "ctranslate2", "openvino"],
        AnyCase,
        Field(
            description=(
                "Library that runs the encoder on a CPU: ctranslate2 or openvino (optional package). auto: "
                "openvino if it is installed and faster in a trial of two seconds at start."
            )
        ),
    ] = "auto"
    cpu_tuning: Annotated[
        bool, Field(description="Start with the memory allocator and CPU instruction settings that measured fastest.")
    ] = True
    stall_limit_s: Annotated[
        float,
        Field(
            ge=0,
            le=86_400,
            description=(
                "Maximum seconds for one model call. A longer call counts as a hang, and the process exits "
                "with code 70. 0 = no limit."
            ),
        ),
    ] = 300.0

    max_concurrent_transcriptions: Annotated[
        int,
        Field(
            ge=0,
            le=4096,
            description=(
                "Requests processed at the same time (slots). More slots raise latency. 0 = 8 on CPU, 32 on CUDA."
            ),
        ),
    ] = 0
    max_queue_size: Annotated[
        int,
        Field(ge=0, le=100_000, description="Requests that may wait for a slot when FAIL_FAST_WHEN_BUSY is false."),
    ] = 10
    fail_fast_when_busy: Annotated[
        bool, Field(description="true: a busy worker answers 503 at once. false: up to MAX_QUEUE_SIZE requests wait.")
    ] = True
    busy_retry_after_s: Annotated[
        int,
        Field(
            ge=1,
            le=60,
            description=(
                "Minimum seconds in the Retry-After header of a 503. The value is higher when requests take longer."
            ),
        ),
    ] = 1
    shutdown_grace_s: Annotated[
        int, Field(ge=0, le=86_400, description="Seconds that running requests have to finish after SIGTERM.")
    ] = 60

    api_keys: Annotated[
        SecretStr, Field(description="Comma-separated API keys; a client must send one of them. Empty = no key needed.")
    ] = SecretStr("")
    api_token: Annotated[SecretStr, Field(description="Another name for API_KEYS. Keys of both are accepted.")] = (
        SecretStr("")
    )
    api_keys_file: Annotated[
        str,
        Field(
            description="TOML file with named API keys and their limits, which is read again when it changes. Its keys "
            "are accepted beside API_KEYS. Empty = no such keys."
        ),
    ] = ""
    redis_url: Annotated[
        SecretStr,
        Field(
            description="Redis in which all workers count the limits of API_KEYS_FILE together, such as "
            "redis://redis:6379/0. Empty = each worker counts for itself."
        ),
    ] = SecretStr("")
    cors_origins: Annotated[
        str, Field(description="Comma-separated origins whose web pages may call this server. * = all, empty = none.")
    ] = ""
    max_upload_bytes: Annotated[
        int, Field(ge=1024, description="Maximum size of a file in bytes. Larger files get 413.")
    ] = 500 * 1024 * 1024
    max_audio_seconds: Annotated[
        float,
        Field(gt=0, le=48 * 3600, description="Maximum length of the audio in seconds. Longer audio gets 400."),
    ] = 4 * 3600.0
    strict_models: Annotated[
        bool,
        Field(description="true: model names that are not in /v1/models get 404. false: any name is accepted."),
    ] = False

    beam_size: Annotated[
        int,
        Field(
            ge=1,
            le=20,
            description="Beam width. 1 is fastest, 5 is most accurate. "
            "The realtime tier uses 1 from 4 s of audio on. A request can override this.",
        ),
    ] = 5
    vad_filter: Annotated[bool, Field(description="Skip audio without speech. A request can override this.")] = True
    verbose_json_language: Annotated[
        Literal["code", "name"],
        AnyCase,
        Field(description="Form of language in verbose_json. code: en (Vexa needs this). name: english (as OpenAI)."),
    ] = "code"

    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        AnyCase,
        Field(description="Lowest level that is logged: debug, info, warning or error."),
    ] = "info"
    log_format: Annotated[
        Literal["auto", "json", "text"],
        AnyCase,
        Field(
            description=(
                "json: one JSON object per line. text: readable lines. auto: text on a terminal, otherwise json."
            )
        ),
    ] = "auto"

    @field_validator("api_keys", "api_token", mode="after")
    @classmethod
    def _sendable(cls, value: SecretStr) -> SecretStr:
        """Reject keys that cannot be sent in a header."""
        require_sendable(split_keys(value.get_secret_value()))
        return value

    @field_validator("redis_url", mode="after")
    @classmethod
    def _redis_url(cls, value: SecretStr) -> SecretStr:
        """Refuse what is no address of a Redis."""
        return require_redis_address(value)

    @property
    def key_required(self) -> bool:
        """Clients must send a key."""
        return bool(self.keys or self.api_keys_file)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of API_KEYS, which have no limits."""
        return split_keys(self.api_keys.get_secret_value(), self.api_token.get_secret_value())

    @property
    def origins(self) -> tuple[str, ...]:
        """The web pages that may call this server, each as a browser names it: without a slash at its end."""
        return tuple(origin.strip().rstrip("/") for origin in self.cors_origins.split(",") if origin.strip())


def load_settings(**overrides: Any) -> WorkerSettings:
    """Read the environment and `.env`; `overrides` (lower-case field names) win over both.

    Raises:
        StartupError: one line that names each unusable setting, its value and what is allowed.
    """
    return load(WorkerSettings, **overrides)
