"""What the routes share: the engine once it is loaded, admission, and values from the settings."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal, cast

from fastapi import Request

from app.core.errors import NotReady, UnknownModel
from app.engine.engine import Engine
from app.http.admission import Admission
from app.http.key_limits.worker_keys import WorkerKeys
from app.http.metrics import WorkerMetrics
from app.http.request.receive import UploadBudget

# Model names that clients have built in; each means the loaded model.
ALIASES = (
    "whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-transcribe", "gpt-live-transcribe", "default",
)  # fmt: skip


@cache
def public_name(model: str) -> str:
    """A size or a hub id as it is; of a path only the last component, because clients must not see the rest."""
    path = Path(model).expanduser()
    return path.absolute().name if model.startswith(("/", ".", "~")) or path.is_dir() else model


@dataclass(slots=True)
class WorkerState:
    """The state of one worker."""

    admission: Admission
    worker_id: str
    max_upload_bytes: int
    language_style: Literal["code", "name"]
    strict_models: bool
    served_model_name: str = ""
    metrics: WorkerMetrics = field(default_factory=WorkerMetrics)
    keys: WorkerKeys = field(default_factory=WorkerKeys)
    loaded: Engine | None = None
    uploads: UploadBudget = field(default_factory=UploadBudget)
    # Large JSON bodies are parsed one by one: each takes several times its size in memory.
    json_turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    started: float = field(default_factory=time.monotonic)

    @property
    def engine(self) -> Engine:
        """The engine.

        Raises:
            NotReady: the model is still loading.
        """
        if self.loaded is None:
            raise NotReady("The model is still loading. Retry shortly.", retry_after_s=2)
        return self.loaded

    @property
    def model_name(self) -> str:
        """The public name of the model.

        Raises:
            NotReady: the model is still loading.
        """
        return self.served_model_name or public_name(self.engine.info.model)

    @property
    def model_ids(self) -> tuple[str, ...]:
        """The model's name, then its aliases.

        Raises:
            NotReady: the model is still loading.
        """
        return tuple(dict.fromkeys((self.model_name, *ALIASES)))

    def check_model(self, model: str) -> None:
        """Refuse a name that is not served, if STRICT_MODELS is set.

        Raises:
            UnknownModel: lists the names that are served.
        """
        if self.strict_models and model not in self.model_ids:
            raise UnknownModel(f"The model '{model[:100]}' does not exist here; served: {', '.join(self.model_ids)}.")


def state_of(request: Request) -> WorkerState:
    """The worker that serves this request."""
    return cast("WorkerState", request.app.state.worker)
