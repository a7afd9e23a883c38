"""What the health routes answer, for probes, people and Vexa's own checks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict  # before Python 3.12 pydantic refuses the one of typing

State = Literal["initializing", "ready", "draining", "critical"]


class LiveBody(TypedDict):
    """The event loop turns."""

    status: Literal["live"]


class ReadyBody(TypedDict):
    """Whether work may be sent; a busy worker is ready."""

    status: State


class HealthBody(TypedDict):
    """Everything about one worker; what belongs to the model is null until it is loaded."""

    status: Literal["healthy", "unhealthy"]
    state: State
    worker_id: str
    timestamp: Annotated[str, Field(description="UTC, ISO 8601 without a zone.")]
    model: str | None
    device: str | None
    gpu_available: bool
    compute_type: str | None
    compute_type_asked: str | None
    replicas: Annotated[int | None, Field(description="Copies of the model that decode at once.")]
    threads: Annotated[int | None, Field(description="Threads of each copy, on CPU.")]
    max_batch: Annotated[int | None, Field(description="Windows decoded in one call.")]
    slots: Annotated[int, Field(description="Requests worked on at once.")]
    active: int
    queued: int
    uptime_s: float
    last_inference_age_s: float | None


class EndpointsBody(TypedDict):
    """Where to go from the root."""

    transcribe: str
    health: str
    docs: str


class RootBody(TypedDict):
    """What this service is."""

    service: str
    worker_id: str
    model: str | None
    device: str | None
    status: Literal["ready", "initializing"]
    endpoints: EndpointsBody
