"""The bundled demo model, loaded once for all tests of the engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.engine.parallelism import choose
from app.engine.transcriber import Transcriber
from app.engine.whisper.model import Model, load
from tests.engine.transcribing import transcriber_over


@pytest.fixture(scope="session")
def demo() -> Model:
    """The demo model on this machine's CPU, as two replicas of one thread."""
    return load(
        model_size="demo",
        device="cpu",
        compute_type="int8",
        parallelism=lambda device: choose(device=device, n_cores=2),
    )


@pytest.fixture(scope="session")
def transcriber(demo: Model) -> Iterator[Transcriber]:
    """The server's defaults, but short windows are encoded at their own length: a fifth of the work."""
    made = transcriber_over(demo)
    yield made
    made.close()


@pytest.fixture(scope="session")
def exact(demo: Model) -> Iterator[Transcriber]:
    """The server's defaults: every window is encoded as 30 s. Where accuracy is measured."""
    made = transcriber_over(demo, adapt_context=False)
    yield made
    made.close()
