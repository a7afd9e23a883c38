"""The bodies of the health routes and of `/`, for probes, people and Vexa's checks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict  # before Python 3.12 pydantic does not accept typing.TypedDict

State = Literal["initializing", "ready", "draining", "critical"]


class LiveBody(TypedDict):
    """The event loop runs."""

    status: Literal["live"]


class ReadyBody(TypedDict):
    """Whether the worker accepts work; a busy worker is ready."""

    status: State


class HealthBody(TypedDict):
    """Details of one worker; fields of the model are null until it is loaded."""

    status: Literal["healthy", "unhealthy"]
    state: State
    version: str
    worker_id: str
    timestamp: Annotated[str, Field(description="UTC, ISO 8601 without a zone.")]
    model: str | None
    device: str | None
    gpu_available: bool
    compute_type: str | None
    compute_type_asked: str | None
    replicas: Annotated[int | None, Field(description="Model calls that run at once.")]
    threads: Annotated[int | None, Field(description="CPU threads of each model call.")]
    max_batch: Annotated[int | None, Field(description="Windows decoded in one model call.")]
    slots: Annotated[int, Field(description="Requests that may be processed at once.")]
    active: int
    queued: int
    uptime_s: float
    last_inference_age_s: float | None


class EndpointsBody(TypedDict):
    """The main endpoints."""

    transcribe: str
    health: str
    docs: str


class RootBody(TypedDict):
    """Name and state of the service."""

    service: str
    worker_id: str
    model: str | None
    device: str | None
    status: Literal["ready", "initializing"]
    endpoints: EndpointsBody
